"""The engine: dialogues whole, byte by byte and cut at random; and it never raises."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.pop3_wire import (
    LIMITS,
    OFFER,
    ExampleSession,
    Pop3Player,
    new_engine,
)
from kit.wire_script import CHOPS, Chop, load_script, scripts, whole
from zajil.core.line_engine import End, Wait
from zajil.pop3.reply import AnswerLines, StatusLine
from zajil.pop3.server import LAST_WORDS, Pop3State
from zajil.pop3.texts import LANGUAGES, Text
from zajil.pop3.traced import TracedPop3Connection

PLAYS = [
    pytest.param(script, chop, id=f"{script.stem}-{chop.__name__}")
    for script in scripts("pop3")
    for chop in CHOPS
    if chop is whole or script.stem != "stls-injection"  # which is about one packet
]


@pytest.mark.parametrize(("script", "chop"), PLAYS)
def test_script(script: Path, chop: Chop) -> None:
    Pop3Player(load_script(script), chop).play()


WORDS = st.sampled_from(
    b"USER |amal|PASS |AUTH |PLAIN |AGEAYg==|=|*|CAPA|STLS|UTF8|LANG |ar|LIST |UIDL |RETR |TOP |1 |"
    b"99999999999|DELE |RSET|NOOP|STAT|QUIT|\r\n|\r|\n|\x00| |\xd9\x85|refused".split(b"|")
)
LINES = st.lists(
    st.lists(WORDS, max_size=5).map(b"".join) | st.binary(max_size=60), max_size=12
).map(b"\r\n".join)


@given(LINES, st.integers(1, 9), st.sampled_from(list(Pop3State)), st.booleans())
def test_no_input_makes_the_engine_raise(
    data: bytes, step: int, state: Pop3State, encrypted: bool
) -> None:
    """Whatever the client sends, in whatever pieces, the outcome is the same."""
    outcomes = []
    for size in (step, len(data) or 1):
        engine = new_engine(encrypted=encrypted or b"STLS" in data)
        engine.state = state
        session = ExampleSession(engine)
        for start in range(0, len(data), size):
            engine.receive_data(data[start : start + size])
            session.answer_all()
        outcomes.append((session.events, engine.data_to_send(), engine.state))
    assert outcomes[0] == outcomes[1]


def test_answers_out_of_step_are_our_bug() -> None:
    engine = new_engine()
    engine.state = Pop3State.TRANSACTION
    with pytest.raises(RuntimeError):
        engine.reply(AnswerLines(b""))
    engine.receive_data(b"STAT\r\nSTAT\r\n")
    assert not isinstance(engine.next_event(), Wait)
    assert engine.next_event() is Wait.REPLY
    engine.receive_data(b"x")
    with pytest.raises(RuntimeError):
        engine.tls_established()


@pytest.mark.parametrize("end", list(End))
def test_it_ends_with_words_but_never_in_a_message(end: End) -> None:
    """A line within a message would be taken for one of its own."""
    engine = new_engine()
    engine.state = Pop3State.TRANSACTION
    engine.receive_data(b"RETR 1\r\n")
    engine.next_event()
    engine.send(b"+OK 100 octets\r\nSubject: x\r\n")
    engine.data_to_send()
    engine.end(end)
    assert (engine.data_to_send(), engine.close_reason) == (b"", end.value)
    other = new_engine()
    other.data_to_send()
    other.end(end, "why")
    other.end(end)
    assert other.data_to_send() == LAST_WORDS[end].to_bytes()
    assert (other.close_reason, other.next_event()) == ("why", Wait.CLOSED)


def test_every_text_is_short_and_in_each_language() -> None:
    """RFC 2449 section 4: a status line has at most 512 octets; before LANG it is ASCII."""
    for text in Text:
        assert text.in_language("i-default").isascii()
        assert not text.in_language("ar").isascii()
        for tag in LANGUAGES:
            line = StatusLine(False, text, "SYS/TEMP", "9" * 20).to_bytes(tag)
            assert len(line) < 512
            assert line.endswith(b"\r\n")


def test_the_trace_has_no_secrets() -> None:
    engine = TracedPop3Connection(OFFER, LIMITS, encrypted=True)
    told: list[str] = []
    engine.trace = told.append
    session = ExampleSession(engine)
    engine.receive_data(b"USER hidden1\r\nPASS hidden2\r\nLIST\r\nRETR 7\r\nhidden3\r\nQUIT\r\n")
    session.answer_all()
    other = TracedPop3Connection(OFFER, LIMITS, encrypted=True)
    other.trace = told.append
    other.receive_data(b"AUTH PLAIN\r\naGlkZGVu\r\n")
    ExampleSession(other).answer_all()
    asked = [line for line in told if line.startswith("C:")]
    assert asked == [
        "C: USER (hidden)",
        "C: PASS (hidden)",
        "C: LIST",
        "C: RETR 7",
        "C: (unknown command of 7 bytes)",
        "C: QUIT",
        "C: AUTH (hidden)",
        "C: (AUTH response)",
    ]
    assert "S: -ERR unknown command" in told
