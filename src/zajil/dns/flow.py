"""Flows: generators that query DNS.

A flow yields a ``Question`` and receives an ``Answer``. It never uses a socket, so the same code
runs with the resolver, with a zone in a test, and in a fuzzer. A flow never raises because of DNS
data.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from enum import Enum
from typing import TypeVar

from zajil.core.value_class import value_class

T = TypeVar("T")


class Outcome(Enum):
    """What a resolver learned; only the last two are facts about the name."""

    FAILED = "failed"
    """SERVFAIL, timeout, bogus: nothing is known; try later."""
    FOUND = "found"
    NO_RECORDS = "no records"
    """The name exists, without records of this type (RFC 2308 section 2.2)."""
    NO_NAME = "no such name"
    """NXDOMAIN (RFC 8020)."""


@value_class(frozen=True, slots=True)
class Question:
    """One name and type, asked of the configured name servers."""

    name: str
    """ASCII (A-labels), without a final dot."""
    type: str
    """``A``, ``AAAA``, ``MX``, ``TXT``, ``PTR``, ``TLSA``, ``SRV``, ``NS``, ``CAA``, ``CNAME``."""


@value_class(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for a question."""

    question: Question
    outcome: Outcome
    values: tuple[str, ...] = ()
    """Presentation form, in the order of the answer: ``10 mx.example.net`` for MX, the joined
    strings for TXT (bytes above 127 as Latin-1), the address for A and AAAA; names without
    their final dot."""
    ttl_seconds: int = 0
    authentic: bool = False
    """The resolver vouches for it by DNSSEC (AD bit of a trusted resolver)."""
    detail: str = ""
    """For ``FAILED``: why, in a few words; ``timeout``, ``SERVFAIL``, ``bogus``."""
    is_unasked: bool = False
    """For ``FAILED``: no name server that works was asked, because of a rest or a limit of ours, so
    the failure says nothing about the name."""

    def __str__(self) -> str:
        """Return one line for the journey: ``MX north.test -> 10 mx.north.test (ttl 300)``."""
        asked = f"{self.question.type} {self.question.name}"
        if self.outcome is Outcome.FOUND:
            return f"{asked} -> {', '.join(self.values)} (ttl {self.ttl_seconds})"
        return f"{asked} -> {self.detail or self.outcome.value}"


Flow = Generator[Question, Answer, T]

Resolve = Callable[[Question], Awaitable[Answer]]


async def run_flow(flow: Flow[T], resolve: Resolve) -> T:
    """Drive a flow with a real resolver."""
    try:
        question = next(flow)
        while True:
            question = flow.send(await resolve(question))
    except StopIteration as stop:
        result: T = stop.value
        return result
