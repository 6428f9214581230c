"""The check step: every check, one verdict, the events that explain it.

Returns without waiting where no check has to ask anybody and the message is in memory. SPF, DKIM,
DMARC, ARC and the spam checks come in here, before ``decide``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from zajil.check.content import check_format
from zajil.check.facts import MessageFacts
from zajil.check.result_fields import forged_ranges, result_field
from zajil.check.verdict import Thresholds, Verdict, decide
from zajil.tracking.events import CheckDone, TrackingEvent, VerdictReached

_THRESHOLDS = Thresholds()


@dataclass(frozen=True, slots=True)
class Checked:
    """What the step found out."""

    verdict: Verdict
    field: bytes
    """Our Authentication-Results, with its CRLF."""
    forged: list[tuple[int, int]]
    """Offset and end, in the header section, of fields to cut out."""
    events: tuple[TrackingEvent, ...]


async def check_message(facts: MessageFacts) -> Checked:
    """Check a mail that is here to its last byte.

    Raises:
        StoreUnavailable: its body cannot be read from the disk.
    """
    if isinstance(facts.body, bytes):
        reasons = check_format(facts)
    else:
        reasons = await asyncio.to_thread(check_format, facts)
    verdict = decide(reasons, _THRESHOLDS)
    sentences = tuple([reason.text for reason in verdict.reasons])
    result = "pass" if not reasons else "remarks"
    told = " ".join(sentences) or "The form of the message is right."
    events = (
        CheckDone(facts.now_ms, "format", result, told, ()),
        VerdictReached(facts.now_ms, None, verdict.action.value, verdict.score, sentences),
    )
    return Checked(verdict, result_field(facts, ()), forged_ranges(facts), events)
