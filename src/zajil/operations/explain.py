"""Why a mail was judged as it was, and what would have changed that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zajil.check.verdict.explain import Change, spell_change, what_would_change
from zajil.check.verdict.signals import SIGNALS
from zajil.check.verdict.verdict import Action, Reason, Thresholds, Verdict
from zajil.core.address import parse_address
from zajil.core.errors import Refused
from zajil.core.ids import MailId
from zajil.operations.journey import get_journey
from zajil.tracking.events import VerdictReached

Translate = Callable[[str], str]
"""From an English text of the catalogs to the reader's language."""


class NotJudged(Refused):
    """The mail has no verdict: it is our own, or its events are gone."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict, and what would have changed it."""

    recipient: str | None
    """Whose it is; ``None``: everybody's who has none of their own."""
    verdict: Verdict
    changes: tuple[Change, ...]


def explain(verdict: Verdict, thresholds: Thresholds, recipient: str | None = None) -> Explanation:
    """Return what would have changed a verdict."""
    return Explanation(recipient, verdict, what_would_change(verdict, thresholds))


def explain_mail(conn: Any, mail_id: MailId, thresholds: Thresholds) -> tuple[Explanation, ...]:
    """Explain the verdicts of a mail that was judged before, that which counts for most first.

    Everybody's comes first, or last where each recipient has one of their own.

    Args:
        conn: a read of the store.
        mail_id: our own id.
        thresholds: those of today; what would have changed is told by them.

    Raises:
        NoSuchMail: the id is unknown.
        NotJudged: it was never judged.
    """
    journey = get_journey(conn, mail_id)
    found = [one.event for one in journey.events if isinstance(one.event, VerdictReached)]
    if not found:
        raise NotJudged(f"{mail_id} has no verdict: it was not checked, or its journey has expired")
    own = {parse_address(event.recipient).key for event in found if event.recipient is not None}
    is_nobodys = own >= {parse_address(one.address).key for one in journey.recipients}
    found.sort(key=lambda event: (event.recipient is None) == is_nobodys)
    return tuple(explain(_stored(event), thresholds, event.recipient) for event in found)


def _stored(event: VerdictReached) -> Verdict:
    reasons: list[Reason] = []
    for name, weight, template, values in event.signals:
        known = SIGNALS.get(name)
        reasons.append(
            Reason(
                signal=name,
                weight=weight,
                template=template,
                demands=known.demands if known else None,
                values=tuple(values.items()),
                is_proof=known is not None and known.is_proof,
                asks_refusal=known is not None and known.asks_refusal,
            )
        )
    return Verdict(Action(event.verdict), event.score, tuple(reasons))


def explanation_to_dict(told: Explanation, translate: Translate) -> dict[str, Any]:
    """Return an explanation as ``zajil check explain --json`` prints it."""
    return {
        "verdict": told.verdict.action.value,
        "score": told.verdict.score,
        "reasons": [
            {
                "signal": reason.signal,
                "weight": reason.weight,
                "text": translate(reason.template).format(**dict(reason.values)),
            }
            for reason in told.verdict.reasons
        ],
        "recipient": told.recipient,
        "changes": [
            {
                "without": change.signal,
                "more": change.more,
                "verdict": change.action.value,
                "text": spell_change(change, translate),
            }
            for change in told.changes
        ],
    }
