"""What can be said of a peer before it has said anything of a mail: its names, and lists of it.

The same for all mails of a session, so it is found out once, while the first one arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

from zajil.check.flows import Deadline
from zajil.check.sender.dns_lists import Asked, DnsLists, ListEntry
from zajil.check.verdict.signals import make_reason, printable
from zajil.check.verdict.verdict import Reason
from zajil.core.value_class import value_class
from zajil.dns.flow import Flow, Outcome, Question, Resolve, run_flow
from zajil.mailauth.authres import MethodResult
from zajil.tracking.events import CheckDone

MAX_NAMES = 5
"""Names of one address that are looked at; an honest one has one."""


@value_class(frozen=True, slots=True)
class Iprev:
    """Whether an address and its name agree (RFC 8601 section 3)."""

    result: str
    """``pass``, ``fail``, ``temperror`` or ``permerror``."""
    name: str | None
    """The one that leads back to the address; ``None``: there is none."""
    reason: str
    inputs: tuple[str, ...]


@value_class(frozen=True, slots=True)
class PeerFindings:
    """What was found out about a peer."""

    iprev: Iprev
    listed: tuple[ListEntry, ...]
    results: tuple[MethodResult, ...]
    """For Authentication-Results."""
    reasons: tuple[Reason, ...]
    events: tuple[CheckDone, ...]

    @property
    def name(self) -> str | None:
        """Its confirmed name."""
        return self.iprev.name


async def check_peer(
    ip: IPv4Address | IPv6Address,
    claimed_name: str,
    resolve: Resolve,
    lists: DnsLists,
    is_ours: Callable[[str], bool],
    now_ms: int,
) -> PeerFindings:
    """Ask for the peer's name and for it in all lists, side by side.

    Waits for DNS, ``deadline.SECONDS`` at most.

    Args:
        ip: of the peer.
        claimed_name: what it said in EHLO or HELO.
        resolve: asks DNS.
        lists: may be none.
        is_ours: whether a name is our host's or a domain's of ours: nobody else is called so.
        now_ms: for the events.
    """
    resolve = Deadline(resolve).resolve
    asked = _NOT_ASKED
    if lists:
        look_up = lists.find(ip, resolve)
        iprev, asked = await asyncio.gather(run_flow(check_iprev(ip), resolve), look_up)
    else:
        iprev = await run_flow(check_iprev(ip), resolve)
    reasons = [
        *_name_reasons(ip, iprev),
        *helo_reasons(ip, claimed_name, is_ours, iprev.name),
        *[_listed_reason(ip, one) for one in asked.listed if one.weight],
    ]
    events = [CheckDone(now_ms, "iprev", iprev.result, iprev.reason, iprev.inputs)]
    if lists:
        events.append(_lists_event(now_ms, ip, asked, lists))
    results = (MethodResult("iprev", iprev.result, (("policy.iprev", str(ip)),)),)
    return PeerFindings(iprev, asked.listed, results, tuple(reasons), tuple(events))


_NOT_ASKED = Asked((), (), did_all_answer=True)


def _lists_event(
    now_ms: int, ip: IPv4Address | IPv6Address, asked: Asked, lists: DnsLists
) -> CheckDone:
    told = ", ".join(one.zone for one in asked.listed)
    reason = f"{ip} is listed in {told}" if told else f"{ip} is not listed"
    result = "fail" if any(one.weight > 0 for one in asked.listed) else "pass"
    if not asked.did_all_answer:
        reason += ", but some lists did not respond"
        result = "temperror" if result == "pass" else result
    return CheckDone(now_ms, "dns lists", result, reason, (*asked.inputs, *_told_broken(lists)))


def _listed_reason(ip: IPv4Address | IPv6Address, listing: ListEntry) -> Reason:
    # A list of good addresses weighs below zero; it is no proof of anything.
    signal = "peer.listed" if listing.weight > 0 else "peer.vouched"
    return make_reason(signal, weight=listing.weight, ip=str(ip), list=listing.zone)


def _told_broken(lists: DnsLists) -> list[str]:
    return [f"{zone} was not queried: {reason}" for zone, reason in lists.broken.items()]


_THIS_MACHINE = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
"""The other loopback addresses are hosts of a lab."""


def _name_reasons(ip: IPv4Address | IPv6Address, iprev: Iprev) -> list[Reason]:
    if ip in _THIS_MACHINE:  # its programs need no name in anybody's DNS
        return []
    if iprev.result == "permerror":
        return [make_reason("peer.no-name")]
    return [make_reason("peer.unconfirmed-name")] if iprev.result == "fail" else []


def check_iprev(ip: IPv4Address | IPv6Address) -> Flow[Iprev]:
    """Find the names of an address, and those of them that lead back (RFC 8601 section 3)."""
    answer = yield Question(ip.reverse_pointer, "PTR")
    inputs = [str(answer)]
    if answer.outcome is Outcome.FAILED:
        reason = f"DNS lookup of the host name of {ip} failed"
        return Iprev("temperror", None, reason, tuple(inputs))
    if answer.outcome is not Outcome.FOUND:
        return Iprev("permerror", None, f"{ip} has no host name in DNS", tuple(inputs))
    failed = False
    kind = "A" if isinstance(ip, IPv4Address) else "AAAA"
    for name in answer.values[:MAX_NAMES]:
        forward = yield Question(name, kind)
        inputs.append(str(forward))
        if any(_is_same(value, ip) for value in forward.values):
            reason = f"{ip} resolves to {name}, and {name} resolves to {ip}"
            return Iprev("pass", name.lower().removesuffix("."), reason, tuple(inputs))
        failed = failed or forward.outcome is Outcome.FAILED
    result = "temperror" if failed else "fail"
    reason = f"{ip} resolves to {answer.values[0][:253]}, which does not resolve to that address"
    return Iprev(result, None, reason, tuple(inputs))


def _is_same(value: str, ip: IPv4Address | IPv6Address) -> bool:
    try:
        return ip_address(value) == ip
    except ValueError:
        return False


def helo_reasons(
    ip: IPv4Address | IPv6Address,
    claimed_name: str,
    is_ours: Callable[[str], bool],
    confirmed: str | None,
) -> list[Reason]:
    """Return what is odd about the name in EHLO.

    No mail is refused for it alone (RFC 5321 section 4.1.4). A name of ours is no lie where DNS
    confirms it, nor on this machine.
    """
    name = claimed_name.lower().removesuffix(".")
    if name.startswith("["):
        literal = name.strip("[]").removeprefix("ipv6:")
        return [] if _is_same(literal, ip) else [make_reason("peer.helo-other-address")]
    if is_ours(name) and name != confirmed and not ip.is_loopback:
        return [make_reason("peer.helo-ours", name=printable(claimed_name))]
    if _is_address(name):
        return [make_reason("peer.helo-bare-address")]
    return [] if "." in name else [make_reason("peer.helo-no-domain", name=printable(claimed_name))]


def _is_address(text: str) -> bool:
    # No name ends in a digit; to try costs as much as all else that is asked about a peer.
    if ":" not in text and not text[-1:].isdigit():
        return False
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
