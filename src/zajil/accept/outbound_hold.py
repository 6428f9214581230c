"""When the mail of an account is held: a sudden number of new recipients elsewhere. Pure.

A new recipient is one that the account never wrote to. ``store.feedback.outbound_hold`` keeps the
counts, and asks ``HoldRule.decide`` in the commit that accepts the mail.
"""

from __future__ import annotations

from dataclasses import replace

from zajil.config.options_users import SubmitOptions
from zajil.core.value_class import value_class
from zajil.store.feedback.outbound_hold import StrangerCounts

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
RENEW_MS = 30 * DAY_MS
"""Age at which the memory of a correspondent is renewed by the next mail to it."""
_USUAL_FACTOR = 3.0
"""Twice as much as usual is a busy day."""
_AVERAGE_DAYS = 14
"""Days of the average: a few days of much mail do not make much mail usual."""


@value_class(frozen=True, slots=True)
class HoldRule:
    """How many new recipients an account may write to; 0: no limit."""

    per_hour: int
    per_day: int
    factor: float
    """This many times what is usual for the account is allowed too."""

    def decide(self, before: StrangerCounts, new: int, now_ms: int) -> StrangerCounts:
        """Return the counts after a mail to ``new`` new recipients, held if they are too many."""
        after = count(before, new, now_ms)
        is_trusted = now_ms < (after.trusted_until_ms or 0)
        return after if is_trusted or self.permits(after) else replace(after, held_ms=now_ms)

    def permits(self, counts: StrangerCounts) -> bool:
        """Whether an account with these counts may go on."""
        usual = counts.usual * self.factor
        return (not self.per_hour or counts.hour_count <= max(self.per_hour, usual)) and (
            not self.per_day or counts.day_count <= max(self.per_day, usual)
        )


def hold_rule(options: SubmitOptions) -> HoldRule | None:
    """Return the rule of the configuration; ``None``: no limit is set."""
    if options.strangers_per_hour or options.strangers_per_day:
        return HoldRule(options.strangers_per_hour, options.strangers_per_day, _USUAL_FACTOR)
    return None


def count(before: StrangerCounts, new: int, now_ms: int) -> StrangerCounts:
    """Return the counts with ``new`` more; the average takes in each day that has ended."""
    # A worker whose clock is a moment behind counts into the period that is there.
    hour, day = max(before.hour, now_ms // HOUR_MS), max(before.day, now_ms // DAY_MS)
    usual, day_count = before.usual, before.day_count
    if day > before.day:
        if before.day:
            usual += (day_count - usual) / _AVERAGE_DAYS
            usual *= (1 - 1 / _AVERAGE_DAYS) ** (day - before.day - 1)
        day_count = 0
    hour_count = before.hour_count if hour == before.hour else 0
    return replace(
        before,
        hour=hour,
        hour_count=hour_count + new,
        day=day,
        day_count=day_count + new,
        usual=usual,
    )
