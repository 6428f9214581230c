"""Pebble, the authority of Let's Encrypt for tests."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from kit.certificates import TestAuthority
from kit.foreign import need_program
from kit.name_servers import free_port
from zajil.config.options_acme import AcmeOptions

_START_SECONDS = 60.0
EAB_KEY_ID, EAB_KEY = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one listens."""

    host: str
    port: int
    """Of the directory."""
    management: int

    @classmethod
    def free(cls) -> Place:
        """Return free ports of 127.0.0.1."""
        return cls("127.0.0.1", free_port(), free_port())


@dataclass(frozen=True, slots=True)
class Pebble:
    """An authority that runs."""

    directory: str
    ca_file: Path
    """Roots of its own HTTPS."""
    http_port: int
    """Where it looks for the answers of HTTP-01."""
    tls_port: int
    """Where it looks for those of TLS-ALPN-01."""
    management: str

    def options(self, **others: object) -> AcmeOptions:
        """Return ``[acme]`` for it."""
        bare = AcmeOptions(directory=self.directory, agree_terms=True, ca_file=self.ca_file)
        return bare.model_copy(update=others)

    def root(self, folder: Path) -> Path:
        """Write the root of what it issues into a file."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        answer = httpx.get(f"{self.management}/roots/0", verify=context)
        (folder / "issued-root.pem").write_bytes(answer.content)
        return folder / "issued-root.pem"


@contextmanager
def pebble(
    folder: Path,
    name_server: str,
    *,
    http_port: int = 1,
    tls_port: int = 1,
    eab: bool = False,
    place: Place | None = None,
) -> Iterator[Pebble]:
    """Run it; it rejects half of all nonces, and reuses no authorization.

    Args:
        folder: for its files.
        name_server: ``ADDRESS:PORT`` that it asks for the names it checks.
        http_port: where answers to HTTP-01 are.
        tls_port: where answers to TLS-ALPN-01 are.
        eab: require an external account: ``EAB_KEY_ID`` and ``EAB_KEY``.
        place: where it listens; ``None``: on free ports.
    """
    program = need_program("pebble")
    authority = TestAuthority(folder)
    place = place or Place.free()
    certificate, key = authority.issue(place.host, "localhost")
    configuration: dict[str, object] = {
        "listenAddress": f"{place.host}:{place.port}",
        "managementListenAddress": f"{place.host}:{place.management}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": http_port,
        "tlsPort": tls_port,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": eab,
    }
    if eab:
        configuration["externalAccountMACKeys"] = {EAB_KEY_ID: EAB_KEY}
    (folder / "pebble.json").write_text(json.dumps({"pebble": configuration}))
    environment = {
        **os.environ,
        "PEBBLE_VA_NOSLEEP": "1",
        "PEBBLE_WFE_NONCEREJECT": "50",
        "PEBBLE_AUTHZREUSE": "0",
    }
    command = [program, "-config", str(folder / "pebble.json"), "-dnsserver", name_server]
    with (folder / "pebble.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    running = Pebble(
        f"https://{place.host}:{place.port}/dir",
        authority.ca_file,
        http_port,
        tls_port,
        f"https://{place.host}:{place.management}",
    )
    try:
        _await(process, running)
        yield running
    finally:
        process.terminate()
        process.wait()


def _await(process: subprocess.Popen[bytes], running: Pebble) -> None:
    context = ssl.create_default_context(cafile=str(running.ca_file))
    until = time.monotonic() + _START_SECONDS
    while True:
        assert process.poll() is None
        assert time.monotonic() < until
        with contextlib.suppress(httpx.TransportError):
            httpx.get(running.directory, verify=context)
            return
        time.sleep(0.02)
