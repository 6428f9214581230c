"""A private BIND from Debian's packages, and an Unbound that validates, on loopback only."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode

from kit.foreign import need_program
from kit.name_servers import free_port

_START_SECONDS = 60.0
_SOA = "@ 300 IN SOA ns.{name}. hostmaster.{name}. 1 7200 3600 1209600 300\n"
_OPTIONS = """
options {{
  directory "{folder}";
  listen-on port {port} {{ {host}; }};
  listen-on-v6 {{ none; }};
  pid-file "{folder}/named.pid";
  session-keyfile "{folder}/session.key";
  managed-keys-directory "{folder}";
  recursion no;
  dnssec-validation no;
  notify no;
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
  trust-anchor-file: "{anchors}"
  local-zone: "test." nodefault
remote-control:
  control-enable: no
stub-zone:
  name: "{zone}"
  stub-addr: {server}
"""


@dataclass(frozen=True, slots=True)
class Named:
    """One that runs."""

    host: str
    port: int
    folder: Path

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``."""
        return f"{self.host}:{self.port}"


@contextmanager
def running_named(
    folder: Path,
    zones: Mapping[str, str],
    *,
    more: str = "",
    in_zone: str = "",
) -> Iterator[Named]:
    """Run a name server for zones.

    Args:
        folder: empty.
        zones: name to records as a zone file has them; without a SOA, one is put in front, with an
            NS record for ``ns.ZONE``.
        more: statements for its configuration.
        in_zone: statements for each zone: ``allow-update { any; };``.
    """
    program = need_program("named")
    host = "127.0.0.1"
    port = free_port()
    text = _OPTIONS.format(folder=folder, port=port, host=host) + more
    for name, records in zones.items():
        file = folder / f"{name}.zone"
        head = "" if " SOA " in records else f"$TTL 300\n{_SOA.format(name=name)}"
        address = "" if " SOA " in records else f"@ NS ns.{name}.\nns A {host}\n"
        file.write_text(head + address + records + "\n", "utf-8")
        text += f'zone "{name}" {{ type primary; file "{file}"; {in_zone} }};\n'
    configuration = folder / "named.conf"
    configuration.write_text(text, "utf-8")
    server = [program, "-g", "-4", "-n", "1", "-c", str(configuration)]
    with _running(server, folder / "named.log"):
        _wait(host, port, next(iter(zones)))
        yield Named(host, port, folder)


@contextmanager
def running_unbound(folder: Path, zone: str, anchors: str, server: Named) -> Iterator[str]:
    """Run a resolver that validates one zone; gives its ``ADDRESS:PORT``.

    Args:
        folder: empty.
        zone: that it knows, and no other.
        anchors: DS or DNSKEY records of the zone, as text.
        server: of the zone.
    """
    program = need_program("unbound")
    port = free_port()
    file = folder / "anchors"
    file.write_text(anchors, "utf-8")
    text = _UNBOUND.format(
        host="127.0.0.1",
        port=port,
        folder=folder,
        anchors=file,
        zone=zone,
        server=f"{server.host}@{server.port}",
    )
    configuration = folder / "unbound.conf"
    configuration.write_text(text, "utf-8")
    with _running([program, "-d", "-c", str(configuration)], folder / "unbound.log"):
        _wait("127.0.0.1", port, zone)
        yield f"127.0.0.1:{port}"


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(host: str, port: int, name: str) -> None:
    """Wait until the server answers for a zone."""
    query = dns.message.make_query(name, "SOA")
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        try:
            answer = dns.query.udp(query, host, port=port, timeout=0.5)
        except (OSError, dns.exception.DNSException):
            time.sleep(0.05)
            continue
        if answer.rcode() == dns.rcode.NOERROR and answer.answer:
            return
        time.sleep(0.05)
    raise RuntimeError(f"the name server on {host}:{port} does not answer for {name}")
