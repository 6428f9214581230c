"""ARC chains made to cost us time, or to lend us false trust (attacks J, RFC 8617 section 9)."""

from __future__ import annotations

import time

import pytest

from kit.zone import run_flow_on_answers
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.arc import ArcFound, verify_arc
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.message.fields import read_fields

GUARD_SECONDS = 20.0
"""Far above what any of it takes."""


def arc_set(instance: object, cv: str = "pass", filler: str = "") -> str:
    return (
        f"ARC-Seal: i={instance}; a=rsa-sha256; b=aaaa; cv={cv}; d=evil.test; s=k{instance}\r\n"
        f"ARC-Message-Signature: i={instance}; a=rsa-sha256; b=aaaa; bh=aaaa; d=evil.test; "
        f"h=from; s=k{instance}\r\n"
        f"ARC-Authentication-Results: i={instance}; evil.test; dmarc=pass{filler}\r\n"
    )


def verify(header: str) -> tuple[ArcFound, int]:
    asked: list[Question] = []

    def answer(question: Question) -> Answer:
        asked.append(question)
        return Answer(question=question, outcome=Outcome.NO_NAME)

    raw = header.encode()
    fields = read_fields(raw)
    began = time.process_time()
    digests = BodyDigests(body_needs(fields))
    found = run_flow_on_answers(verify_arc(raw, fields, digests, 1), answer)
    assert time.process_time() - began < GUARD_SECONDS
    return found, len(asked)


def chain(length: int) -> str:
    return "".join(
        arc_set(number, "pass" if number > 1 else "none") for number in range(length, 0, -1)
    )


def test_a_chain_ends_at_fifty() -> None:
    """RFC 8617 section 4.2.1; one more costs no question."""
    assert verify(chain(50))[1] == 1
    found, asked = verify(chain(51))
    assert (found.cv, asked) == ("fail", 0)


def test_thousands_of_seals_cost_nothing() -> None:
    found, asked = verify(arc_set(1, "none") * 3000)
    assert (found.cv, asked) == ("fail", 0)


def test_a_huge_set_costs_nothing() -> None:
    found, asked = verify(arc_set(1, "none", filler=" (x)" * 100_000))
    assert (found.cv, asked) == ("fail", 0)


@pytest.mark.parametrize(
    "instance",
    [
        "0",
        "-1",
        "+1",
        "51",
        "100",
        "1e0",
        "0x1",
        "1_0",
        "٣",
        "",
        " ",
        "1 1",
        "99999999999999999999",
    ],
)
def test_an_odd_instance_breaks_the_chain(instance: str) -> None:
    found, asked = verify(arc_set(instance, "none"))
    assert (found.cv, asked) == ("fail", 0)


@pytest.mark.parametrize(
    "header",
    [
        arc_set(1, "none") + arc_set("01", "none"),
        arc_set(2) + arc_set(2) + arc_set(1, "none"),
        arc_set(3) + arc_set(1, "none"),
        arc_set(2, "none") + arc_set(1, "none"),
        arc_set(2) + arc_set(1, "pass"),
        arc_set(1, "none").partition("ARC-Auth")[0],
        "ARC-Seal: i=1\r\n",
        arc_set(1, "none").replace("ARC-Seal: i=1;", "ARC-Seal: i=1; h=from;"),
        arc_set(1, "none").replace("ARC-Seal: i=1;", "ARC-Seal: i=1; i=1;"),
    ],
)
def test_what_is_no_chain_asks_nothing_or_little(header: str) -> None:
    """RFC 8617 section 5.2, step 3: gaps, repetitions, missing fields, wrong cv."""
    found, asked = verify(header)
    assert found.cv == "fail"
    assert asked <= 1
