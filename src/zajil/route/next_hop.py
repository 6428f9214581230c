"""The next hop for the mail of a domain: its MX hosts, or its own addresses.

RFC 5321 section 5.1 and section 5.2, RFC 7505 (null MX), RFC 3463 (status codes).

Laws:
- DNS data never raises here: the result is ``Hosts`` or ``NoRoute``.
- Only definite answers are permanent. If a query fails, the mail stays in the queue.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from zajil.core.clock import Random
from zajil.core.domain import BadDomain, to_ascii
from zajil.core.value_class import value_class
from zajil.dns.flow import Answer, Flow, Outcome, Question

MAX_HOSTS = 20
"""MX names we look up, the best first: a domain with thousands must not cost us thousands of
questions. Large domains have fewer than ten."""

MAX_ADDRESSES = 8
"""Addresses we keep for one host, for the same reason."""


@value_class(frozen=True, slots=True)
class Host:
    """One server that takes mail for the domain."""

    preference: int
    """Of its MX record; 0 where there is none. Lower is tried first."""
    name: str
    """ASCII, lower case; an address literal stands for itself, with its brackets."""
    addresses: tuple[str, ...]
    """IP addresses in the order they are tried; never empty."""
    is_authentic: bool = False
    """DNSSEC protects the addresses."""

    def __str__(self) -> str:
        """Return it as the journey shows it: ``10 mx1.example.net [192.0.2.1, 2001:db8::1]``."""
        return f"{self.preference} {self.name} [{', '.join(self.addresses)}]"


@value_class(frozen=True, slots=True)
class Hosts:
    """The way on."""

    hosts: tuple[Host, ...]
    """In the order they are tried; never empty."""
    inputs: tuple[str, ...]
    """The DNS answers it rests on, one a line."""
    is_authentic: bool = False
    """DNSSEC protects the MX records, or the fact that there are none."""


@value_class(frozen=True, slots=True)
class NoRoute:
    """There is no way to the domain."""

    temporary: bool
    """DNS did not say; ask again later."""
    status: str
    """Enhanced status code (RFC 3463)."""
    reason: str
    """A sentence for a person."""
    inputs: tuple[str, ...]


def find_hosts(domain: str, *, own_hostname: str, random: Random) -> Flow[Hosts | NoRoute]:
    """Find the servers of a domain, in the order they are to be tried.

    Args:
        domain: in U-labels or A-labels, or an address literal ``[192.0.2.1]``.
        own_hostname: the name this server has in MX records; what is as far away as we are, or
            further, is not asked, else mail would go in circles (RFC 5321 section 5.1).
        random: shuffles hosts of equal preference.
    """
    if domain.startswith("["):
        return _literal_route(domain)
    try:
        name = to_ascii(domain)
    except BadDomain:
        return NoRoute(False, "5.1.2", f"{domain!r} is not a domain name", ())
    answer = yield Question(name, "MX")
    inputs = [str(answer)]
    if answer.outcome is Outcome.FAILED:
        return NoRoute(True, "4.4.3", f"DNS lookup of {name} failed", tuple(inputs))
    if answer.outcome is Outcome.NO_NAME:
        return NoRoute(False, "5.1.2", f"the domain {name} does not exist", tuple(inputs))
    # No MX record at all: the domain is its own host (RFC 5321 section 5.1).
    implicit = answer.outcome is Outcome.NO_RECORDS
    ranked = [(0, name)] if implicit else _read_mx(answer.values)
    if not ranked:
        # RFC 7505 section 3: the single record "MX 0 ." says that nobody takes mail there.
        reason = f"the domain {name} does not accept mail (null MX)"
        return NoRoute(False, "5.1.10", reason, tuple(inputs))
    nearer = _nearer_than_us(ranked, own_hostname.lower())
    if not nearer:
        reason = f"mail for {name} would loop back to this server"
        return NoRoute(False, "5.4.6", reason, tuple(inputs))
    ranked = _order(nearer, random)[:MAX_HOSTS]
    return (yield from _resolve_hosts(name, ranked, inputs, is_authentic=answer.authentic))


def find_relay(host: str) -> Flow[Hosts | NoRoute]:
    """Find the addresses of a host that an option names; its MX records are not used.

    ``NoRoute`` is always temporary: an operator can mend the option.

    Args:
        host: host name in A-labels, or IP address.
    """
    try:
        address = str(ip_address(host))
    except ValueError:
        route = yield from _resolve_hosts(host, [(0, host)], [], is_authentic=False)
        if isinstance(route, Hosts):
            return route
        reason = f"DNS has no address of the relay {host}"
        if route.temporary:
            reason = f"DNS lookup of the relay {host} failed"
        return NoRoute(True, "4.4.3", reason, route.inputs)
    return Hosts((Host(0, address, (address,)),), ())


def _read_mx(values: Iterable[str]) -> list[tuple[int, str]]:
    """Return preference and host of each record that names one; "." names none."""
    ranked: set[tuple[int, str]] = set()
    for value in values:
        preference, _, host = value.partition(" ")
        host = host.lower().rstrip(".")
        if host and preference.isascii() and preference.isdecimal():
            ranked.add((int(preference), host))
    return sorted(ranked)


def _nearer_than_us(ranked: list[tuple[int, str]], own_hostname: str) -> list[tuple[int, str]]:
    ours = min((preference for preference, host in ranked if host == own_hostname), default=None)
    return [entry for entry in ranked if ours is None or entry[0] < ours]


def _order(ranked: list[tuple[int, str]], random: Random) -> list[tuple[int, str]]:
    if len(ranked) == 1:
        return ranked
    # RFC 5321 section 5.1: spread the load over hosts of equal preference.
    return sorted(ranked, key=lambda entry: (entry[0], random(4)))


def _resolve_hosts(
    domain: str, ranked: list[tuple[int, str]], inputs: list[str], *, is_authentic: bool
) -> Flow[Hosts | NoRoute]:
    hosts: dict[str, Host] = {}
    failed = False
    for preference, name in ranked:
        if name in hosts:
            continue  # listed twice; the better preference came first
        addresses: list[str] = []
        protected = True
        # IPv4 first: many receivers refuse IPv6 peers that have no PTR record.
        for kind in ("A", "AAAA"):
            answer = yield Question(name, kind)
            inputs.append(str(answer))
            failed = failed or answer.outcome is Outcome.FAILED
            if usable := _usable_addresses(answer):
                addresses += usable
                protected = protected and answer.authentic
        if addresses:
            hosts[name] = Host(preference, name, tuple(addresses[:MAX_ADDRESSES]), protected)
    if hosts:
        return Hosts(tuple(hosts.values()), tuple(inputs), is_authentic)
    if failed:
        reason = f"DNS lookup of the mail servers of {domain} failed"
        return NoRoute(True, "4.4.3", reason, tuple(inputs))
    reason = f"no mail server of {domain} has an address"
    return NoRoute(False, "5.4.4", reason, tuple(inputs))


def _usable_addresses(answer: Answer) -> list[str]:
    usable: list[str] = []
    for value in answer.values:
        try:
            address = ip_address(value)
        except ValueError:
            continue
        if _is_somebody(address):
            usable.append(str(address))
    return usable


def _is_somebody(address: IPv4Address | IPv6Address) -> bool:
    """Return false for addresses of this host (0.0.0.0, ::) and for multicast.

    Security: whoever writes a zone would choose which of our ports we speak to.
    """
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    host = mapped or address
    return not (host.is_unspecified or host.is_multicast)


def _literal_route(literal: str) -> Hosts | NoRoute:
    """Read ``[192.0.2.1]`` or ``[IPv6:2001:db8::1]`` (RFC 5321 section 4.1.3)."""
    text = literal[1:].removesuffix("]")
    try:
        ipv6 = text[:5].lower() == "ipv6:"
        address = IPv6Address(text[5:]) if ipv6 else IPv4Address(text)
    except ValueError:
        return NoRoute(False, "5.1.2", f"{literal} is not an address literal", ())
    if not _is_somebody(address):
        return NoRoute(False, "5.1.2", f"the address {literal} cannot be reached", ())
    return Hosts((Host(0, literal, (str(address),)),), (f"address literal {literal}",))
