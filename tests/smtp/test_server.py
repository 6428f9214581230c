"""The server engine: laws that no dialogue shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.core.address import Address
from zajil.smtp.command import Auth, AuthResponse, BodyChunk, BodyEnd, Event, Mail, Rcpt
from zajil.smtp.extensions import Offer
from zajil.smtp.reply import Reply
from zajil.smtp.server import MAX_REFUSALS, ServerConnection, Wait
from zajil.smtp.state import State
from zajil.testing.wire import GREETING, example_policy

OFFER = Offer(
    "mx.example.org",
    max_message_size=60,
    max_line=64,
    max_auth_line=80,
    starttls=True,
    auth_mechanisms=("PLAIN",),
)

LINES = st.lists(
    st.sampled_from(
        [
            b"EHLO c\r\n",
            b"MAIL FROM:<>\r\n",
            b"MAIL FROM:<a@b.example> SMTPUTF8\r\n",
            b"RCPT TO:<a@b.example>\r\n",
            b"DATA\r\n",
            b".\r\n",
            b"..x\r\n",
            b"\r",
            b"\n",
            b".",
            b"\0",
            b"RSET\r\n",
            b"AUTH PLAIN\r\n",
            b"AUTH PLAIN =\r\n",
            b"AGFtYWwAc2VjcmV0\r\n",
            b"STARTTLS\r\n",
            b"POST / HTTP/1.1\r\n",
            b"QUIT\r\n",
        ]
    )
    | st.binary(max_size=90)
).map(b"".join)

Transcript = tuple[list[Event], bytes, State, str]


def play(data: bytes, sizes: list[int], *, encrypted: bool) -> Transcript:
    """Feed the bytes in pieces of these sizes, over and over; join what belongs together."""
    conn = ServerConnection(OFFER, GREETING, encrypted=encrypted)
    events: list[Event] = []
    body, sent, at, turn = b"", b"", 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        conn.receive_data(data[at : at + size])
        at, turn = at + size, turn + 1
        while not isinstance(event := conn.next_event(), Wait):
            if isinstance(event, BodyChunk):
                body += event.data
                continue
            if isinstance(event, BodyEnd):
                if event.defect is None:
                    assert event.size == len(body)
                    events.append(BodyChunk(body))
                body = b""
            events.append(event)
            conn.reply(example_policy(event))
        sent += conn.data_to_send()
    return events, sent, conn.state, conn.close_reason


@given(LINES, st.lists(st.integers(1, 9), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_whatever_the_peer_sends_in_whatever_pieces_the_outcome_is_the_same(
    data: bytes, sizes: list[int], encrypted: bool, greet: bool
) -> None:
    if greet:  # so that most runs get to the message
        data = b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n" + data
    whole = play(data, [len(data) or 1], encrypted=encrypted)
    assert play(data, sizes, encrypted=encrypted) == whole


@given(st.binary(max_size=300))
def test_no_bytes_make_the_engine_raise(data: bytes) -> None:
    play(data, [len(data) or 1], encrypted=False)


def ready(offer: Offer = OFFER) -> ServerConnection:
    conn = ServerConnection(offer, GREETING)
    conn.receive_data(b"EHLO c\r\n")
    assert conn.next_event() is not Wait.DATA
    conn.reply(Reply(250, ("ok",)))
    conn.data_to_send()
    return conn


def next_command(conn: ServerConnection, line: bytes) -> Event | Wait:
    conn.receive_data(line)
    return conn.next_event()


def test_mail_carries_what_the_client_said() -> None:
    conn = ready(Offer("mx.example.org", 1000))
    event = next_command(
        conn, "MAIL FROM:<سلمى@زاجل.test> SIZE=10 BODY=8bitmime SMTPUTF8\r\n".encode()
    )
    assert event == Mail(
        Address("سلمى", "xn--mgbkq8e.test"), 10, "8BITMIME", True, "SIZE=10 BODY=8bitmime SMTPUTF8"
    )


def test_postmaster_without_a_domain() -> None:
    """RFC 5321 section 4.1.1.3."""
    conn = ready()
    next_command(conn, b"MAIL FROM:<>\r\n")
    conn.reply(Reply(250, ("ok",)))
    assert next_command(conn, b"RCPT TO:<POSTmaster>\r\n") == Rcpt(Address("postmaster", ""), "")


def test_a_source_route_is_taken_and_ignored() -> None:
    """RFC 5321 appendix C."""
    conn = ready()
    next_command(conn, b"MAIL FROM:<@a.example:b@example.com>\r\n")
    conn.reply(Reply(250, ("ok",)))
    event = next_command(conn, b"RCPT TO:<@a.example,@b.example:c@example.org>\r\n")
    assert event == Rcpt(Address("c", "example.org"), "")


def test_pipelined_commands_wait_for_the_reply() -> None:
    """RFC 2920 section 3.2."""
    conn = ready()
    conn.receive_data(b"MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n")
    assert isinstance(conn.next_event(), Mail)
    assert conn.next_event() is Wait.REPLY
    conn.reply(Reply(450, ("4.3.0 not now",)))
    assert conn.next_event() is Wait.DATA  # RCPT was refused: no MAIL
    assert conn.data_to_send() == b"450 4.3.0 not now\r\n503 5.5.1 MAIL first\r\n"


def test_a_reply_that_nobody_waits_for_is_a_fault_of_ours() -> None:
    with pytest.raises(RuntimeError):
        ready().reply(Reply(250, ("ok",)))


def test_421_closes_after_any_command() -> None:
    """RFC 5321 section 3.8."""
    conn = ready()
    next_command(conn, b"NOOP\r\nNOOP\r\n")
    conn.reply(Reply(421, ("4.3.2 bye",)))
    assert conn.next_event() is Wait.CLOSED


def test_temporary_refusals_do_not_count_as_errors() -> None:
    conn = ready()
    next_command(conn, b"MAIL FROM:<>\r\n")
    conn.reply(Reply(450, ("4.2.0 later",)))
    assert conn.errors == 0
    next_command(conn, b"MAIL FROM:<>\r\n")
    conn.reply(Reply(550, ("5.7.1 no",)))
    assert conn.errors == 1


def test_a_refused_message_ends_the_transaction() -> None:
    conn = ready()
    for line in (b"MAIL FROM:<>\r\n", b"RCPT TO:<a@b.example>\r\n"):
        next_command(conn, line)
        conn.reply(Reply(250, ("ok",)))
    next_command(conn, b"DATA\r\n")
    conn.reply(Reply(354, ("go",)))
    assert conn.in_transaction()
    assert next_command(conn, b"x\r\n.\r\n") == BodyChunk(b"x\r\n")
    assert conn.next_event() == BodyEnd(3, None)
    conn.reply(Reply(451, ("4.3.0 later",)))
    assert conn.state is State.READY
    assert not conn.in_transaction()


def test_refusals_are_kept_for_the_events_but_secrets_are_not() -> None:
    """Design D7: AUTH exchanges are never in an event, nor what may be a password gone astray."""
    conn = ready()
    conn.receive_data(
        b"AUTH PLAIN AGFtYWwAc2VjcmV0\r\nAGFtYWwAc2VjcmV0\r\nRCPT TO:<a@\xe2\x80\xaeb>\r\n"
    )
    assert conn.next_event() is Wait.DATA
    assert [command for command, _reply in conn.refusals] == [
        "AUTH",
        "(unknown command of 16 bytes)",
        "RCPT TO:<a@?b>",
    ]


def test_refusals_are_bounded() -> None:
    conn = ServerConnection(OFFER, GREETING, max_errors=1000)
    conn.receive_data(b"X\r\n" * 200)
    conn.next_event()
    assert len(conn.refusals) == MAX_REFUSALS


def test_secrets_are_not_in_the_repr() -> None:
    assert "secret" not in repr(Auth("PLAIN", b"\0amal\0secret"))
    assert "secret" not in repr(AuthResponse(b"\0amal\0secret"))


def test_tls_forgets_everything() -> None:
    """RFC 3207 section 4.2."""
    conn = ready()
    next_command(conn, b"STARTTLS\r\n")
    conn.reply(Reply(220, ("go",)))
    assert conn.next_event() is Wait.TLS
    conn.tls_established()
    assert (conn.state, conn.encrypted) == (State.START, True)


def test_tls_over_pending_bytes_is_a_fault_of_ours() -> None:
    conn = ready()
    next_command(conn, b"STARTTLS\r\nEHLO injected\r\n")
    conn.reply(Reply(220, ("go",)))
    assert conn.has_pending_input()
    with pytest.raises(RuntimeError):
        conn.tls_established()


def test_starttls_refused_by_the_session_changes_nothing() -> None:
    conn = ready()
    next_command(conn, b"STARTTLS\r\n")
    conn.reply(Reply(454, ("4.7.0 no TLS just now",)))
    assert next_command(conn, b"MAIL FROM:<>\r\n") == Mail(None, None, None, False, "")


def test_close_says_421_once() -> None:
    conn = ready()
    conn.close(Reply(421, ("4.4.2 idle",)), "timeout")
    conn.close(Reply(421, ("4.3.2 bye",)), "shutdown")
    assert conn.data_to_send() == b"421 4.4.2 idle\r\n"
    assert conn.close_reason == "timeout"
