"""A server that begins without a certificate obtains one while people are connected."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit.installation import serving, set_up
from kit.name_server import zone_server
from kit.name_servers import free_port
from kit.pebble import pebble

pytestmark = pytest.mark.interop


@pytest.mark.slow
def test_open_connections_outlive_the_exchange(tmp_path: Path) -> None:
    made = set_up(tmp_path / "mail")
    text = made.configuration.read_text("utf-8")
    text = re.sub(r"^(certificate|key) = .*$", "", text, flags=re.M)
    made.configuration.write_text(text, "utf-8")
    http, https = free_port(), free_port()
    here = {"A": ["127.0.0.1"]}
    zone = {"mail.y.test": here, "mta-sts.y.test": here}
    with (
        zone_server(zone) as name_server,
        pebble(tmp_path, name_server, http_port=http) as authority,
    ):
        settings = [
            f'dns.nameservers=["{name_server}"]',
            f'listen.http=["127.0.0.1:{http}"]',
            f'listen.https=["127.0.0.1:{https}"]',
            f"acme.directory={authority.directory}",
            f"acme.ca_file={authority.ca_file}",
            "acme.agree_terms=true",
        ]
        with serving(made, None, *settings) as server:
            anyone = ssl.create_default_context()
            anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
            address = server.address("imaps")
            old = anyone.wrap_socket(socket.create_connection(address, 60))
            assert old.recv(4096).startswith(b"* OK")

            verifying = ssl.create_default_context(cafile=str(authority.root(tmp_path)))
            for name, where in (
                ("mail.y.test", address),
                ("mail.y.test", ("127.0.0.1", https)),
                ("mta-sts.y.test", ("127.0.0.1", https)),
            ):
                _await_certificate(verifying, name, where)
            old.sendall(b"a NOOP\r\n")
            assert old.recv(4096).startswith(b"a OK")
            old.close()

            sets = [part for one in settings for part in ("--set", one)]
            zajil = [sys.executable, "-m", "zajil", "--config", str(made.configuration), *sets]
            listed = subprocess.run([*zajil, "tls", "list", "--json"], stdout=subprocess.PIPE)
    states = {one["name"]: one["state"] for one in json.loads(listed.stdout)}
    assert states == {
        "mail.y.test": "valid",
        "mta-sts.y.test": "valid",
        "autoconfig.y.test": "waiting",
        "autodiscover.y.test": "waiting",
    }
    assert listed.returncode == 0


def _await_certificate(context: ssl.SSLContext, name: str, where: tuple[str, int]) -> None:
    """Wait until both workers present a certificate that is trusted: the kernel chooses one."""
    good = 0
    until = time.monotonic() + 60
    while good < 10:
        assert time.monotonic() < until
        try:
            with (
                socket.create_connection(where, 60) as sock,
                context.wrap_socket(sock, server_hostname=name),
            ):
                good += 1
        except ssl.SSLCertVerificationError:
            good = 0
            time.sleep(0.1)
