"""A small Internet on loopback, for a process in a network namespace of its own.

A signed zone that a DNS provider would hold, a resolver that validates it, an ACME authority and
the reverse zone of 127.0.0.0/8: all of them on the ports that they have on the Internet.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.flags
import dns.message
import dns.query

from kit.foreign import need_program
from kit.name_servers import SIGNING, UpdateKey, keys_of, running_named, running_unbound
from kit.pebble import Place, pebble

NAME_SERVER = "127.0.0.53"
RESOLVER = "127.0.0.54"
AUTHORITY = "127.0.0.55"


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
    key = UpdateKey.new("provider")
    reverse = "\n".join(
        f"{'.'.join(reversed(address.split('.')[1:]))} PTR {name}."
        for address, name in hosts.items()
    )
    every = {signed: "", **zones, "127.in-addr.arpa": reverse}
    for name in ("named", "unbound", "pebble"):
        (folder / name).mkdir()
    with ExitStack() as stack:
        named = running_named(
            folder / "named",
            every,
            host=NAME_SERVER,
            port=53,
            more=key.statement,
            in_zone={signed: f"{SIGNING} {key.in_zone}"},
        )
        server = stack.enter_context(named)
        anchors = keys_of(server, signed)
        unbound = running_unbound(
            folder / "unbound", list(every), anchors, server, host=RESOLVER, port=53
        )
        resolver = stack.enter_context(unbound)
        place = Place(AUTHORITY, 443, 15000)
        authority = stack.enter_context(
            pebble(folder / "pebble", resolver, http_port=80, tls_port=443, place=place)
        )
        issued_by = authority.root(folder)
        yield SmallInternet(key.name, key.secret, authority.directory, authority.ca_file, issued_by)


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
