"""DNS as a dict: answers the questions of a flow without a resolver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from zajil.dns.flow import Answer, Flow, Outcome, Question

T = TypeVar("T")

Zone = Mapping[str, Mapping[str, Sequence[str]] | None]
"""Name to type to values; ``None`` instead of the types: asking for the name fails (SERVFAIL).

A name that is not there gives NXDOMAIN, a type that is not there gives no records.
"""

TTL_SECONDS = 300


def answer_from_zone(zone: Zone, question: Question) -> Answer:
    """Answer one question as a resolver would."""
    if question.name not in zone:
        return Answer(question=question, outcome=Outcome.NO_NAME, ttl_seconds=TTL_SECONDS)
    records = zone[question.name]
    if records is None:
        return Answer(question=question, outcome=Outcome.FAILED, detail="SERVFAIL")
    values = tuple(records.get(question.type, ()))
    if not values:
        return Answer(question=question, outcome=Outcome.NO_RECORDS, ttl_seconds=TTL_SECONDS)
    return Answer(question=question, outcome=Outcome.FOUND, values=values, ttl_seconds=TTL_SECONDS)


def run_flow_on_zone(flow: Flow[T], zone: Zone) -> T:
    """Drive a flow to its end with the answers of a zone."""
    return run_flow_on_answers(flow, lambda question: answer_from_zone(zone, question))


def run_flow_on_answers(flow: Flow[T], answer: Callable[[Question], Answer]) -> T:
    """Drive a flow to its end with whatever answers a test makes up."""
    try:
        question = next(flow)
        while True:
            question = flow.send(answer(question))
    except StopIteration as stop:
        result: T = stop.value
        return result


class ZoneResolver:
    """A zone in the place of ``resolver.client.Resolver``; the zone may change meanwhile."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.questions: list[Question] = []
        """Everything that was asked, in order."""

    async def resolve(self, question: Question) -> Answer:
        """Answer at once."""
        self.questions.append(question)
        return answer_from_zone(self.zone, question)
