"""Real name servers on loopback: BIND, PowerDNS, and Unbound as a resolver that validates.

Those that answer as a test tells them, in our own process, are in ``kit.name_server``.
"""

from __future__ import annotations

import base64
import secrets
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from kit.foreign import need_program

LOOPBACK = "127.0.0.1"
SIGNING = "dnssec-policy default; inline-signing yes;"
"""Statement of a zone that BIND signs."""
_PATIENCE_SECONDS = 60.0
_HEAD = """
$TTL 300
@ SOA ns.{zone}. hostmaster.{zone}. 1 7200 3600 1209600 5
@ NS ns.{zone}.
ns A {host}
"""
_NAMED = """
options {{
  directory "{folder}"; pid-file none; session-keyfile none; managed-keys-directory "{folder}";
  listen-on port {port} {{ {host}; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no;
}};
controls {{ }};
"""
_UNBOUND = """
server:
  interface: {host}
  port: {port}
  do-daemonize: no
  chroot: ""
  username: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: "{folder}/anchors"
  local-zone: "test." nodefault
  local-zone: "127.in-addr.arpa." nodefault
  cache-max-negative-ttl: 1
remote-control:
  control-enable: no
"""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A name server or resolver."""

    host: str
    port: int

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class WritableZone:
    """A zone on 127.0.0.1, and what an update needs."""

    address: str
    """``127.0.0.1:PORT`` for queries."""
    options: dict[str, str]
    """As ``dns_provider.options``."""


@dataclass(frozen=True, slots=True)
class UpdateKey:
    """A TSIG key that may change every record of a zone."""

    name: str
    secret: str

    @classmethod
    def new(cls, name: str) -> UpdateKey:
        """Make a key of this name."""
        return cls(name, base64.b64encode(secrets.token_bytes(32)).decode())

    @property
    def statement(self) -> str:
        """Return what makes BIND know it."""
        return f'key "{self.name}" {{ algorithm hmac-sha256; secret "{self.secret}"; }};\n'

    @property
    def in_zone(self) -> str:
        """Return the statement of a zone that it may change."""
        return f'update-policy {{ grant "{self.name}" zonesub ANY; }};'


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free for TCP and UDP."""
    while True:
        packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with packets, socket.create_server((LOOPBACK, 0)) as stream:
            port: int = stream.getsockname()[1]
            with suppress(OSError):
                packets.bind((LOOPBACK, port))
                return port


@contextmanager
def running_named(
    folder: Path,
    zones: Mapping[str, str],
    *,
    host: str = LOOPBACK,
    port: int | None = None,
    more: str = "",
    in_zone: str | Mapping[str, str] = "",
) -> Iterator[RunningServer]:
    """Run BIND with zones.

    Args:
        folder: an empty one.
        zones: name to records as a zone file has them; without a SOA, one is put in front, with an
            NS record for ``ns.ZONE``.
        host: address that it listens on.
        port: for queries; ``None``: a free one.
        more: statements for its configuration.
        in_zone: statements for each zone, or for some by name: ``SIGNING``.
    """
    port = port or free_port()
    text = more + _NAMED.format(folder=folder, port=port, host=host)
    for zone, records in zones.items():
        head = "" if " SOA " in records else _HEAD.format(zone=zone, host=host)
        (folder / f"{zone}.zone").write_text(f"{head}{records}\n", "utf-8")
        statements = in_zone if isinstance(in_zone, str) else in_zone.get(zone, "")
        text += f'zone "{zone}" {{ type primary; file "{zone}.zone"; {statements} }};\n'
    configuration = folder / "named.conf"
    configuration.write_text(text, "utf-8")
    command = [need_program("named"), "-g", "-4", "-n", "1", "-c", str(configuration)]
    server = RunningServer(host, port)
    with _running(command, folder, server, next(iter(zones))):
        yield server


