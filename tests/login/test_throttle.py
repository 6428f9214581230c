"""Failures slow the next answer down, and never lock anybody out."""

from __future__ import annotations

import pytest

from zajil.login.throttle import (
    KNOWN_FAILURES,
    LONGEST_MS,
    MOST_PEERS,
    TURNS,
    WINDOW_MS,
    Throttle,
    Turn,
    throttled_network,
)


def failed(times: int, free: int = 3, peer: str = "192.0.2.1") -> Throttle:
    throttle = Throttle(free)
    for number in range(times):
        throttle.record_failure(throttled_network(peer), 1000, b"%d" % number)
    return throttle


@pytest.mark.parametrize(
    ("failures", "delay_ms"),
    [(0, 0), (2, 0), (3, 500), (4, 1000), (5, 2000), (9, 20_000), (500, 20_000)],
)
def test_each_failure_past_the_free_ones_doubles_the_delay(failures: int, delay_ms: int) -> None:
    assert failed(failures).delay_ms("192.0.2.1", 1000) == delay_ms


def test_nobody_waits_longer_than_a_client_does() -> None:
    assert failed(10_000).delay_ms("192.0.2.1", 1000) <= LONGEST_MS


def test_failures_are_forgotten_after_the_window() -> None:
    throttle = failed(8)
    assert throttle.delay_ms("192.0.2.1", 1000 + WINDOW_MS + 1) == 0
    throttle.record_failure("192.0.2.1", 1000 + WINDOW_MS + 1, b"again")
    assert throttle.delay_ms("192.0.2.1", 1000 + WINDOW_MS + 1) == 0


def test_the_same_wrong_answer_is_one_guess() -> None:
    """A phone with an old password must not slow its whole office down."""
    throttle = Throttle(3)
    assert throttle.record_failure("192.0.2.1", 1000, b"old password")
    for _ in range(100):
        assert not throttle.record_failure("192.0.2.1", 1000, b"old password")
    assert throttle.delay_ms("192.0.2.1", 1000) == 0


def test_what_other_workers_counted_counts_here_too() -> None:
    throttle = failed(1)
    throttle.learn("192.0.2.1", 4, 1500)
    assert throttle.delay_ms("192.0.2.1", 2000) == 1000
    throttle.learn("192.0.2.1", 2, 1000)  # late news takes nothing back
    assert throttle.delay_ms("192.0.2.1", 2000) == 1000
    throttle.learn("192.0.2.9", 0, 0)
    assert throttle.delay_ms("192.0.2.9", 2000) == 0


def test_what_others_counted_in_an_earlier_window_is_forgotten() -> None:
    """The store may still tell of it when the first failure of this window is counted."""
    throttle = Throttle(3)
    now_ms = 10 * WINDOW_MS
    assert throttle.record_failure("192.0.2.1", now_ms, b"first")
    throttle.learn("192.0.2.1", 50, now_ms - WINDOW_MS - 1)
    assert throttle.delay_ms("192.0.2.1", now_ms) == 0


def test_another_peer_does_not_wait() -> None:
    assert failed(8).delay_ms("192.0.2.2", 1000) == 0


def test_an_ipv6_network_counts_as_one_peer() -> None:
    """A host commands a /64: addresses within it cost an attacker nothing."""
    throttle = failed(8, peer="2001:db8::1")
    assert throttle.delay_ms(throttled_network("2001:db8::ffff"), 1000) > 0
    assert throttle.delay_ms(throttled_network("2001:db8:0:1::1"), 1000) == 0
    assert throttled_network("::ffff:192.0.2.1") == "192.0.2.1"
    assert throttled_network("local") == "local"


def test_zero_turns_it_off() -> None:
    assert failed(50, free=0).delay_ms("192.0.2.1", 1000) == 0


def test_memory_is_bounded() -> None:
    throttle = failed(8, peer="198.51.100.1")
    for number in range(MOST_PEERS):
        peer = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        throttle.record_failure(peer, 1000, b"")
    assert throttle.delay_ms("198.51.100.1", 1000) == 0


def test_a_slowed_network_has_few_turns_at_a_time() -> None:
    """Neither guessing in parallel nor hanging up before the answer makes guesses cheaper."""
    throttle = failed(8)
    turns = [throttle.take_turn("192.0.2.1", 1000) for _ in range(TURNS)]
    assert all(isinstance(turn, Turn) and turn.until_ms == 17_000 for turn in turns)
    assert throttle.take_turn("192.0.2.1", 9000) == 8000
    assert isinstance(throttle.take_turn("192.0.2.2", 9000), Turn)
    assert isinstance(throttle.take_turn("192.0.2.1", 17_000), Turn)


def test_a_right_answer_frees_its_turn() -> None:
    throttle = failed(8)
    turns = [throttle.take_turn("192.0.2.1", 1000) for _ in range(TURNS)]
    assert isinstance(turns[0], Turn)
    throttle.end_turn(turns[0])
    assert isinstance(throttle.take_turn("192.0.2.1", 1000), Turn)
    assert throttle.take_turn("192.0.2.1", 1000) == 16_000


def test_below_the_limit_nobody_needs_a_turn() -> None:
    throttle = failed(2)
    turns = [throttle.take_turn("192.0.2.1", 1000) for _ in range(50)]
    assert all(isinstance(turn, Turn) and turn.until_ms == 1000 for turn in turns)


def test_the_owner_is_known_until_too_many_wrong_passwords() -> None:
    throttle = Throttle(3)
    throttle.record_success("192.0.2.1", "amal")
    assert throttle.is_known("192.0.2.1", "amal")
    assert not throttle.is_known("192.0.2.2", "amal")
    assert not throttle.is_known("192.0.2.1", "badr")
    for number in range(KNOWN_FAILURES):
        assert throttle.is_known("192.0.2.1", "amal")
        throttle.record_failure("192.0.2.1", 1000, b"badr %d" % number, "badr")
        throttle.record_failure("192.0.2.1", 1000, b"amal %d" % number, "amal")
    assert not throttle.is_known("192.0.2.1", "amal")


def test_a_release_forgets_what_was_counted_before_it() -> None:
    """Each worker forgets its own counts, and goes on counting."""
    throttle = failed(8)
    throttle.release("192.0.2.1", 0)  # no operator did anything
    throttle.release("192.0.2.1", 999)  # failures came after the release
    assert throttle.delay_ms("192.0.2.1", 1000) > 0
    throttle.release("192.0.2.1", 1000)
    assert throttle.delay_ms("192.0.2.1", 1000) == 0
    throttle.learn("192.0.2.1", 1, 2000)
    assert throttle.delay_ms("192.0.2.1", 2000) == 0
    throttle.release("192.0.2.9", 5000)
