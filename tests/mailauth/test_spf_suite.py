"""The test suite of RFC 7208, whole: over the library, and over the command with DNS on a socket.

``rfc7208/README.md`` says where it comes from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from dns.rdtypes.ANY.TXT import TXT
from typer.testing import CliRunner

from kit.name_server import name_server_in_thread
from kit.zone import run_flow_on_answers
from zajil.cli.spf import spf_app
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.spf import SpfQuery, check_spf

SUITE = json.loads((Path(__file__).parent / "rfc7208" / "suite.json").read_text("utf-8"))
ZoneData = dict[str, list[Any]]
CASES = [
    pytest.param(
        {name.lower(): records for name, records in scenario["zonedata"].items()}, test, id=name
    )
    for scenario in SUITE
    for name, test in scenario["tests"].items()
]
DEFAULT = "DEFAULT"
"""What the suite calls an explanation that the domain did not give."""


def answer_from_suite(zone: ZoneData, question: Question, depth: int = 0) -> Answer:
    """Answer as the comments of the suite say."""
    records = zone.get(question.name)
    if records is None:
        outcome = Outcome.FAILED if question.name.startswith("error.") else Outcome.NO_NAME
        return Answer(question=question, outcome=outcome)
    own_spf = [one for one in records if isinstance(one, dict) and "TXT" in one]
    values: list[str] = []
    for record in records:
        if record == "TIMEOUT":
            if values:
                break
            return Answer(question=question, outcome=Outcome.FAILED, detail="timeout")
        ((kind, value),) = record.items()
        if kind == "CNAME" and question.type != "CNAME" and depth < 8:
            alias = answer_from_suite(zone, Question(value.lower(), question.type), depth + 1)
            return Answer(question=question, outcome=alias.outcome, values=alias.values)
        if kind == "SPF" and not own_spf:
            kind = "TXT"  # the suite was written when there were two types
        if kind != question.type:
            continue
        if value == "TIMEOUT":
            return Answer(question=question, outcome=Outcome.FAILED, detail="timeout")
        if value != "NONE":
            values.append(_presentation(kind, value))
    return Answer(
        question=question,
        outcome=Outcome.FOUND if values else Outcome.NO_RECORDS,
        values=tuple(values),
        ttl_seconds=60,
    )


def _presentation(kind: str, value: Any) -> str:
    if kind == "MX":
        return f"{value[0]} {value[1]}"
    text = "".join(value) if isinstance(value, list) else str(value)
    return text.encode().decode("latin-1") if kind == "TXT" else text


def is_expected(result: str, test: dict[str, Any]) -> bool:
    expected = test["result"]
    return result in expected if isinstance(expected, list) else result == expected


def test_the_suite_is_whole() -> None:
    assert len(CASES) == 203


@pytest.mark.parametrize(("zone", "test"), CASES)
def test_the_suite(zone: ZoneData, test: dict[str, Any]) -> None:
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
    assert is_expected(found.result, test), (found.reason, test)
    if "explanation" in test:
        assert found.explanation == test["explanation"]


# ---- over the command ---------------------------------------------------------------------------


def respond_from(zone: ZoneData) -> Callable[[dns.message.QueryMessage, bool], list[bytes]]:
    """Put the answers of the suite on the wire; what times out there, fails here at once."""

    def respond(query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
        asked = query.question[0]
        name = b".".join(asked.name.labels[:-1]).decode("latin-1").lower()
        kind = dns.rdatatype.to_text(asked.rdtype)
        answer = answer_from_suite(zone, Question(name, kind))
        response = dns.message.make_response(query)
        if answer.outcome is Outcome.FAILED:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif answer.outcome is Outcome.NO_NAME:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif answer.values:
            records = response.find_rrset(
                response.answer, asked.name, asked.rdclass, asked.rdtype, create=True
            )
            for value in answer.values:
                records.add(_record(kind, value), 60)
        wire = response.to_wire(max_size=65_535)
        if udp and len(wire) > 1232:
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        return [wire]

    return respond


def _record(kind: str, value: str) -> dns.rdata.Rdata:
    if kind == "TXT":
        data = value.encode("latin-1")
        strings = [data[at : at + 255] for at in range(0, len(data), 255)]
        return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings or [b""])
    if kind in ("MX", "PTR"):
        value = f"{value.rstrip('.')}."
    return dns.rdata.from_text(dns.rdataclass.IN, kind, value)


@pytest.mark.parametrize(("zone", "test"), CASES)
def test_the_suite_over_the_command(zone: ZoneData, test: dict[str, Any]) -> None:
    """Design section 6."""
    with name_server_in_thread(respond_from(zone)) as server:
        done = CliRunner().invoke(
            spf_app,  # alone: the tree of all commands would take most of the time
            [
                *("--ip", test["host"], "--mail-from", test["mailfrom"]),
                *("--helo", test["helo"], "--default-explanation", DEFAULT),
                *("--nameserver", server, "--json"),
            ],
        )
    found = json.loads(done.stdout)
    assert is_expected(found["result"], test), (found, test)
    assert done.exit_code == (0 if found["result"] == "pass" else 1)
    if "explanation" in test:
        assert found["explanation"] == test["explanation"]
