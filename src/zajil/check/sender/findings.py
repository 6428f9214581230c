"""What was found out about the sender, as Authentication-Results and as events."""

from __future__ import annotations

import re
from collections.abc import Sequence

from zajil.check.facts import MessageFacts
from zajil.check.sender.forwarding import Override
from zajil.check.sender.peer import PeerFindings
from zajil.check.verdict.verdict import Reason
from zajil.core.value_class import value_class
from zajil.mailauth.arc import ArcFound
from zajil.mailauth.authres import MethodResult
from zajil.mailauth.dkim_verify import DkimFound
from zajil.mailauth.dmarc import DmarcFound
from zajil.mailauth.spf import SpfFound
from zajil.message.fields import Field
from zajil.tracking.events import CheckDone

_MAX_REASON = 200
_QUIET = ("pass", "none", "neutral")
_SIGNED = re.compile(rb"(?:\A|;)[ \t\r\n]*+b[ \t\r\n]*+=([A-Za-z0-9+/ \t\r\n]{8,80})")


@value_class(frozen=True, slots=True, kw_only=True)
class SenderFindings:
    """What the checks found out about the sender of a mail."""

    spf: SpfFound | None = None
    """Of MAIL FROM; ``None``: the mail came from this machine, or was not checked."""
    spf_helo: SpfFound | None = None
    """``None``: as above, or the name in EHLO is also what MAIL FROM was checked by."""
    dkim: tuple[DkimFound, ...] = ()
    arc: ArcFound | None = None
    dmarc: DmarcFound | None = None
    peer: PeerFindings | None = None
    """As it was given."""
    override: Override | None = None
    """Why a failure of DMARC does not count."""
    results: tuple[MethodResult, ...] = ()
    """For Authentication-Results, those of the peer too."""
    reasons: tuple[Reason, ...] = ()
    """Without those of the peer."""
    events: tuple[CheckDone, ...] = ()
    """Without those of the peer."""
    claims: tuple[Reason, ...] = ()
    """What speaks against addresses in From that are not its authors."""
    must_ask_again: bool = False
    """DNS was not asked for what could have refused the mail."""


NOT_CHECKED = SenderFindings()


def sender_results(facts: MessageFacts, found: SenderFindings) -> tuple[MethodResult, ...]:
    """Return the results in the order in which they were found (RFC 8601 section 2.7)."""
    results: list[MethodResult] = list(found.peer.results) if found.peer is not None else []
    if found.spf is not None:
        results.append(_spf_result(facts, found.spf))
    if found.spf_helo is not None and found.spf_helo.result != "none":
        results.append(_helo_result(facts, found.spf_helo))
    results += _dkim_results(facts.fields, found.dkim)
    # A chain that DNS did not tell of is neither whole nor broken; who forwards it leaves it alone.
    if found.arc is not None and not found.arc.is_temporary:
        results.append(_arc_result(facts, found.arc))
    if found.dmarc is not None:
        results.append(_dmarc_result(found.dmarc, found.override is not None))
    return tuple(results)


def _spf_result(facts: MessageFacts, found: SpfFound) -> MethodResult:
    if facts.reverse_path is None:
        return _helo_result(facts, found)
    sender = (("smtp.mailfrom", str(facts.reverse_path)),)
    return MethodResult("spf", found.result, sender, _reason(found.result, found.reason))


def _helo_result(facts: MessageFacts, found: SpfFound) -> MethodResult:
    name = (("smtp.helo", facts.claimed_name[:253]),)
    return MethodResult("spf", found.result, name, _reason(found.result, found.reason))


def _dkim_results(fields: Sequence[Field], found: Sequence[DkimFound]) -> list[MethodResult]:
    if not found:
        return [MethodResult("dkim", "none")]
    signatures = [field for field in fields if field.name == b"dkim-signature"]
    results = []
    for one, field in zip(found, signatures, strict=False):
        properties = []
        if one.domain:
            properties = [("header.d", one.domain), ("header.i", one.identity[:320])]
            properties += [("header.s", one.selector), ("header.a", one.algorithm)]
        start = _SIGNED.search(field.value)
        if start is not None:
            # RFC 6008 section 4: enough of b= to tell which signature is meant.
            text = b"".join(start[1].split())[:8].decode("ascii")
            properties.append(("header.b", text))
        results.append(
            MethodResult("dkim", one.result, tuple(properties), _reason(one.result, one.reason))
        )
    return results


def _arc_result(facts: MessageFacts, found: ArcFound) -> MethodResult:
    if found.cv == "none":
        return MethodResult("arc", "none")
    properties: list[tuple[str, str]] = []
    if found.oldest_pass is not None:
        properties.append(("header.oldest-pass", str(found.oldest_pass)))
    if facts.peer is not None:
        properties.append(("smtp.remote-ip", facts.peer.host))
    return MethodResult("arc", found.cv, tuple(properties), _reason(found.cv, found.reason))


def _dmarc_result(found: DmarcFound, is_overridden: bool) -> MethodResult:
    properties: list[tuple[str, str]] = []
    if found.domain:
        properties.append(("header.from", found.domain))
    if found.record is not None:
        properties.append(("policy.dmarc", found.policy))
    reason = "overridden by local policy" if is_overridden else _reason(found.result, found.reason)
    return MethodResult("dmarc", found.result, tuple(properties), reason)


def _reason(result: str, reason: str) -> str:
    return "" if result in _QUIET else reason[:_MAX_REASON]


def sender_events(facts: MessageFacts, found: SenderFindings) -> tuple[CheckDone, ...]:
    """Return one event for each method, with the DNS answers it rests on."""
    at_ms = facts.now_ms
    events = []
    if found.spf is not None:
        events.append(CheckDone(at_ms, "spf", found.spf.result, found.spf.reason, found.spf.inputs))
    helo = found.spf_helo
    if helo is not None and helo.result != "none":
        events.append(CheckDone(at_ms, "spf helo", helo.result, helo.reason, helo.inputs))
    events.append(_dkim_event(at_ms, found.dkim))
    if found.arc is not None and found.arc.cv != "none":
        arc = found.arc
        events.append(CheckDone(at_ms, "arc", arc.cv, arc.reason, arc.inputs))
    if found.dmarc is not None:
        dmarc = found.dmarc
        told = f" {found.override.reason.text}" if found.override is not None else ""
        events.append(
            CheckDone(at_ms, "dmarc", dmarc.result, f"{dmarc.reason}{told}", dmarc.inputs)
        )
    return tuple(events)


def _dkim_event(at_ms: int, found: Sequence[DkimFound]) -> CheckDone:
    if not found:
        return CheckDone(at_ms, "dkim", "none", "The message has no DKIM signature.", ())
    best = next((one for one in found if one.result == "pass"), found[0])
    return CheckDone(
        at_ms,
        "dkim",
        best.result,
        " ".join(dict.fromkeys([one.reason for one in found]))[:1000],
        tuple(dict.fromkeys(line[:600] for one in found for line in one.inputs)),
    )
