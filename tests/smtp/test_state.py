"""The tables: every command in every state, seen from outside."""

from __future__ import annotations

import pytest

from kit.smtp_wire import GREETING, example_policy
from zajil.core.line_engine import Wait
from zajil.smtp.command import Bdat, BodyChunk, BodyEnd, Event, Lhlo
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection
from zajil.smtp.state import ACCEPTED, SENDABLE, ClientState, SmtpState

OFFER = Capabilities(
    hostname="mx.example.org", max_message_size=1000, starttls=True, chunking=True, xclient=True
)
LMTP = Capabilities(hostname="mx.example.org", max_message_size=1000, lmtp=True)

REACH = {
    SmtpState.START: b"",
    SmtpState.READY: b"EHLO c\r\n",
    SmtpState.MAIL: b"EHLO c\r\nMAIL FROM:<>\r\n",
    SmtpState.RCPT: b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n",
    SmtpState.CHUNKED: b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nBDAT 1\r\nx",
}
LINES = {
    "EHLO": b"EHLO c\r\n",
    "HELO": b"HELO c\r\n",
    "MAIL": b"MAIL FROM:<>\r\n",
    "RCPT": b"RCPT TO:<a@b.example>\r\n",
    "DATA": b"DATA\r\n",
    "BDAT": b"BDAT 1\r\nx",
    "BDAT LAST": b"BDAT 1 LAST\r\nx",
    "RSET": b"RSET\r\n",
    "NOOP": b"NOOP\r\n",
    "VRFY": b"VRFY a\r\n",
    "HELP": b"HELP\r\n",
    "STARTTLS": b"STARTTLS\r\n",
    "XCLIENT": b"XCLIENT NAME=a.example\r\n",
    "QUIT": b"QUIT\r\n",
}
# RFC 5321 section 4.1.4, written out a second time on purpose.
AFTER = {
    SmtpState.START: "EHLO:READY HELO:READY RSET:START NOOP:START VRFY:START HELP:START "
    "XCLIENT:START QUIT:CLOSED",
    SmtpState.READY: "EHLO:READY HELO:READY MAIL:MAIL RSET:READY NOOP:READY VRFY:READY HELP:READY "
    "STARTTLS:TLS XCLIENT:START QUIT:CLOSED",
    SmtpState.MAIL: "EHLO:READY HELO:READY RCPT:RCPT RSET:READY NOOP:MAIL VRFY:MAIL HELP:MAIL "
    "QUIT:CLOSED",
    SmtpState.RCPT: "EHLO:READY HELO:READY RCPT:RCPT DATA:BODY BDAT:CHUNKED BDAT_LAST:READY "
    "RSET:READY NOOP:RCPT VRFY:RCPT HELP:RCPT QUIT:CLOSED",
    SmtpState.CHUNKED: "EHLO:READY HELO:READY BDAT:CHUNKED BDAT_LAST:READY RSET:READY NOOP:CHUNKED "
    "VRFY:CHUNKED HELP:CHUNKED QUIT:CLOSED",
}


def connection(data: bytes) -> ServerConnection:
    conn = ServerConnection(OFFER, GREETING)
    conn.receive_data(data)
    while not isinstance(event := first_reply_owed(conn), Wait):
        conn.reply(example_policy(event))
    return conn


def first_reply_owed(conn: ServerConnection) -> Event | Wait:
    while isinstance(event := conn.next_event(), BodyChunk):
        pass
    return event


@pytest.mark.parametrize("state", REACH, ids=lambda state: state.name)
@pytest.mark.parametrize("verb", LINES)
def test_every_command_in_every_state(state: SmtpState, verb: str) -> None:
    conn = connection(REACH[state])
    assert conn.state is state
    conn.data_to_send()
    after = dict(pair.split(":") for pair in AFTER[state].split())
    conn.receive_data(LINES[verb])
    event = first_reply_owed(conn)
    verb = verb.replace(" ", "_")
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
def test_a_refused_command_leaves_the_state(state: SmtpState, verb: str) -> None:
    conn = connection(REACH[state])
    conn.receive_data(LINES[verb])
    event = first_reply_owed(conn)
    if not isinstance(event, Wait):
        conn.reply(Reply(451, ("4.3.0 not now",)))
    # A message, or a part of one, that was refused is gone, and its transaction with it.
    over = isinstance(event, Bdat | BodyEnd)
    assert conn.state is (SmtpState.READY if over else state)


@pytest.mark.parametrize("state", REACH, ids=lambda state: state.name)
def test_lmtp_says_lhlo_and_smtp_does_not(state: SmtpState) -> None:
    """RFC 2033 section 4.1."""
    conn = connection(REACH[state])
    conn.data_to_send()
    conn.receive_data(b"LHLO c\r\n")
    assert conn.next_event() is Wait.DATA
    assert conn.data_to_send() == b"500 5.5.2 unknown command\r\n"
    assert conn.state is state
    lmtp = ServerConnection(LMTP, GREETING)
    lmtp.receive_data(b"EHLO c\r\nHELO c\r\nLHLO c\r\n")
    assert lmtp.next_event() == Lhlo("c")
    assert lmtp.errors == 2


def test_the_tables_lead_nowhere_without_an_exit() -> None:
    reachable = {state for state, _event in ACCEPTED} | {SmtpState.TLS, SmtpState.CLOSED}
    assert set(ACCEPTED.values()) <= reachable
    assert set(SENDABLE.values()) <= set(ClientState)
