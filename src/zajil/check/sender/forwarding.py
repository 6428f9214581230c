"""Whose word counts where DMARC fails: forwarders and lists that the operator trusts.

The local policy of RFC 8617 section 7.2.1 and RFC 9989 section 5.4. Nobody is trusted by default.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from zajil.check.facts import MessageFacts
from zajil.check.sender.peer import PeerFindings
from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Reason
from zajil.config.options_check import SenderOptions
from zajil.core.value_class import value_class
from zajil.mailauth.arc import ArcFound
from zajil.mailauth.authres_read import ReadResults, read_arc_results
from zajil.mailauth.dmarc import DmarcFound
from zajil.mailauth.spf import SpfFound
from zajil.net.peer import Networks


@value_class(frozen=True, slots=True)
class Override:
    """Why a failure of DMARC does not count."""

    kind: str
    """A word of RFC 9990 for reports: ``local_policy`` or ``trusted_forwarder``."""
    comment: str
    """For the same reports."""
    reason: Reason


def find_override(
    facts: MessageFacts,
    options: SenderOptions,
    peer: PeerFindings | None,
    spf: SpfFound | None,
    arc: ArcFound,
    dmarc: DmarcFound,
) -> Override | None:
    """Return who vouches for a mail that failed DMARC; ``None``: nobody, or nobody need."""
    if dmarc.result != "fail":
        return None
    forwarder = _trusted_forwarder(facts, options, peer, spf)
    if forwarder is not None:
        return Override(
            "trusted_forwarder",
            f"forwarded by {forwarder}",
            make_reason("dmarc.trusted-forwarder", forwarder=forwarder, domain=dmarc.domain),
        )
    # Security: a chain whose newest signature leaves From out can be put under any author, one
    # that ends before the body does under any text.
    if options.trusted_sealers and arc.cv == "pass" and arc.covers_from and arc.covers_body:
        sealer = _vouching_sealer(arc, frozenset(options.trusted_sealers), dmarc.domain)
        if sealer is not None:
            return Override(
                "local_policy",
                f"arc=pass as[{arc.instances}].d={sealer}",
                make_reason("arc.trusted", sealer=sealer, domain=dmarc.domain),
            )
    return None


def _trusted_forwarder(
    facts: MessageFacts,
    options: SenderOptions,
    peer: PeerFindings | None,
    spf: SpfFound | None,
) -> str | None:
    networks = options.trusted_forwarders
    if networks and facts.peer is not None and facts.peer.host in _networks(networks):
        return facts.peer.host
    for name in options.trusted_forwarder_names:
        if peer is not None and peer.name is not None and _is_below(peer.name, name):
            return peer.name
        if spf is not None and spf.result == "pass" and _is_below(spf.domain, name):
            return spf.domain
    return None


@lru_cache(maxsize=8)
def _networks(networks: tuple[str, ...]) -> Networks:
    return Networks(networks)


def _is_below(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _vouching_sealer(arc: ArcFound, trusted: frozenset[str], author: str) -> str | None:
    """Return the trusted sealer that saw the mail pass, before or after others we trust."""
    for handler in arc.trusted_handlers(trusted):
        told = read_arc_results(handler.results)
        if told is not None and _did_pass(told, author):
            return handler.domain
    return None


def _did_pass(told: ReadResults, author: str) -> bool:
    for result in told.results:
        if result.result != "pass":
            continue
        properties = dict(result.properties)
        if result.method == "dmarc" and _names(properties, ("header.from",), author):
            return True
        if result.method == "dkim" and _names(properties, ("header.d", "header.i"), author):
            return True
        if result.method == "spf" and _names(properties, ("smtp.mailfrom",), author):
            return True
    return False


def _names(properties: dict[str, str], names: Iterable[str], author: str) -> bool:
    """Whether a result is about the author; one that does not say of whom is about nobody."""
    return any(
        properties.get(name, "").rpartition("@")[2].lower().removesuffix(".") == author
        for name in names
    )
