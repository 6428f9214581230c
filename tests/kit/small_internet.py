"""A small Internet on loopback, for a process in a network namespace of its own.

A signed zone that a DNS provider would hold, a resolver that validates it, an ACME authority and
the reverse zone of 127.0.0.0/8: all of them on the ports that they have on the Internet.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query

from kit.certificates import TestAuthority
from kit.foreign import need_program

NAME_SERVER = "127.0.0.53"
RESOLVER = "127.0.0.54"
AUTHORITY = "127.0.0.55"
_START_SECONDS = 60.0
_SOA = "$TTL 60\n@ SOA ns.{name}. hostmaster.{name}. 1 7200 3600 1209600 5\n@ NS ns.{name}.\n"
_NAMED = """
key "provider" {{ algorithm hmac-sha256; secret "{secret}"; }};
options {{
  directory "{folder}"; pid-file none; session-keyfile none; managed-keys-directory "{folder}";
  listen-on port 53 {{ {address}; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no;
}};
controls {{ }};
"""
_UNBOUND = """
server:
  interface: {address}
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
class SmallInternet:
    """What runs, and what a customer of its provider and its authority knows."""

    key_name: str
    secret: str
    """Of the TSIG key that may change the signed zone."""
    directory: str
    """URL of the ACME directory."""
    authority_ca: Path
    """PEM file: who signed the certificate of the authority's own HTTPS server."""
    issued_by: Path
    """PEM file: root of the certificates that it issues."""


@contextmanager
def small_internet(
    folder: Path, *, signed: str, hosts: Mapping[str, str], zones: Mapping[str, str]
) -> Iterator[SmallInternet]:
    """Run it; the caller is in a network namespace whose loopback interface is up.

    Args:
        folder: an empty one.
        signed: the zone that the provider signs; it has SOA, NS and the address of its server.
        hosts: address in 127.0.0.0/8 to host name, for the reverse zone.
        zones: more zones, with the records of each in the format of a zone file.
    """
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    reverse = "\n".join(
        f"{'.'.join(reversed(address.split('.')[1:]))} PTR {name}."
        for address, name in hosts.items()
    )
    with ExitStack() as stack:
        every = {signed: "", **zones, "127.in-addr.arpa": reverse}
        _start_named(stack, folder, signed, every, secret)
        _start_unbound(stack, folder, signed, list(every))
        directory, authority_ca = _start_pebble(stack, folder)
        issued_by = folder / "issued-by.pem"
        issued_by.write_bytes(_root_of(authority_ca))
        yield SmallInternet("provider", secret, directory, authority_ca, issued_by)


def _start_named(
    stack: ExitStack, folder: Path, signed: str, zones: Mapping[str, str], secret: str
) -> None:
    text = _NAMED.format(secret=secret, folder=folder, address=NAME_SERVER)
    for name, records in zones.items():
        head = _SOA.format(name=name)
        text_of_zone = f"{head}ns A {NAME_SERVER}\n{records}\n"
        (folder / f"{name}.zone").write_text(text_of_zone, "utf-8")
        policy = (
            'dnssec-policy default; inline-signing yes; update-policy { grant "provider" '
            "zonesub ANY; };"
            if name == signed
            else ""
        )
        text += f'zone "{name}" {{ type primary; file "{name}.zone"; {policy} }};\n'
    (folder / "named.conf").write_text(text, "utf-8")
    command = [need_program("named"), "-g", "-4", "-n", "1", "-c", str(folder / "named.conf")]
    _start(stack, command, folder / "named.log")
    _wait_for_zone(NAME_SERVER, signed, "DNSKEY")


def _start_unbound(stack: ExitStack, folder: Path, signed: str, zones: list[str]) -> None:
    query = dns.message.make_query(signed, "DNSKEY", want_dnssec=True)
    keys = dns.query.tcp(query, NAME_SERVER, timeout=5).answer[0]
    (folder / "anchors").write_text("\n".join(keys.to_text().splitlines()) + "\n", "utf-8")
    text = _UNBOUND.format(address=RESOLVER, folder=folder)
    for name in zones:
        text += f'stub-zone:\n  name: "{name}"\n  stub-addr: {NAME_SERVER}\n'
    (folder / "unbound.conf").write_text(text, "utf-8")
    command = [need_program("unbound"), "-d", "-c", str(folder / "unbound.conf")]
    _start(stack, command, folder / "unbound.log")
    _wait_for_zone(RESOLVER, signed, "SOA")


def _start_pebble(stack: ExitStack, folder: Path) -> tuple[str, Path]:
    authority = TestAuthority(folder)
    certificate, key = authority.issue(AUTHORITY)
    settings = {
        "listenAddress": f"{AUTHORITY}:443",
        "managementListenAddress": f"{AUTHORITY}:15000",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": settings}), "utf-8")
    command = [need_program("pebble"), "-config", str(folder / "pebble.json")]
    command += ["-dnsserver", f"{RESOLVER}:53"]
    _start(stack, command, folder / "pebble.log", {"PEBBLE_WFE_NONCEREJECT": "20"})
    return f"https://{AUTHORITY}/dir", authority.ca_file


def _root_of(ca_file: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(ca_file))
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(
                f"https://{AUTHORITY}:15000/roots/0", context=context
            ) as answer:
                found: bytes = answer.read()
                return found
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _start(
    stack: ExitStack, command: list[str], log: Path, environment: Mapping[str, str] | None = None
) -> None:
    output = stack.enter_context(log.open("wb"))
    path = {"PATH": "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin"}
    process = subprocess.Popen(
        command, stdout=output, stderr=subprocess.STDOUT, env={**path, **(environment or {})}
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)


def _wait_for_zone(server: str, zone: str, kind: str) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        with suppress(OSError, dns.exception.DNSException):
            query = dns.message.make_query(zone, kind)
            if dns.query.udp(query, server, timeout=0.5).answer:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{server} does not answer for {zone}")


def is_validated(zone: str) -> bool:
    """Return whether the resolver says that it validated an answer of the zone."""
    query = dns.message.make_query(zone, "SOA", want_dnssec=True)
    query.flags |= dns.flags.AD
    return bool(dns.query.udp(query, RESOLVER, timeout=5).flags & dns.flags.AD)


def prepare_network() -> None:
    """Give the loopback interface of a new network namespace what the servers listen on.

    Raises:
        RuntimeError: this process is in a namespace that has other interfaces.
    """
    names = [name for _, name in socket.if_nameindex() if not name.startswith("ifb")]
    if names != ["lo"]:
        raise RuntimeError("not in a network namespace of its own")
    ip = need_program("ip")
    subprocess.run([ip, "link", "set", "lo", "up"], check=True)
    # BIND listens on addresses that an interface has, and on no others of 127.0.0.0/8.
    subprocess.run([ip, "address", "add", f"{NAME_SERVER}/32", "dev", "lo"], check=True)
