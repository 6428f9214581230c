"""OpenStack Swift with its middleware for S3, unprivileged and on loopback: one disk, one copy."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.foreign import find_program, need_program
from kit.name_servers import free_port
from kit.s3 import BUCKET, S3Server

_KINDS = ("account", "container", "object")
_START_SECONDS = 60.0
_SWIFT = """[swift-hash]
swift_hash_path_suffix = a
swift_hash_path_prefix = b
[storage-policy:0]
name = only
default = yes
"""
_DEFAULT = """[DEFAULT]
swift_dir = {etc}
devices = {folder}/disks
mount_check = false
fallocate_reserve = 0
disable_fallocate = true
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
"""
_STORAGE = """[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
_PROXY = """[pipeline:main]
pipeline = catch_errors proxy-logging cache s3api tempauth copy bulk slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:9
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_me = word .admin
[filter:copy]
use = egg:swift#copy
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""


@contextmanager
def swift_server(folder: Path) -> Iterator[S3Server]:
    """Run Swift with an empty bucket; skip the test that calls where it is not installed."""
    programs = {kind: need_program(f"swift-{kind}-server") for kind in (*_KINDS, "proxy")}
    etc, ports = folder / "etc", {kind: free_port() for kind in (*_KINDS, "proxy")}
    etc.mkdir()
    (folder / "disks" / "one").mkdir(parents=True)
    (etc / "swift.conf").write_text(_SWIFT)
    for kind, port in ports.items():
        user = pwd.getpwuid(os.geteuid()).pw_name
        text = _DEFAULT.format(etc=etc, folder=folder, port=port, user=user)
        text += _PROXY if kind == "proxy" else _STORAGE.format(kind=kind)
        (etc / f"{kind}-server.conf").write_text(text)
        if kind != "proxy":
            _make_ring(etc / f"{kind}.builder", port)
    with ExitStack() as stack:
        for kind, program in programs.items():
            stack.enter_context(_process(program, etc / f"{kind}-server.conf", folder / kind))
        server = S3Server(f"http://127.0.0.1:{ports['proxy']}/", "test:me", "word")
        _make_bucket(server, folder / "proxy")
        yield server


def _make_ring(builder: Path, port: int) -> None:
    tool = find_program("swift-ring-builder")
    for words in (["create", "4", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/one", "1"]):
        subprocess.run([str(tool), builder, *words], check=True, capture_output=True)
    subprocess.run([str(tool), builder, "rebalance"], check=True, capture_output=True)


@contextmanager
def _process(program: str, configuration: Path, log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, configuration, "-v"], stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(_START_SECONDS)


def _make_bucket(server: S3Server, log: Path) -> None:
    """Wait until Swift answers, and make the bucket."""
    session: Any = pytest.importorskip("botocore.session").get_session()
    session.set_credentials(server.access_key, server.secret_key)
    client = session.create_client("s3", endpoint_url=server.endpoint, region_name=server.region)
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            return
        except Exception as error:  # it is not ready: whatever its library says
            if time.monotonic() > end:
                pytest.fail(f"{error!r}: {log.read_text()[-2000:]}")
            time.sleep(0.2)
