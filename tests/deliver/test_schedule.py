"""RFC 5321 section 4.5.4: when a mail is tried again, and whose turn it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.deliver.schedule import Schedule, next_try_ms

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("tries", "wait_ms"),
    [
        (1, 5 * MINUTE),
        (2, 10 * MINUTE),
        (3, 20 * MINUTE),
        (6, 160 * MINUTE),
        (7, 4 * HOUR),
        (5000, 4 * HOUR),
    ],
)
def test_the_wait_doubles_up_to_its_limit(tries: int, wait_ms: int) -> None:
    when = next_try_ms(0, tries, 5 * DAY, first_ms=5 * MINUTE, max_ms=4 * HOUR, jitter=1.0)
    assert when == wait_ms


@given(st.integers(1, 100), st.floats(0, 1), st.integers(0, 5 * DAY))
def test_jitter_spreads_and_expiry_ends(tries: int, jitter: float, left_ms: int) -> None:
    when = next_try_ms(0, tries, left_ms, first_ms=5 * MINUTE, max_ms=4 * HOUR, jitter=jitter)
    assert min(4 * MINUTE, left_ms) <= when <= min(4 * HOUR, left_ms)


def schedule(capacity: int = 100) -> Schedule[str, int]:
    return Schedule(concurrency=4, concurrency_per_hop=2, capacity=capacity)


def test_hops_take_turns() -> None:
    plan = schedule()
    for number in range(10):
        plan.add("big.test", number)
    plan.add("small.test", 100)
    assert list(plan.take()) == [("big.test", 0), ("small.test", 100), ("big.test", 1)]
    assert list(plan.take()) == []
    plan.finish("big.test")
    assert list(plan.take()) == [("big.test", 2)]


def test_there_is_a_limit_for_all_together() -> None:
    plan = schedule()
    for number in range(10):
        plan.add(f"hop{number}.test", number)
    assert [number for _, number in plan.take()] == [0, 1, 2, 3]
    assert plan.running == 4
    plan.finish("hop0.test")
    assert [number for _, number in plan.take()] == [4]


def test_room_counts_what_waits_and_what_runs() -> None:
    plan = schedule(capacity=6)
    for number in range(5):
        plan.add("big.test", number)
    assert plan.room == 1
    assert plan.crowded_hops() == {"big.test"}
    assert len(list(plan.take())) == 2
    assert plan.room == 1
    plan.finish("big.test")
    assert plan.room == 2


def test_what_waits_can_be_dropped() -> None:
    plan = schedule()
    for number in range(5):
        plan.add("big.test", number)
    plan.add("small.test", 9)
    list(plan.take())
    assert plan.drop("big.test") == [2, 3, 4]
    assert plan.drop("big.test") == []
    plan.add("late.test", 7)
    assert plan.drop_all() == [7]
    assert plan.running == 3
