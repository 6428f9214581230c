"""The server engine: laws that no dialogue shows."""

from __future__ import annotations

import sys
from dataclasses import replace
from ipaddress import IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit.clock import FakeClock
from kit.smtp_wire import GREETING, example_policy
from zajil.core.address import Address
from zajil.core.line_engine import Wait
from zajil.core.mail_options import (
    PLAIN_MAIL,
    PLAIN_RECIPIENT,
    MailOptions,
    Notify,
    RecipientOptions,
)
from zajil.smtp.command import (
    Auth,
    AuthResponse,
    Bdat,
    BodyChunk,
    BodyEnd,
    Ehlo,
    Event,
    Mail,
    Rcpt,
    UnknownCommand,
    Xclient,
)
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply
from zajil.smtp.reply_queue import MAX_REFUSALS
from zajil.smtp.server import ServerConnection
from zajil.smtp.state import SmtpState

OFFER = Capabilities(
    hostname="mx.example.org",
    max_message_size=60,
    max_line=64,
    max_auth_line=80,
    starttls=True,
    auth_mechanisms=("PLAIN",),
)

EVERYTHING = Capabilities(
    hostname="mx.example.org",
    max_message_size=60,
    max_line=64,
    max_auth_line=80,
    starttls=True,
    auth_mechanisms=("PLAIN",),
    chunking=True,
    dsn=True,
    require_tls=True,
    max_hold_seconds=100,
    max_recipients=3,
    max_mails=3,
    xclient=True,
    clock=FakeClock(),
)
OFFERS = [
    OFFER,
    EVERYTHING,
    replace(EVERYTHING, bare_line_ends=True),
    replace(EVERYTHING, lmtp=True, auth_mechanisms=(), xclient=False),
]

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
            b"LHLO c\r\n",
            b"BDAT 0\r\n",
            b"BDAT 0 LAST\r\n",
            b"BDAT 3\r\n",
            b"BDAT 7 LAST\r\n",
            b"BDAT 61\r\n",
            b"BDAT 5\0\r\n",
            b"XCLIENT ADDR=192.0.2.1\r\n",
            b"MAIL FROM:<> RET=FULL HOLDFOR=5 REQUIRETLS\r\n",
            b"RCPT TO:<a@b.example> NOTIFY=NEVER\r\n",
            b"POST / HTTP/1.1\r\n",
            b"QUIT\r\n",
        ]
    )
    | st.binary(max_size=90)
).map(b"".join)

Transcript = tuple[list[Event], bytes, SmtpState, str]


def play(
    data: bytes, sizes: list[int], *, encrypted: bool = False, offer: Capabilities = OFFER
) -> Transcript:
    """Feed the bytes in pieces of these sizes, over and over; join what belongs together."""
    conn = ServerConnection(offer, GREETING, encrypted=encrypted, max_commands=40)
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
                    assert event.size == len(body) <= offer.max_message_size
                    assert_clean(body)
                    events.append(BodyChunk(body))
                body = b""
            elif isinstance(event, Mail):
                body = b""
            events.append(event)
            conn.reply(example_policy(event))
        sent += conn.data_to_send()
    return events, sent, conn.state, conn.close_reason


def assert_clean(message: bytes) -> None:
    """Only CRLF ends a line, the last line is one, and there is no NUL: what is behind us relies
    on it, whatever the offer."""
    bare = message.replace(b"\r\n", b"")
    assert not {*b"\r\n\0"} & {*bare}
    assert not message or message.endswith(b"\r\n")


@given(
    LINES,
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from([b"", b"DATA\r\n", b"BDAT 9\r\n", b"BDAT 20 LAST\r\n"]),
    st.sampled_from(OFFERS),
)
@example(b"EHLO c\r\nEHLO c\r\n\n\0\0\0", [1], False, b"BDAT 20 LAST\r\n", OFFERS[2])
@example(b"a\n\0b\n\r\n.\r\n", [1], False, b"DATA\r\n", OFFERS[2])
def test_whatever_the_peer_sends_in_whatever_pieces_the_outcome_is_the_same(
    data: bytes, sizes: list[int], encrypted: bool, begin: bytes, offer: Capabilities
) -> None:
    if begin:  # so that most runs get to the message
        verb = b"LHLO" if offer.lmtp else b"EHLO"
        data = verb + b" c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n" + begin + data
    whole = play(data, [len(data) or 1], encrypted=encrypted, offer=offer)
    assert play(data, sizes, encrypted=encrypted, offer=offer) == whole


