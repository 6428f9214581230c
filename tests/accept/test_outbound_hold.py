"""The rule that holds the mail of an account: limits, what is usual, trust."""

from __future__ import annotations

from kit.store import NOW_MS
from zajil.accept.outbound_hold import DAY_MS, HOUR_MS, HoldRule, count, hold_rule
from zajil.config.options_users import SubmitOptions
from zajil.store.feedback.outbound_hold import StrangerCounts

RULE = HoldRule(per_hour=5, per_day=8, factor=3.0)


def test_what_is_usual_is_allowed_three_times() -> None:
    counts = StrangerCounts(hour=NOW_MS // HOUR_MS, day=NOW_MS // DAY_MS, usual=10.0)
    assert RULE.permits(count(counts, 30, NOW_MS))
    assert not RULE.permits(count(counts, 31, NOW_MS))
    assert HoldRule(0, 0, 3.0).permits(count(counts, 10_000, NOW_MS))


def test_too_many_are_held_unless_the_account_is_trusted() -> None:
    assert RULE.decide(StrangerCounts(), 5, NOW_MS).held_ms is None
    assert RULE.decide(StrangerCounts(), 6, NOW_MS).held_ms == NOW_MS
    trusted = StrangerCounts(trusted_until_ms=NOW_MS + 1)
    assert RULE.decide(trusted, 6, NOW_MS).held_ms is None
    assert RULE.decide(trusted, 6, NOW_MS + 1).held_ms == NOW_MS + 1


def test_nobody_makes_much_look_usual_in_a_few_days() -> None:
    """Attack: a thief who is patient. Three days at the limit raise it by little."""
    counts = StrangerCounts()
    for day in range(4):
        counts = count(counts, 8, NOW_MS + day * DAY_MS)
    assert counts.usual < 1.7
    later = count(counts, 0, NOW_MS + 40 * DAY_MS)
    assert later.day_count == later.hour_count == 0
    assert later.usual < 0.3


def test_a_worker_whose_clock_is_behind_counts_into_the_period_that_is_there() -> None:
    counts = count(count(StrangerCounts(), 5, NOW_MS), 1, NOW_MS - HOUR_MS)
    assert (counts.hour_count, counts.day_count) == (6, 6)


def test_without_limits_there_is_no_rule() -> None:
    assert hold_rule(SubmitOptions(strangers_per_hour=0, strangers_per_day=0)) is None
    assert hold_rule(SubmitOptions(strangers_per_hour=0, strangers_per_day=7)) == HoldRule(
        0, 7, 3.0
    )
