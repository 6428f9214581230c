"""The engine: dialogues whole, byte by byte and cut at random; and it never raises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.imap_wire import (
    ExampleSession,
    ImapPlayer,
    new_engine,
)
from kit.wire_script import CHOPS, Chop, load_script, scripts, whole
from zajil.core.line_engine import Wait
from zajil.imap.append_command import AppendCommand, AppendEnd
from zajil.imap.append_parse import has_whole_append
from zajil.imap.command import Id, LiteralChunk, NoopCommand
from zajil.imap.literal import Limits
from zajil.imap.response import Completion
from zajil.imap.server import ImapServerConnection
from zajil.imap.state import ImapState

PLAYS = [
    pytest.param(script, chop, id=f"{script.stem}-{chop.__name__}")
    for script in scripts("imap")
    for chop in CHOPS
    if chop is whole or not script.stem.endswith("-injection")  # which is about one packet
]


@pytest.mark.parametrize(("script", "chop"), PLAYS)
def test_script(script: Path, chop: Chop) -> None:
    ImapPlayer(load_script(script), chop).play()


WORDS = st.sampled_from(
    b"a |b |NOOP|LOGIN |amal |SELECT |INBOX|APPEND |Sent |UID |FETCH |1:*|,2|STORE |+FLAGS |"
    b'SEARCH |OR |NOT |SUBJECT |(|)| |\\Seen |{3}|{3+}|{0+}|{99999+}|{9|}|\r\n|\r|\n|\x00|"|\\|'
    b"BODY[1.HEADER.FIELDS (To)]<0.5> |BODY.PEEK[] |ENVELOPE |IDLE|DONE|AUTHENTICATE PLAIN |"
    b'AGEAYg==|*|+|&Jjo-|LIST "" |%|STARTTLS|LOGOUT|CLOSE|MOVE |1 |17-Jul-1996|"17-Jul-1996 '
    b'02:44:25 -0700"|RETURN (STATUS (MESSAGES))|\xd9\x85'.split(b"|")
)
LINES = st.lists(
    st.lists(WORDS, max_size=7).map(b"".join) | st.binary(max_size=60), max_size=12
).map(lambda lines: b"\r\n".join([b"a " + line for line in lines]))


@given(LINES, st.integers(1, 9), st.sampled_from(list(ImapState)))
def test_no_input_makes_the_engine_raise(data: bytes, step: int, state: ImapState) -> None:
    """Whatever the client sends, in whatever pieces, the outcome is the same."""
    outcomes = []
    for size in (step, len(data) or 1):
        engine = new_engine()
        engine.state = state
        session = ExampleSession(engine)
        for start in range(0, len(data), size):
            engine.receive_data(data[start : start + size])
            session.answer_all()
        outcomes.append((session.events, session.body, engine.data_to_send(), engine.state))
    assert outcomes[0] == outcomes[1]


def test_answers_out_of_step_are_our_bug() -> None:
    engine = new_engine()
    with pytest.raises(RuntimeError):
        engine.reply(Completion("OK", "x"))
    with pytest.raises(RuntimeError):
        engine.go_ahead()
    engine.receive_data(b"a NOOP\r\nb NOOP\r\n")
    assert not isinstance(engine.next_event(), Wait)
    assert engine.next_event() is Wait.REPLY
    with pytest.raises(RuntimeError):
        engine.go_ahead()


def test_a_command_may_be_answered_after_the_next_one() -> None:
    engine = new_engine()
    engine.state = ImapState.AUTHENTICATED
    with pytest.raises(RuntimeError):
        engine.postpone()
    engine.receive_data(b"a APPEND Sent {2+}\r\nhi\r\nb APPEND Sent {2+}\r\nho\r\nc NOOP\r\n")
    tags = []
    for is_followed in (True, False):
        assert isinstance(engine.next_event(), AppendCommand)
        engine.go_ahead()
        assert isinstance(engine.next_event(), LiteralChunk)
        assert isinstance(engine.next_event(), AppendEnd)
        assert engine.is_append_next() is is_followed
        tags.append(engine.postpone())
    assert isinstance(engine.next_event(), NoopCommand)
    engine.data_to_send()
    engine.complete(tags[0], Completion("OK", "done"))
    engine.complete(tags[1], Completion("NO", "too late"))
    engine.reply(Completion("OK", "done"))
    assert engine.data_to_send() == b"a OK done\r\nb NO too late\r\nc OK done\r\n"


@pytest.mark.parametrize(
    ("data", "is_whole"),
    [
        (b"a APPEND Sent {2+}\r\nhi\r\n", True),
        (b"a append sent {2+}\r\nhi\r\nb NOOP\r\n", True),
        (b'a APPEND "My mail" (\\Seen $Junk) " 1-Feb-2026 10:00:00 +0000" {2+}\r\nhi\r\n', True),
        (b"a APPEND Sent () {0+}\r\n\r\n", True),
        (b"a APPEND Sent {2+}\r\nhi", False),  # it has not come whole
        (b"a APPEND Sent {2+}\r\nhi {3+}\r\nyou\r\n", False),  # a second message
        (b"a APPEND Sent {2}\r\nhi\r\n", False),  # the client waits
        (b"a APPEND Sent ~{2+}\r\nhi\r\n", False),
        (b"a APPEND {4+}\r\nSent {2+}\r\nhi\r\n", False),
        (b"a APPEND Sent {999999+}\r\nhi\r\n", False),
        (b"a REPLACE 1 Sent {2+}\r\nhi\r\n", False),
        (b"+ APPEND Sent {2+}\r\nhi\r\n", False),
        (b"a NOOP\r\nb APPEND Sent {2+}\r\nhi\r\n", False),
        (b"", False),
    ],
)
def test_a_small_message_that_has_come_whole(data: bytes, is_whole: bool) -> None:
    for before in (b"", b"a NOOP\r\n"):
        assert has_whole_append(before + data, len(before)) is is_whole


def test_a_message_is_never_collected_in_the_engine() -> None:
    engine = new_engine()
    engine.state = ImapState.AUTHENTICATED
    session = ExampleSession(engine)
    engine.receive_data(b"a APPEND x {1000+}\r\n")
    for _ in range(10):
        engine.receive_data(b"y" * 100)
        session.answer_all()
        assert engine.pending_size() == 0
    assert session.body == b"y" * 1000


def quoted(octet: bytes, count: int) -> bytes:
    return b'"' + octet * count + b'"'


def literal(octet: bytes, count: int) -> bytes:
    return b"{%d+}\r\n" % count + octet[-1:] * count


@pytest.mark.parametrize("written", [quoted, literal])
@pytest.mark.parametrize("octet", [b"x", rb"\""])
def test_the_largest_id_passes_before_log_in(
    written: Callable[[bytes, int], bytes], octet: bytes
) -> None:
    """RFC 2971 section 3.3: up to 30 fields, names of 30 and values of 1,024 octets."""
    engine = ImapServerConnection(b"* OK ready\r\n", Limits(max_message=1000), encrypted=True)
    pair = written(octet, 30) + b" " + written(octet, 1024)
    engine.receive_data(b"tag ID (" + b" ".join([pair] * 30) + b")\r\n")
    assert engine.next_event() == Id()
    engine.reply(Completion("OK", "done"))
    engine.receive_data(b"tag ID (" + b" ".join([b'"a" "b"'] * 31) + b")\r\n")
    assert engine.next_event() is Wait.DATA
    assert engine.data_to_send().endswith(b"tag BAD too many fields\r\n")


@pytest.mark.parametrize(
    ("said", "client"),
    [
        (b'("Name" "Thunderbird" "version" "128.5.0esr")', "Thunderbird 128.5.0esr"),
        (b'("os" "iOS" "name" NIL)', ""),
        (b"NIL", ""),
        (b'("name" {4+}\r\na\r\nb "version" "%b")' % (b"9" * 200), "ab " + "9" * 97),
    ],
)
def test_a_client_says_who_it_is(said: bytes, client: str) -> None:
    """RFC 2971 section 3.3: whatever it says stands on one line of the log."""
    engine = new_engine()
    engine.state = ImapState.AUTHENTICATED
    engine.receive_data(b"tag ID " + said + b"\r\n")
    assert engine.next_event() == Id(client)


@pytest.mark.parametrize("piece", [b"x", b" {1000+}\r\n" + b"x" * 1000])
def test_a_stranger_cannot_make_us_keep_much(piece: bytes) -> None:
    """One long line, or many literals: the connection ends before the memory does."""
    limits = Limits(max_message=1000)
    engine = ImapServerConnection(b"* OK ready\r\n", limits, encrypted=True)
    engine.receive_data(b"a LOGIN ")
    most = 2 * limits.max_command_before_login
    for _ in range(0, most, len(piece)):
        engine.receive_data(piece)
        if engine.next_event() is Wait.CLOSED:
            break
    assert engine.state is ImapState.LOGOUT
    assert engine.pending_size() <= limits.max_command_before_login + len(piece) + 1
