"""The tables: every command in every state, seen from outside."""

from __future__ import annotations

import pytest

from zajil.smtp.extensions import Offer
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection, Wait
from zajil.smtp.state import ACCEPTED, SENDABLE, ClientState, State
from zajil.testing.wire import GREETING, example_policy

OFFER = Offer("mx.example.org", 1000, starttls=True)

REACH = {
    State.START: b"",
    State.READY: b"EHLO c\r\n",
    State.MAIL: b"EHLO c\r\nMAIL FROM:<>\r\n",
    State.RCPT: b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n",
}
LINES = {
    "EHLO": b"EHLO c\r\n",
    "HELO": b"HELO c\r\n",
    "MAIL": b"MAIL FROM:<>\r\n",
    "RCPT": b"RCPT TO:<a@b.example>\r\n",
    "DATA": b"DATA\r\n",
    "RSET": b"RSET\r\n",
    "NOOP": b"NOOP\r\n",
    "VRFY": b"VRFY a\r\n",
    "HELP": b"HELP\r\n",
    "STARTTLS": b"STARTTLS\r\n",
    "QUIT": b"QUIT\r\n",
}
# RFC 5321 section 4.1.4, written out a second time on purpose.
AFTER = {
    State.START: "EHLO:READY HELO:READY RSET:START NOOP:START VRFY:START HELP:START QUIT:CLOSED",
    State.READY: "EHLO:READY HELO:READY MAIL:MAIL RSET:READY NOOP:READY VRFY:READY HELP:READY "
    "STARTTLS:TLS QUIT:CLOSED",
    State.MAIL: "EHLO:READY HELO:READY RCPT:RCPT RSET:READY NOOP:MAIL VRFY:MAIL HELP:MAIL "
    "QUIT:CLOSED",
    State.RCPT: "EHLO:READY HELO:READY RCPT:RCPT DATA:BODY RSET:READY NOOP:RCPT VRFY:RCPT "
    "HELP:RCPT QUIT:CLOSED",
}


def connection(data: bytes) -> ServerConnection:
    conn = ServerConnection(OFFER, GREETING)
    conn.receive_data(data)
    while not isinstance(event := conn.next_event(), Wait):
        conn.reply(example_policy(event))
    return conn


@pytest.mark.parametrize("state", REACH, ids=lambda state: state.name)
@pytest.mark.parametrize("verb", LINES)
def test_every_command_in_every_state(state: State, verb: str) -> None:
    conn = connection(REACH[state])
    assert conn.state is state
    conn.data_to_send()
    after = dict(pair.split(":") for pair in AFTER[state].split())
    conn.receive_data(LINES[verb])
    event = conn.next_event()
    if verb not in after:
        assert event is Wait.DATA
        assert conn.data_to_send().startswith(b"503 5.5.1 ")
        assert conn.state is state
        return
    assert not isinstance(event, Wait)
    conn.reply(example_policy(event))
    assert conn.state.name == after[verb]


@pytest.mark.parametrize("state", REACH, ids=lambda state: state.name)
@pytest.mark.parametrize("verb", LINES)
def test_a_refused_command_leaves_the_state(state: State, verb: str) -> None:
    conn = connection(REACH[state])
    conn.receive_data(LINES[verb])
    if not isinstance(conn.next_event(), Wait):
        conn.reply(Reply(451, ("4.3.0 not now",)))
    assert conn.state is state


def test_the_tables_lead_nowhere_without_an_exit() -> None:
    reachable = {state for state, _event in ACCEPTED} | {State.TLS, State.CLOSED}
    assert set(ACCEPTED.values()) <= reachable
    assert set(SENDABLE.values()) <= set(ClientState)
