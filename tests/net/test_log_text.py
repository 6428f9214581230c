"""The spelling of log lines: no value from outside ends a line, forges one, or turns it around."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.net.log_text import MOST, escape_lines, write_json, write_text

TIME = "2026-11-28T09:30:00.125Z"
PAIR = re.compile(r' ([a-z]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)')


def text_of(value: object) -> str:
    return write_text(TIME, "info", "mail.accepted", {"peer": "192.0.2.1", "login": value})


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ("amal@north.test", "amal@north.test"),
        ("", '""'),
        ("two words", '"two words"'),
        ('a "b" \\', r'"a \"b\" \\"'),
        ("a=b", '"a=b"'),
        ("سلمى@زاجل.test", '"سلمى@زاجل.test"'),
        ("x\r\n2026-11-28T09:30:00Z info session.login_failed", None),
        ("\x1b[2J", r'"\x1b[2J"'),
        ("\N{RIGHT-TO-LEFT OVERRIDE}evil", r'"\u202eevil"'),
        ("\N{LINE SEPARATOR}\x85\x7f", r'"\u2028\x85\x7f"'),
        ("\N{NO-BREAK SPACE}", r'"\xa0"'),
        ("\U000e0041", r'"\U000e0041"'),
        ("\ud800", r'"\ud800"'),
        (True, "yes"),
        (("a", "b"), '"a, b"'),
        (12, "12"),
        (None, "None"),
    ],
)
def test_values(value: object, spelled: str | None) -> None:
    line = text_of(value)
    assert line.isprintable()
    if spelled is not None:
        assert line == f"{TIME} info mail.accepted peer=192.0.2.1 login={spelled}"


@given(st.text())
def test_a_value_never_leaves_its_place(value: str) -> None:
    line = text_of(value)
    assert line.isprintable()
    head = f"{TIME} info mail.accepted"
    assert [key for key, _ in PAIR.findall(line[len(head) :])] == ["peer", "login"]
    assert PAIR.sub("", line[len(head) :]) == ""


@given(st.text(alphabet=st.characters(codec=None), max_size=50))
def test_json_is_one_printable_line_and_loses_nothing(value: str) -> None:
    line = write_json(TIME, "info", "mail.accepted", {"login": value, "items": (value,)})
    assert line.isprintable()
    assert json.loads(line) == {
        "timestamp": TIME,
        "level": "info",
        "event": "mail.accepted",
        "login": value,
        "items": [value],
    }


def test_long_values_are_cut() -> None:
    assert len(text_of("x" * 100_000)) < MOST + 100
    assert len(write_json(TIME, "info", "x", {"login": "x" * 100_000})) < MOST + 200


def test_a_sentence_cannot_pass_for_the_name_of_an_event() -> None:
    line = write_text(TIME, "error", "session.login_failed peer=192.0.2.1", {})
    assert line == f'{TIME} error "session.login_failed peer=192.0.2.1"'


def test_a_traceback_cannot_begin_a_line() -> None:
    lines = escape_lines("Traceback\nValueError: x\r\n\x1b2026 info").split("\n")
    assert lines == ["Traceback", r"    ValueError: x\r", r"    \x1b2026 info"]