@contextmanager
def bind_with(
    folder: Path, zone: str, records: str = "", *, in_zone: str = ""
) -> Iterator[WritableZone]:
    """Run BIND with one zone that a TSIG key may change.

    Args:
        folder: an empty one.
        zone: without a final dot.
        records: lines of the zone file, beside SOA and NS.
        in_zone: more statements for the zone, such as ``SIGNING``.
    """
    key = UpdateKey.new("zajil")
    rules = f"{key.in_zone} {in_zone}"
    with running_named(folder, {zone: records}, more=key.statement, in_zone=rules) as server:
        options = {"server": server.address, "key": key.name, "secret": key.secret}
        yield WritableZone(server.address, options)


@contextmanager
def power_dns(folder: Path, zone: str) -> Iterator[WritableZone]:
    """Run PowerDNS with one zone that its HTTP interface may change."""
    program = need_program("pdns_server")
    schema = Path("/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql")
    if not schema.exists():
        schema = schema.parent / "examples" / "schema.sqlite3.sql"
    database = folder / "pdns.sqlite"
    soa = f"ns.{zone} root.{zone} 1 3600 600 86400 1"
    with closing(sqlite3.connect(database)) as connection:
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
        "local-address": LOOPBACK,
        "local-port": str(port),
        "socket-dir": str(folder),
        "api": "yes",
        "api-key": token,
        "webserver-address": LOOPBACK,
        "webserver-port": str(api),
        "cache-ttl": "0",
        "query-cache-ttl": "0",
        "negquery-cache-ttl": "0",
    }
    command = [program, f"--config-dir={folder}"]
    command += [f"--{name}={value}" for name, value in settings.items()]
    options = {"pdns_server": f"http://{LOOPBACK}:{api}", "auth_token": token}
    server = RunningServer(LOOPBACK, port)
    with _running(command, folder, server, zone):
        yield WritableZone(server.address, options)


@contextmanager
def running_unbound(
    folder: Path,
    zones: Sequence[str],
    anchors: str,
    server: RunningServer,
    *,
    host: str = LOOPBACK,
    port: int | None = None,
) -> Iterator[str]:
    """Run a resolver that validates; gives its ``ADDRESS:PORT``.

    Args:
        folder: an empty one.
        zones: all that it knows.
        anchors: DS or DNSKEY records of those that must be signed (``keys_of``).
        server: of the zones.
        host: address that it listens on.
        port: for queries; ``None``: a free one.
    """
    resolver = RunningServer(host, port or free_port())
    (folder / "anchors").write_text(anchors, "utf-8")
    text = _UNBOUND.format(host=resolver.host, port=resolver.port, folder=folder)
    for zone in zones:
        text += f'stub-zone:\n  name: "{zone}"\n  stub-addr: {server.host}@{server.port}\n'
    configuration = folder / "unbound.conf"
    configuration.write_text(text, "utf-8")
    command = [need_program("unbound"), "-d", "-c", str(configuration)]
    with _running(command, folder, resolver, zones[0]):
        yield resolver.address


def keys_of(server: RunningServer, zone: str) -> str:
    """Return the DNSKEY records of a zone as trust anchors, as soon as it is signed."""
    return "\n".join(f"{zone}. DNSKEY {key}" for key in _wait_for(server, zone, "DNSKEY"))


@contextmanager
def _running(command: list[str], folder: Path, server: RunningServer, zone: str) -> Iterator[None]:
    """Run a program; returns as soon as it answers for a zone."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    try:
        _wait_for(server, zone, "SOA", process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(
    server: RunningServer,
    zone: str,
    kind: str,
    process: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
) -> list[str]:
    """Return the records of a name as soon as there are some."""
    query = dns.message.make_query(zone, kind)
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        if process is not None and log is not None:
            assert process.poll() is None, log.read_text("utf-8", "replace")
        with suppress(OSError, dns.exception.DNSException):
            answer = dns.query.tcp(query, server.host, port=server.port, timeout=0.5)
            if found := [str(one) for rrset in answer.answer for one in rrset]:
                return found
        time.sleep(0.02)
    raise RuntimeError(f"{server.address} has no {kind} of {zone}")
