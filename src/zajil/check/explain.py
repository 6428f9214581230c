"""What would have changed a verdict. Pure.

A person who asks why a mail is junk wants to know what to do about it: which one reason, had it not
been there, would have led to something else, and how near the mail is to the next worse thing.
"""

from __future__ import annotations

from dataclasses import dataclass

from zajil.check.verdict import Action, Thresholds, Verdict, decide


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that would have led to another verdict."""

    signal: str | None
    """The reason to take away; ``None``: weight to add."""
    more: float
    """Weight to add; 0 where a reason is taken away."""
    action: Action
    """What it would have been then."""


def what_would_change(verdict: Verdict, thresholds: Thresholds) -> tuple[Change, ...]:
    """Give each single reason without which the verdict differs; if none, how much is missing."""
    changes: list[Change] = []
    for place, reason in enumerate(verdict.reasons):
        rest = (*verdict.reasons[:place], *verdict.reasons[place + 1 :])
        action = decide(rest, thresholds).action
        if action is not verdict.action:
            changes.append(Change(reason.signal, 0.0, action))
    if verdict.action is Action.ACCEPT:
        more = round(thresholds.junk - verdict.score, 3)
        changes.append(Change(None, more, Action.JUNK))
    return tuple(changes)


def spell_change(change: Change) -> str:
    """Write one in English."""
    if change.signal is None:
        return f"{change.more:g} more against it would have made it {change.action.value}."
    return f"Without {change.signal} it would have been {change.action.value}."