@given(st.lists(st.binary(max_size=12) | st.sampled_from([b"\r\n", b"\r", b"\n.", b"."])))
def test_a_message_in_chunks_is_the_message(chunks: list[bytes]) -> None:
    """RFC 3030 section 2: the chunks are put together as they are, wherever they were cut."""
    message = b"".join(chunks)
    offer = Capabilities(hostname="mx.example.org", max_message_size=1000, chunking=True)
    head = b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n"
    cut = b"".join(b"BDAT %d\r\n%s" % (len(chunk), chunk) for chunk in chunks)
    whole = b"BDAT %d LAST\r\n%s" % (len(message), message)
    events, *_ = play(head + cut + b"BDAT 0 LAST\r\n", [1 << 20], offer=offer)
    expected, *_ = play(head + whole, [1 << 20], offer=offer)
    refused = next((e for e in events if isinstance(e, Bdat) and e.defect), None)
    if refused is not None:
        assert expected[-1] == BodyEnd(len(message), refused.defect)
    else:
        assert [e for e in events if not isinstance(e, Bdat)] == expected


@given(st.binary(max_size=300))
def test_no_bytes_make_the_engine_raise(data: bytes) -> None:
    for offer in OFFERS:
        play(data, [len(data) or 1], offer=offer)


def ready(offer: Capabilities = OFFER) -> ServerConnection:
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
    conn = ready(Capabilities(hostname="mx.example.org", max_message_size=1000))
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


def test_an_idle_connection_does_not_keep_its_last_packet() -> None:
    """A packet may have 256 KB, and a peer may stay for minutes after its mail."""
    conn = ready()
    next_command(conn, b"MAIL FROM:<>\r\n")
    conn.reply(Reply(250, ("ok",)))
    packet = bytes(bytearray(b"NOOP\r\n" * 20))
    conn.receive_data(packet)
    references = sys.getrefcount(packet)
    while conn.next_event() is not Wait.DATA:
        conn.reply(Reply(250, ("ok",)))
    assert sys.getrefcount(packet) == references - 1


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
    assert conn.state is SmtpState.READY
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
    assert (conn.state, conn.encrypted) == (SmtpState.START, True)


def test_tls_over_pending_bytes_is_a_fault_of_ours() -> None:
    conn = ready()
    next_command(conn, b"STARTTLS\r\nEHLO injected\r\n")
    conn.reply(Reply(220, ("go",)))
    assert conn.pending_size()
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


def test_the_order_of_the_replies_of_lmtp_is_that_of_the_recipients() -> None:
    """RFC 2033 section 4.2: one for each accepted RCPT, also if two name the same mailbox."""
    conn = ServerConnection(
        Capabilities(hostname="mx.example.org", max_message_size=1000, lmtp=True), GREETING
    )
    conn.receive_data(b"LHLO c\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<a@b.example>\r\n" * 2)
    conn.receive_data(b"RCPT TO:<unknown@b.example>\r\nDATA\r\n.\r\n")
    while not isinstance(event := conn.next_event(), BodyEnd):
        assert not isinstance(event, Wait)
        conn.reply(example_policy(event))
    assert conn.recipients == 2
    conn.data_to_send()
    conn.reply_each([Reply(250, ("2.0.0 one",)), Reply(452, ("4.2.2 two",))])
    assert conn.data_to_send() == b"250 2.0.0 one\r\n452 4.2.2 two\r\n"
    assert conn.state is SmtpState.READY


