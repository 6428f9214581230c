"""PgBouncer in session mode, in front of a server that tests may kill."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from kit.foreign import need_program
from kit.name_servers import free_port
from kit.postgres_servers import Server

_SECONDS = 60.0
_SETTINGS = """[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = session
default_pool_size = 40
server_login_retry = 1
ignore_startup_parameters = extra_float_digits, options
"""


@contextmanager
def pgbouncer(server: Server, user: str) -> Iterator[str]:
    """Run PgBouncer, and return ``store.url`` for a user of the server."""
    program = need_program("pgbouncer")
    # Not below pytest's own folder: that is closed to the user it runs as.
    with tempfile.TemporaryDirectory(prefix="zajil-pgbouncer-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        (folder / "users").write_text(f'"{user}" ""\n')
        given = {"server_port": server.port, "port": port, "folder": folder}
        (folder / "pgbouncer.ini").write_text(_SETTINGS.format(**given))
        log = (folder / "log").open("wb")
        with log:
            process = subprocess.Popen(
                [str(program), str(folder / "pgbouncer.ini")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None,
            )
        url = f"postgresql://{user}@127.0.0.1:{port}/postgres"
        try:
            _wait_until_it_answers(url, process, folder / "log")
            yield url
        finally:
            process.kill()
            process.wait(_SECONDS)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
