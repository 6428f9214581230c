"""Mail that says it comes from one of our domains, and does not. Pure.

What our own people send goes through us and is signed; what comes from outside in their name, and
is proven by nothing, is a forgery or comes from somewhere the operator has not told DNS about.
Where the domain has a policy (DMARC), that speaks too; this is for domains that have none.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from zajil.check.facts import MessageFacts
from zajil.check.sender.author import find_authors
from zajil.check.sender.correspondent import correspondent_domain, prove
from zajil.check.sender.findings import SenderFindings
from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Reason

# Printers and programs of the house send in its name, and nobody signs for them.
_INSIDE = tuple(
    ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10", "::1/128"),
    )
)
_ON_A_LIST = 1.0
"""A list sends what our people wrote to it back to us, changed so that no signature holds."""


def check_pretence(
    facts: MessageFacts, sender: SenderFindings, domains: Collection[str]
) -> list[Reason]:
    """Return what speaks against a mail in the name of one of our domains; usually nothing.

    Args:
        facts: who brought it.
        sender: what was proven; where DNS did not answer, nothing is held against the mail.
        domains: ours.
    """
    if facts.login is not None or facts.peer is None or not domains or sender.override is not None:
        return []
    if sender.dmarc is None or sender.dmarc.result in ("pass", "temperror"):
        return []
    ours = [one for one in find_authors(facts.fields).domains if one in domains]
    if not ours or _is_inside(facts.peer.host) or _is_open(sender):
        return []
    proven = {
        correspondent_domain(one) for one in prove(sender.spf, sender.dkim, sender.dmarc).author
    }
    if correspondent_domain(ours[0]) in proven:
        return []
    is_list = any([field.name == b"list-id" for field in facts.fields])
    weight = _ON_A_LIST if is_list else None
    return [make_reason("phish.domain-of-ours", weight=weight, domain=ours[0])]


def _is_open(sender: SenderFindings) -> bool:
    """Whether DNS owes an answer that might have proven it."""
    results = [one.result for one in sender.dkim]
    if sender.spf is not None:
        results.append(sender.spf.result)
    return "temperror" in results


def _is_inside(host: str) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return True
    return any(address in network for network in _INSIDE)