@pytest.mark.parametrize("count", [0, 2])
def test_a_wrong_number_of_replies_is_a_fault_of_ours(count: int) -> None:
    conn = ServerConnection(
        Capabilities(hostname="mx.example.org", max_message_size=1000, lmtp=True), GREETING
    )
    conn.receive_data(b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n.\r\n")
    while not isinstance(event := conn.next_event(), BodyEnd):
        assert not isinstance(event, Wait)
        conn.reply(example_policy(event))
    with pytest.raises(RuntimeError):
        conn.reply_each([Reply(250, ("2.0.0 ok",))] * count)


def test_xclient_tells_facts_and_begins_anew_with_another_offer() -> None:
    offer = Capabilities(
        hostname="mx.example.org", max_message_size=1000, xclient=True, auth_mechanisms=("PLAIN",)
    )
    conn = ServerConnection(offer, GREETING, encrypted=True)
    conn.receive_data(
        b"EHLO c\r\nAUTH PLAIN AGFtYWwAc2VjcmV0\r\n"
        b"XCLIENT NAME=[TEMPUNAVAIL] ADDR=IPV6:2001:DB8::1 PORT=5 LOGIN=amal+40x DESTPORT=25\r\n"
    )
    for _ in range(2):
        event = conn.next_event()
        assert not isinstance(event, Wait)
        conn.reply(example_policy(event))
    conn.is_authenticated = True
    assert conn.next_event() == Xclient(
        name=UnknownCommand.TEMPUNAVAIL,
        address=IPv6Address("2001:db8::1"),
        port=5,
        login="amal@x",
        local_port=25,
    )
    conn.reply(GREETING)
    assert conn.state is SmtpState.START
    assert not conn.is_authenticated
    conn.restart(Capabilities(hostname="mx.example.org", max_message_size=1000))
    assert isinstance(next_command(conn, b"EHLO d\r\n"), Ehlo)
    conn.reply(Reply(250, ("2.0.0 ok",)))
    assert next_command(conn, b"XCLIENT NAME=a\r\n") is Wait.DATA
    assert b"\r\n502 5.5.1 " in conn.data_to_send()


def test_parameters_become_options() -> None:
    conn = ready(replace(EVERYTHING, max_line=2048))
    event = next_command(
        conn, b"MAIL FROM:<a@b.example> RET=hdrs ENVID=QQ+2B1+20 HOLDUNTIL=2023-11-14T22:13:21Z\r\n"
    )
    assert isinstance(event, Mail)
    assert event.options == MailOptions("HDRS", "QQ+1 ", False, None, 1_700_000_001_000)
    conn.reply(Reply(250, ("2.1.0 ok",)))
    event = next_command(
        conn, b"RCPT TO:<c@d.example> NOTIFY=DELAY,success ORCPT=utf-8;\\x{633}+2Bx@d.example\r\n"
    )
    assert isinstance(event, Rcpt)
    assert event.options == RecipientOptions(Notify.DELAY | Notify.SUCCESS, "utf-8;س+x@d.example")


def test_who_asks_for_nothing_costs_nothing() -> None:
    conn = ready(EVERYTHING)
    event = next_command(conn, b"MAIL FROM:<a@b.example> SIZE=5 BODY=8BITMIME\r\n")
    assert isinstance(event, Mail)
    assert event.options is PLAIN_MAIL
    conn.reply(Reply(250, ("2.1.0 ok",)))
    event = next_command(conn, b"RCPT TO:<c@d.example>\r\n")
    assert isinstance(event, Rcpt)
    assert event.options is PLAIN_RECIPIENT


def test_many_chunks_in_one_packet_are_read_in_linear_time() -> None:
    """Attack: chunks of one byte each; what waits behind them must not be copied for each."""
    conn = ServerConnection(
        Capabilities(hostname="mx.example.org", max_message_size=1 << 20, chunking=True), GREETING
    )
    count = 20_000
    conn.receive_data(
        b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n"
        + b"BDAT 1\r\nx" * count
        + b"BDAT 0 LAST\r\n"
    )
    size = 0
    while not isinstance(event := conn.next_event(), Wait):
        if isinstance(event, BodyChunk):
            size += len(event.data)
        else:
            conn.reply(example_policy(event))
    assert size == count + 2


@pytest.mark.parametrize(
    "bad", [{"max_hold_seconds": 5}, {"max_recipients": -1}, {"max_mails": -1}]
)
def test_an_offer_that_cannot_be_kept_is_none(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"clock|below 0"):
        Capabilities(hostname="mx.example.org", max_message_size=1000, **bad)  # type: ignore[arg-type]
