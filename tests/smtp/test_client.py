"""The client engine, alone and against the server engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.smtp_wire import GREETING, example_policy
from zajil.core.address import Address
from zajil.core.line_engine import Wait
from zajil.core.mail_options import MailOptions, Notify, RecipientOptions
from zajil.smtp.client import ClientConnection, NotOffered, UnsafeText
from zajil.smtp.command import BodyChunk, BodyEnd, Event, Mail, Rcpt
from zajil.smtp.extensions import Capabilities
from zajil.smtp.lines import BareLineEnd
from zajil.smtp.reply import Reply
from zajil.smtp.reply_reader import MAX_DIALOGUE, BadReply
from zajil.smtp.server import ServerConnection
from zajil.smtp.state import ClientState

AMAL = Address("amal", "north.test")
SALMA = Address("سلمى", "xn--mgbkq8e.test")


class ConnectionPair:
    """A client and a server engine, wired to each other."""

    def __init__(self, offer: Capabilities) -> None:
        self.client = ClientConnection("client.example", lmtp=offer.lmtp)
        self.server = ServerConnection(offer, GREETING)
        self.messages: list[bytes] = []
        self.events: list[Event] = []
        self._body = b""

    def exchange(self) -> list[Reply]:
        """Move bytes until both sides are silent; gives the replies the client got."""
        replies: list[Reply] = []
        while True:
            self.client.receive_data(self.server.data_to_send())
            while (reply := self.client.next_reply()) is not None:
                replies.append(reply)
            data = self.client.data_to_send()
            if not data:
                return replies
            self.server.receive_data(data)
            self._answer()

    def _answer(self) -> None:
        while not isinstance(event := self.server.next_event(), Wait):
            if isinstance(event, BodyChunk):
                self._body += event.data
                continue
            if isinstance(event, BodyEnd):
                self.messages.append(self._body)
                self._body = b""
            self.events.append(event)
            self.server.reply(example_policy(event))


def greeted(offer: Capabilities | None = None) -> ConnectionPair:
    pair = ConnectionPair(offer or Capabilities(hostname="mx.example.org", max_message_size=10_000))
    pair.exchange()
    pair.client.ehlo()
    pair.exchange()
    return pair


def talking() -> ClientConnection:
    """Give a client that has got an EHLO reply without extensions."""
    client = ClientConnection("client.example")
    client.receive_data(b"220 hello\r\n")
    client.next_reply()
    client.ehlo()
    client.receive_data(b"250 hello\r\n")
    client.next_reply()
    client.data_to_send()
    return client


def take_all(client: ClientConnection) -> None:
    while client.next_reply():
        pass


def test_a_mail_goes_through_pipelined() -> None:
    pair = greeted()
    client = pair.client
    assert client.capabilities["SIZE"] == "10000"
    client.mail(AMAL, size=5, body="8BITMIME")
    client.rcpt(Address("unknown", "south.test"))
    client.rcpt(Address("b", "south.test"))
    client.data()
    assert [reply.code for reply in pair.exchange()] == [250, 550, 250, 354]
    client.body(b".dot\r\n..\r\nlast")
    client.end_body()
    client.quit()
    assert [reply.code for reply in pair.exchange()] == [250, 221]
    assert pair.messages == [b".dot\r\n..\r\nlast\r\n"]
    assert client.dialogue[-7:] == [
        "S: 550 5.1.1 no such mailbox",
        "S: 250 2.1.5 recipient ok",
        "S: 354 go ahead",
        "C: (14 bytes of message)",
        "C: QUIT",
        "S: 250 2.0.0 ok",
        "S: 221 2.0.0 bye",
    ]


@given(
    st.lists(
        st.sampled_from([b".", b"..", b"a", b"", b".a", b"\xd8\xb3"]) | st.binary(max_size=20),
        max_size=30,
    ).map(lambda lines: [line.translate(None, b"\r\n\0") for line in lines]),
    st.integers(1, 9),
)
def test_every_message_arrives_byte_for_byte(lines: list[bytes], step: int) -> None:
    """RFC 5321 section 4.5.2: transparency, however the message is cut."""
    message = b"".join(line + b"\r\n" for line in lines)
    pair = greeted()
    pair.client.mail(None)
    pair.client.rcpt(AMAL)
    pair.client.data()
    pair.exchange()
    for start in range(0, len(message), step):
        pair.client.body(message[start : start + step])
    pair.client.end_body()
    assert [reply.code for reply in pair.exchange()] == [250]
    assert pair.messages == [message]


@given(st.binary(max_size=60), st.integers(1, 7))
def test_a_message_with_bare_line_ends_never_leaves(message: bytes, step: int) -> None:
    """Attack: outbound smuggling (CVE-2026-33604)."""
    client = talking()
    client.mail(None)
    client.rcpt(AMAL)
    client.data()
    client.receive_data(b"250 ok\r\n250 ok\r\n354 go\r\n")
    take_all(client)
    client.data_to_send()
    clean = b"\r" not in (rest := message.replace(b"\r\n", b"")) and b"\n" not in rest
    try:
        for start in range(0, len(message), step):
            client.body(message[start : start + step])
        client.end_body()
    except BareLineEnd:
        assert not clean
        assert b"\r\n.\r\n" not in client.data_to_send()
    else:
        assert clean
        sent = b"\r\n" + client.data_to_send()
        assert sent.find(b"\r\n.\r\n") == len(sent) - 5


@pytest.mark.parametrize("bad", ["a\r\nRCPT TO:<x@y.example>", "a\nb", "a\rb", "a\0b", "a\x85b"])
def test_no_argument_becomes_a_second_command(bad: str) -> None:
    """Attack: CRLF injection (GHSA-v3q9-hj7j-63hq)."""
    client = talking()
    with pytest.raises(UnsafeText):
        client.mail(Address(f'"{bad}"', "x.example"))
    with pytest.raises(UnsafeText):
        client.mail(Address("a", bad))
    client.mail(None)
    with pytest.raises(UnsafeText):
        client.rcpt(Address("a", bad))
    assert client.data_to_send() == b"MAIL FROM:<>\r\n"


def test_utf8_addresses_need_the_offer() -> None:
    """RFC 6531 section 3.2."""
    client = talking()
    with pytest.raises(NotOffered):
        client.mail(SALMA)
    client.mail(None)
    with pytest.raises(NotOffered):
        client.rcpt(SALMA)
    pair = greeted()
    pair.client.mail(SALMA, smtputf8=True)
    pair.client.rcpt(SALMA)
    assert [reply.code for reply in pair.exchange()] == [250, 250]


def test_parameters_only_where_offered() -> None:
    client = talking()
    client.mail(AMAL, size=5, body="8BITMIME")
    assert client.data_to_send() == b"MAIL FROM:<amal@north.test>\r\n"


def test_postmaster_without_a_domain() -> None:
    client = talking()
    client.mail(None)
    client.rcpt(Address("postmaster", ""))
    assert client.data_to_send().endswith(b"RCPT TO:<postmaster>\r\n")


def test_replies_behind_the_consent_to_starttls_are_not_believed() -> None:
    """Attack: response injection (nostarttls.secvuln.info)."""
    client = talking()
    client.starttls()
    client.receive_data(b"220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n")
    with pytest.raises(BadReply):
        client.next_reply()


def test_tls_forgets_the_capabilities() -> None:
    pair = greeted(Capabilities(hostname="mx.example.org", max_message_size=10_000, starttls=True))
    assert "STARTTLS" in pair.client.capabilities
    pair.client.starttls()
    pair.exchange()
    assert pair.server.next_event() is Wait.TLS
    pair.server.tls_established()
    pair.client.tls_established()
    assert pair.client.capabilities == {}
    pair.client.ehlo()
    pair.exchange()
    assert "STARTTLS" not in pair.client.capabilities


def test_a_refused_starttls_leaves_the_session() -> None:
    client = talking()
    client.starttls()
    client.receive_data(b"454 not now\r\n")
    client.next_reply()
    client.mail(None)


def test_a_log_in_is_not_in_the_dialogue() -> None:
    client = talking()
    assert client.auth("PLAIN", b"\0amal\0secret")
    assert client.data_to_send() == b"AUTH PLAIN AGFtYWwAc2VjcmV0\r\n"
    client.receive_data(b"334 c2VjcmV0\r\n")
    client.next_reply()
    client.auth_response(b"secret")
    assert client.data_to_send() == b"c2VjcmV0\r\n"
    client.receive_data(b"235 ok\r\n")
    client.next_reply()
    client.mail(None)
    said = "\n".join(client.dialogue)
    assert "C: AUTH PLAIN\nS: 334 (challenge)\nC: (AUTH response)\nS: 235 ok" in said
    assert "c2VjcmV0" not in said


def test_a_cancelled_log_in_leaves_the_session() -> None:
    client = talking()
    client.auth("LOGIN")
    client.receive_data(b"334 eA==\r\n")
    client.next_reply()
    client.cancel_auth()
    assert client.data_to_send().endswith(b"AUTH LOGIN\r\n*\r\n")
    client.receive_data(b"501 cancelled\r\n")
    client.next_reply()
    client.mail(None)


def test_nothing_is_said_in_the_middle_of_a_log_in() -> None:
    client = talking()
    with pytest.raises(RuntimeError):
        client.auth_response(b"unasked")
    client.auth("LOGIN")
    with pytest.raises(RuntimeError):
        client.auth_response(b"too early")
    with pytest.raises(RuntimeError):
        client.mail(None)


@pytest.mark.parametrize(("size", "is_said"), [(371, True), (372, True), (373, False)])
def test_an_initial_response_fits_into_the_line_or_is_said_later(size: int, is_said: bool) -> None:
    """RFC 4954 section 4; a line has 512 octets (RFC 5321 section 4.5.3.1.4)."""
    client = talking()
    assert client.auth("PLAIN", b"x" * size) is is_said
    assert len(client.data_to_send()) <= 512


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"999 what\r\n",
        b"250\tx\r\n",
        b"250-a\r\n251 b\r\n",
        b"250 a\r\n250 b\r\n250 c\r\n",
        b"x" * 5000,
        b"250-x\r\n" * 200,
    ],
)
def test_what_is_no_reply_is_not_believed(data: bytes) -> None:
    client = talking()
    client.mail(None)
    client.receive_data(data)
    with pytest.raises(BadReply):
        take_all(client)


@given(st.binary(max_size=200), st.integers(1, 9))
def test_no_bytes_make_it_raise_anything_else(data: bytes, step: int) -> None:
    outcomes = []
    for size in (step, len(data) or 1):
        client = talking()
        client.mail(None)
        client.rcpt(AMAL)
        replies: list[Reply | str] = []
        try:
            for start in range(0, len(data), size):
                client.receive_data(data[start : start + size])
                while (reply := client.next_reply()) is not None:
                    replies.append(reply)
        except BadReply:
            replies.append("bad")
        outcomes.append(replies)
    assert outcomes[0] == outcomes[1]


def test_421_may_come_at_any_time() -> None:
    """RFC 5321 section 3.8."""
    client = talking()
    client.receive_data(b"421 4.3.2 bye\r\n")
    reply = client.next_reply()
    assert reply is not None
    assert reply.code == 421
    assert client.state is ClientState.CLOSED


def test_controls_of_the_peer_do_not_reach_the_journey() -> None:
    """Attack: log injection."""
    client = talking()
    client.mail(None)
    client.receive_data("550 5.1.1 \x1b[2Jgone\nC: QUIT \u202e052 سلام".encode() + b"\xff\r\n")
    reply = client.next_reply()
    assert reply == Reply(550, ("5.1.1 ?[2Jgone?C: QUIT ?052 سلام\ufffd",))
    assert client.dialogue[-1] == "S: 550 5.1.1 ?[2Jgone?C: QUIT ?052 سلام\ufffd"


def test_the_dialogue_is_bounded() -> None:
    client = talking()
    for _ in range(MAX_DIALOGUE + 10):
        client.rset()
    assert len(client.dialogue) == MAX_DIALOGUE


@pytest.mark.parametrize("method", ["data", "end_body", "starttls"])
def test_commands_out_of_order_are_a_fault_of_ours(method: str) -> None:
    client = ClientConnection("client.example")
    with pytest.raises(RuntimeError):
        getattr(client, method)()


def test_lmtp_answers_for_each_accepted_recipient() -> None:
    """RFC 2033 section 4.2."""
    client = ClientConnection("client.example", lmtp=True)
    client.receive_data(b"220 hello\r\n")
    client.next_reply()
    client.ehlo()
    assert client.data_to_send() == b"LHLO client.example\r\n"
    client.mail(None)
    for _ in range(3):
        client.rcpt(AMAL)
    client.data()
    client.receive_data(b"250 hi\r\n250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n")
    take_all(client)
    client.end_body()
    assert client.replies_owed() == 2


DSN_MAIL = MailOptions("HDRS", "id 7+8=", False)
DSN_RECIPIENT = RecipientOptions(Notify.SUCCESS | Notify.DELAY, "utf-8;سلمى+x@زاجل.test")


def test_dsn_parameters_arrive_as_they_were_asked_for() -> None:
    """RFC 3461 section 5.2.1, RFC 6533 section 3."""
    pair = greeted(Capabilities(hostname="mx.example.org", max_message_size=10_000, dsn=True))
    pair.client.mail(AMAL, options=DSN_MAIL)
    pair.client.rcpt(AMAL, options=DSN_RECIPIENT)
    pair.client.rcpt(AMAL, options=RecipientOptions(Notify.NEVER))
    assert [reply.code for reply in pair.exchange()] == [250, 250, 250]
    mail, *recipients = [e for e in pair.events if isinstance(e, Mail | Rcpt)]
    assert mail.options == DSN_MAIL
    assert [one.options for one in recipients] == [DSN_RECIPIENT, RecipientOptions(Notify.NEVER)]


def test_an_original_recipient_that_is_too_long_in_ascii_is_left_out() -> None:
    """RFC 3461 section 4.2: 500 characters; as itself it came in with fewer."""
    long = f"utf-8;{'س' * 80}@{'ز' * 60}.test"
    pair = greeted(Capabilities(hostname="mx.example.org", max_message_size=10_000, dsn=True))
    pair.client.mail(AMAL)
    pair.client.rcpt(AMAL, options=RecipientOptions(Notify.DELAY, long))
    assert pair.client.data_to_send().endswith(b"RCPT TO:<amal@north.test> NOTIFY=DELAY\r\n")


def test_dsn_parameters_are_not_said_where_nobody_knows_them() -> None:
    client = talking()
    client.mail(AMAL, options=DSN_MAIL)
    client.rcpt(AMAL, options=DSN_RECIPIENT)
    assert client.data_to_send() == b"MAIL FROM:<amal@north.test>\r\nRCPT TO:<amal@north.test>\r\n"


def test_a_mail_that_requires_tls_never_goes_without_the_promise() -> None:
    """RFC 8689 section 4.2.1."""
    client = talking()
    with pytest.raises(NotOffered):
        client.mail(AMAL, options=MailOptions(require_tls=True))
    assert client.data_to_send() == b""
    client.capabilities = {"REQUIRETLS": ""}
    client.mail(AMAL, options=MailOptions(require_tls=True, hold_for_s=5, hold_until_ms=6))
    assert client.data_to_send() == b"MAIL FROM:<amal@north.test> REQUIRETLS\r\n"


@pytest.mark.parametrize("bad", ["a\r\nRSET", "a\0", "\x85", "س"])
def test_no_parameter_becomes_a_second_command(bad: str) -> None:
    client = talking()
    client.capabilities = {"DSN": ""}
    with pytest.raises(UnsafeText):
        client.mail(AMAL, options=MailOptions(envelope_id=bad))
    client.mail(AMAL)
    for original in (f"rfc822;{bad}", bad, f"utf-8;{bad}\n"):
        with pytest.raises(UnsafeText):
            client.rcpt(AMAL, options=RecipientOptions(original_recipient=original))
    assert client.data_to_send() == b"MAIL FROM:<amal@north.test>\r\n"


def test_a_mail_goes_through_lmtp() -> None:
    """RFC 2033 section 4: LHLO, and a reply for each recipient."""
    pair = greeted(Capabilities(hostname="mx.example.org", max_message_size=10_000, lmtp=True))
    pair.client.mail(AMAL)
    for name in ("b", "unknown", "c"):
        pair.client.rcpt(Address(name, "south.test"))
    pair.client.data()
    assert [reply.code for reply in pair.exchange()] == [250, 250, 550, 250, 354]
    pair.client.body(b"hello\r\n")
    pair.client.end_body()
    pair.client.quit()
    assert [reply.code for reply in pair.exchange()] == [250, 250, 221]
    assert pair.messages == [b"hello\r\n"]
