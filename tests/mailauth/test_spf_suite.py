"""The test suite of RFC 7208, if it is at hand: ``ZAJIL_SPF_SUITE`` names its YAML file.

It is not part of this tree; the package pyspf ships it. Reading it takes PyYAML.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.spf import SpfQuery, check_spf
from zajil.testing.zone import run_flow_on_answers

DEFAULT = "DEFAULT"


def load_cases() -> Iterator[Any]:
    file = os.environ.get("ZAJIL_SPF_SUITE")
    if not file:
        return
    yaml = pytest.importorskip("yaml")
    for scenario in yaml.safe_load_all(Path(file).read_text("utf-8")):
        zone = {name.lower(): records for name, records in scenario["zonedata"].items()}
        for name, test in scenario["tests"].items():
            yield pytest.param(zone, test, id=name)


CASES = list(load_cases())
if not CASES:
    CASES = [pytest.param({}, {}, marks=pytest.mark.skip("ZAJIL_SPF_SUITE is not set"))]


def answer_from_suite(zone: dict[str, list[Any]], question: Question, depth: int = 0) -> Answer:
    """Answer as the comments of the suite say."""
    records = zone.get(question.name)
    if records is None:
        outcome = Outcome.FAILED if question.name.startswith("error.") else Outcome.NO_NAME
        return Answer(question, outcome)
    own_spf = [one for one in records if isinstance(one, dict) and "TXT" in one]
    values: list[str] = []
    for record in records:
        if record == "TIMEOUT":
            if values:
                break
            return Answer(question, Outcome.FAILED, detail="timeout")
        ((kind, value),) = record.items()
        if kind == "CNAME" and question.type != "CNAME" and depth < 8:
            alias = answer_from_suite(zone, Question(value.lower(), question.type), depth + 1)
            return Answer(question, alias.outcome, alias.values)
        if kind == "SPF" and not own_spf:
            kind = "TXT"  # the suite was written when there were two types
        if kind != question.type:
            continue
        if value == "TIMEOUT":
            return Answer(question, Outcome.FAILED, detail="timeout")
        if value != "NONE":
            values.append(_presentation(kind, value))
    return Answer(question, Outcome.FOUND if values else Outcome.NO_RECORDS, tuple(values), 60)


def _presentation(kind: str, value: Any) -> str:
    if kind == "MX":
        return f"{value[0]} {value[1]}"
    text = "".join(value) if isinstance(value, list) else str(value)
    return text.encode().decode("latin-1") if kind == "TXT" else text


@pytest.mark.parametrize(("zone", "test"), CASES)
def test_the_suite(zone: dict[str, Any], test: dict[str, Any]) -> None:
    query = SpfQuery(
        ip_address(test["host"]),
        test["mailfrom"],
        test["helo"],
        receiver="receiver",
        default_explanation=DEFAULT,
    )
    found = run_flow_on_answers(
        check_spf(query), lambda question: answer_from_suite(zone, question)
    )
    results = test["result"] if isinstance(test["result"], list) else [test["result"]]
    assert found.result in results, (found.reason, test.get("description"), test.get("comment"))
    if "explanation" in test:
        assert found.explanation == test["explanation"]
