"""The DNS zones of the lab as plain data.

The name server of the lab serves the whole DNS of the lab, including the root zone. A name that is
not in it does not exist, and a message to it bounces at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from zajil.core.directory import REPORTS_LOCAL_PART, TLS_REPORTS_LOCAL_PART

_SOA_TIMERS = "3600 600 86400 5"
"""Refresh, retry, expire, and the negative TTL (RFC 2308 section 5): short, for people who try."""


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record, in presentation form (RFC 1035 section 5.1)."""

    name: str
    """Fully qualified, A-labels, without a final dot; ``""`` is the root."""
    type: str
    value: str
    """``10 mx.north.test.``: names in it end in a dot."""


@dataclass(frozen=True, slots=True)
class Zone:
    """What one name server is authoritative for."""

    origin: str
    """Without a final dot; ``""`` is the root zone."""
    records: tuple[Record, ...]
    """SOA and NS among them."""


@dataclass(frozen=True, slots=True)
class MailHost:
    """The host that receives the mail of one domain."""

    domain: str
    """ASCII form."""
    name: str
    """``mx.north.test``."""
    address: IPv4Address
    nodes: tuple[IPv4Address, ...] = ()
    """``node1.mx.north.test`` and so on, if several servers stand behind the host."""

    @property
    def node_names(self) -> tuple[tuple[str, IPv4Address], ...]:
        """Name and address of each node."""
        return tuple(
            (f"node{number}.{self.name}", one) for number, one in enumerate(self.nodes, start=1)
        )


def lab_zones(hosts: Sequence[MailHost], nameserver: IPv4Address) -> tuple[Zone, ...]:
    """Return every zone of the lab: the root, one per mail domain, and the reverse one."""
    return (
        _root_zone(nameserver),
        *(_mail_zone(host, nameserver) for host in hosts),
        _reverse_zone(hosts),
    )


def _apex(origin: str, nameserver: str) -> tuple[Record, Record]:
    soa = f"{nameserver}. postmaster.{nameserver}. 1 {_SOA_TIMERS}"
    return Record(origin, "SOA", soa), Record(origin, "NS", f"{nameserver}.")


def _root_zone(nameserver: IPv4Address) -> Zone:
    return Zone(
        "",
        (
            *_apex("", "ns.lab.test"),
            Record("ns.lab.test", "A", str(nameserver)),
            Record("localhost", "A", "127.0.0.1"),
        ),
    )


def _mail_zone(host: MailHost, nameserver: IPv4Address) -> Zone:
    domain = host.domain
    return Zone(
        domain,
        (
            *_apex(domain, f"ns.{domain}"),
            Record(f"ns.{domain}", "A", str(nameserver)),
            Record(domain, "MX", f"10 {host.name}."),
            Record(host.name, "A", str(host.address)),
            *(Record(name, "A", str(address)) for name, address in host.node_names),
            # RFC 7208 section 3: both names are ones this host says in MAIL FROM and EHLO.
            Record(domain, "TXT", f'"v=spf1 ip4:{host.address} -all"'),
            Record(host.name, "TXT", f'"v=spf1 ip4:{host.address} -all"'),
            Record(
                f"_dmarc.{domain}",
                "TXT",
                f'"v=DMARC1; p=reject; rua=mailto:{REPORTS_LOCAL_PART}@{domain}"',
            ),
            Record(
                f"_smtp._tls.{domain}",
                "TXT",
                f'"v=TLSRPTv1; rua=mailto:{TLS_REPORTS_LOCAL_PART}@{domain}"',
            ),
        ),
    )


def _reverse_zone(hosts: Sequence[MailHost]) -> Zone:
    named = [pair for host in hosts for pair in ((host.name, host.address), *host.node_names)]
    pointers = tuple(Record(address.reverse_pointer, "PTR", f"{name}.") for name, address in named)
    return Zone("127.in-addr.arpa", (*_apex("127.in-addr.arpa", "ns.lab.test"), *pointers))
