"""From reasons to a verdict. Pure (design D12).

A mail without a bad signal lies in INBOX. A single reason may demand a verdict (a loop is refused
whatever else is known); all others add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Action(Enum):
    """What is done with the mail for one recipient, mildest first."""

    ACCEPT = "accept"
    JUNK = "junk"
    DEFER = "defer"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Reason:
    """One signal, and what it weighs."""

    signal: str
    """Stable name: ``format.no-date``."""
    weight: float
    """Positive speaks against the mail, negative for it."""
    text: str
    """One sentence for a person."""
    demands: Action | None = None
    """This alone settles it, whatever the sum."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows, and why."""

    action: Action
    score: float
    reasons: tuple[Reason, ...]
    """Heaviest first."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The score at which a mail is no longer taken at face value."""

    junk: float = 5.0


NOTHING_AGAINST = Verdict(Action.ACCEPT, 0.0, ())


def decide(reasons: Sequence[Reason], thresholds: Thresholds) -> Verdict:
    """Weigh the reasons."""
    if not reasons:
        return NOTHING_AGAINST
    score = round(sum(reason.weight for reason in reasons), 3)
    demanded = {reason.demands for reason in reasons}
    if Action.REJECT in demanded:
        action = Action.REJECT
    elif Action.DEFER in demanded:
        action = Action.DEFER
    elif Action.JUNK in demanded or score >= thresholds.junk:
        action = Action.JUNK
    else:
        action = Action.ACCEPT
    heaviest_first = sorted(reasons, key=lambda reason: -abs(reason.weight))
    return Verdict(action, score, tuple(heaviest_first))
