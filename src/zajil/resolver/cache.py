"""Answers kept until their TTL is over, per worker (RFC 1035 section 7.4, RFC 2308)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from zajil.dns.flow import Answer, Outcome, Question

MAX_TTL_SECONDS = 86_400
"""Nothing is believed longer than a day, whatever its TTL (RFC 8767 section 4 advises a cap)."""

MAX_NEGATIVE_TTL_SECONDS = 10_800
"""RFC 2308 section 5: one to three hours."""

FAILURE_TTL_SECONDS = 5
"""A server that failed is not asked the same again at once (RFC 9520 section 3.2)."""


class Cache:
    """At most ``size`` answers; the one unused for longest makes room."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._answers: OrderedDict[Question, tuple[Answer, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, question: Question, now_ms: int) -> Answer | None:
        """Return a kept answer with the TTL that is left of it."""
        kept = self._answers.get(question)
        if kept is None:
            return None
        answer, until_ms = kept
        if until_ms <= now_ms:
            del self._answers[question]
            return None
        self._answers.move_to_end(question)
        left = (until_ms - now_ms + 999) // 1000
        return answer if answer.ttl_seconds <= left else replace(answer, ttl_seconds=left)

    def put(self, answer: Answer, now_ms: int) -> None:
        """Keep an answer as long as it allows."""
        ttl_seconds = min(answer.ttl_seconds, _longest(answer.outcome))
        if answer.outcome is Outcome.FAILED:
            ttl_seconds = FAILURE_TTL_SECONDS
        if ttl_seconds <= 0 or not self._size:
            return
        self._answers[answer.question] = (answer, now_ms + ttl_seconds * 1000)
        self._answers.move_to_end(answer.question)
        if len(self._answers) > self._size:
            self._answers.popitem(last=False)


def _longest(outcome: Outcome) -> int:
    return MAX_TTL_SECONDS if outcome is Outcome.FOUND else MAX_NEGATIVE_TTL_SECONDS
