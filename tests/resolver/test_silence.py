from __future__ import annotations

from zajil.resolver.silence import Silence


def test_one_lost_answer_says_nothing() -> None:
    silence = Silence()
    silence.failed(0)
    silence.failed(0)
    assert silence.may_ask(1)
    silence.answered()
    silence.failed(2)
    silence.failed(2)
    assert silence.may_ask(3)


def test_a_silent_server_is_asked_once_in_each_rest() -> None:
    silence = Silence()
    for _ in range(3):
        silence.failed(0)
    assert not silence.may_ask(999)
    assert [silence.may_ask(1000) for _ in range(3)] == [True, False, False]
    silence.failed(1001)
    assert not silence.may_ask(3000)
    assert silence.may_ask(3001)


def test_a_rest_is_never_longer_than_half_a_minute() -> None:
    silence = Silence()
    for _ in range(500):
        silence.failed(0)
    assert not silence.may_ask(29_999)
    assert silence.may_ask(30_000)


def test_an_answer_ends_it_at_once() -> None:
    silence = Silence()
    for _ in range(3):
        silence.failed(0)
    silence.answered()
    assert silence.may_ask(1)
