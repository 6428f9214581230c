"""What a worker remembers: for how long, how much, and what a clock that jumps does to it."""

from __future__ import annotations

from zajil.check.memory import Memory


def test_a_value_is_believed_for_its_time() -> None:
    memory: Memory[str, int] = Memory(5000, 10)
    memory.put("a", 1, 1000)
    assert memory.get("a", 1000) == 1
    assert memory.get("a", 5999) == 1
    assert memory.get("a", 6000) is None
    assert memory.get("b", 1000) is None


def test_a_short_ttl_ends_it_sooner_and_none_keeps_nothing() -> None:
    memory: Memory[str, int] = Memory(5000, 10)
    memory.put("a", 1, 0, 2)
    assert memory.get("a", 1999) == 1
    assert memory.get("a", 2000) is None
    memory.put("b", 1, 0, 86_400)
    assert memory.get("b", 5000) is None
    memory.put("c", 1, 0, 0)
    assert len(memory) == 2


def test_a_clock_that_is_set_back_does_not_make_it_live_longer() -> None:
    memory: Memory[str, int] = Memory(5000, 10)
    memory.put("a", 1, 3_600_000)
    assert memory.get("a", 3_599_999) is None
    assert memory.get("a", 0) is None


def test_it_never_holds_more_than_its_limit() -> None:
    memory: Memory[int, int] = Memory(5000, 10)
    for number in range(25):
        memory.put(number, number, 0)
        assert len(memory) <= 10
    assert memory.get(24, 0) == 24
