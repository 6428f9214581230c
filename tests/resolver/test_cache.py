"""RFC 2308 and RFC 1035: how long an answer is believed."""

from __future__ import annotations

import pytest

from zajil.dns.flow import Answer, Outcome, Question
from zajil.resolver.cache import (
    FAILURE_TTL_SECONDS,
    MAX_NEGATIVE_TTL_SECONDS,
    MAX_TTL_SECONDS,
    Cache,
)

ASKED = Question("a.test", "A")


@pytest.mark.parametrize(
    ("outcome", "ttl_seconds", "kept_seconds"),
    [
        (Outcome.FOUND, 60, 60),
        (Outcome.FOUND, 2**31 - 1, MAX_TTL_SECONDS),
        (Outcome.FOUND, 0, 0),
        (Outcome.NO_NAME, 60, 60),
        (Outcome.NO_NAME, 10**6, MAX_NEGATIVE_TTL_SECONDS),
        (Outcome.NO_RECORDS, 0, 0),
        (Outcome.FAILED, 0, FAILURE_TTL_SECONDS),
        (Outcome.FAILED, 300, FAILURE_TTL_SECONDS),
    ],
)
def test_an_answer_is_kept_for_its_time(
    outcome: Outcome, ttl_seconds: int, kept_seconds: int
) -> None:
    cache = Cache(10)
    cache.put(
        Answer(question=ASKED, outcome=outcome, values=(), ttl_seconds=ttl_seconds), now_ms=1000
    )
    assert cache.get(ASKED, 1000 + kept_seconds * 1000) is None
    cache.put(
        Answer(question=ASKED, outcome=outcome, values=(), ttl_seconds=ttl_seconds), now_ms=1000
    )
    assert (cache.get(ASKED, 999 + kept_seconds * 1000) is not None) == (kept_seconds > 0)


def test_the_ttl_counts_down() -> None:
    cache = Cache(10)
    cache.put(
        Answer(question=ASKED, outcome=Outcome.FOUND, values=("192.0.2.1",), ttl_seconds=60),
        now_ms=0,
    )
    answer = cache.get(ASKED, 45_000)
    assert answer is not None
    assert answer.ttl_seconds == 15


def test_the_longest_unused_makes_room() -> None:
    cache = Cache(2)
    questions = [Question(f"{name}.test", "A") for name in "abc"]
    for question in questions[:2]:
        cache.put(
            Answer(question=question, outcome=Outcome.FOUND, values=("192.0.2.1",), ttl_seconds=60),
            now_ms=0,
        )
    assert cache.get(questions[0], 0)
    cache.put(
        Answer(question=questions[2], outcome=Outcome.FOUND, values=("192.0.2.1",), ttl_seconds=60),
        now_ms=0,
    )
    assert [cache.get(question, 0) is not None for question in questions] == [True, False, True]
    assert len(cache) == 2


def test_a_size_of_zero_keeps_nothing() -> None:
    cache = Cache(0)
    cache.put(
        Answer(question=ASKED, outcome=Outcome.FOUND, values=("192.0.2.1",), ttl_seconds=60),
        now_ms=0,
    )
    assert cache.get(ASKED, 0) is None
