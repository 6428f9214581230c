"""Foreign name servers whose zones can be written: BIND and PowerDNS, on free ports."""

from __future__ import annotations

import base64
import contextlib
import secrets
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from kit.foreign import need_program

_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class WritableZone:
    """A zone on 127.0.0.1, and what an update needs."""

    address: str
    """``127.0.0.1:PORT`` for queries."""
    options: dict[str, str]
    """As ``dns_provider.options``."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free for TCP and UDP."""
    while True:
        packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with packets, socket.create_server(("127.0.0.1", 0)) as stream:
            port: int = stream.getsockname()[1]
            with contextlib.suppress(OSError):
                packets.bind(("127.0.0.1", port))
                return port


@contextmanager
def bind_with(folder: Path, zone: str, records: str = "") -> Iterator[WritableZone]:
    """Run BIND with one zone that a TSIG key may change.

    Args:
        folder: an empty one.
        zone: without a final dot.
        records: lines of the zone file, beside SOA and NS.
    """
    named = need_program("named")
    port, secret = free_port(), base64.b64encode(secrets.token_bytes(32)).decode()
    (folder / "zone.db").write_text(
        f"$TTL 60\n@ SOA ns.{zone}. root.{zone}. 1 3600 600 86400 1\n@ NS ns.{zone}.\n"
        f"ns A 127.0.0.1\n{records}\n"
    )
    (folder / "named.conf").write_text(
        f'key "zajil" {{ algorithm hmac-sha256; secret "{secret}"; }};\n'
        f'options {{ directory "{folder}"; pid-file none; recursion no; session-keyfile none;\n'
        f"  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n"
        "  dnssec-validation no; };\ncontrols { };\n"
        f'zone "{zone}" {{ type primary; file "zone.db";\n'
        '  update-policy { grant "zajil" zonesub ANY; }; };\n'
    )
    options = {"server": f"127.0.0.1:{port}", "key": "zajil", "secret": secret}
    with _running([named, "-g", "-n", "1", "-c", str(folder / "named.conf")], folder, port, zone):
        yield WritableZone(f"127.0.0.1:{port}", options)


@contextmanager
def power_dns(folder: Path, zone: str) -> Iterator[WritableZone]:
    """Run PowerDNS with one zone that its HTTP interface may change."""
    program = need_program("pdns_server")
    schema = Path("/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql")
    if not schema.exists():
        schema = schema.parent / "examples" / "schema.sqlite3.sql"
    database = folder / "pdns.sqlite"
    soa = f"ns.{zone} root.{zone} 1 3600 600 86400 1"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript(schema.read_text())
        connection.execute("INSERT INTO domains (id, name, type) VALUES (1, ?, 'NATIVE')", [zone])
        connection.executemany(
            "INSERT INTO records (domain_id, name, type, content, ttl) VALUES (1, ?, ?, ?, 60)",
            [(zone, "SOA", soa), (zone, "NS", f"ns.{zone}")],
        )
        connection.commit()
    port, api, token = free_port(), free_port(), secrets.token_hex(16)
    settings = {
        "launch": "gsqlite3",
        "gsqlite3-database": str(database),
        "local-address": "127.0.0.1",
        "local-port": str(port),
        "socket-dir": str(folder),
        "api": "yes",
        "api-key": token,
        "webserver-address": "127.0.0.1",
        "webserver-port": str(api),
        "cache-ttl": "0",
        "query-cache-ttl": "0",
        "negquery-cache-ttl": "0",
    }
    command = [program, f"--config-dir={folder}"]
    command += [f"--{name}={value}" for name, value in settings.items()]
    options = {"pdns_server": f"http://127.0.0.1:{api}", "auth_token": token}
    with _running(command, folder, port, zone):
        yield WritableZone(f"127.0.0.1:{port}", options)


@contextmanager
def _running(command: list[str], folder: Path, port: int, zone: str) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        until = time.monotonic() + _START_SECONDS
        while True:
            assert process.poll() is None, (folder / "log").read_text("utf-8", "replace")
            assert time.monotonic() < until
            with contextlib.suppress(OSError, dns.exception.DNSException):
                query = dns.message.make_query(zone, "SOA")
                if dns.query.udp(query, "127.0.0.1", port=port, timeout=0.5).answer:
                    break
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()
