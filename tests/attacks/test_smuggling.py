"""SMTP smuggling (VU#302671): only CRLF.CRLF ends a message, and no other message leaves.

The engine's own answers, byte by byte: `tests/wire/smtp/smuggling-*.wire` and
`cve-2023-5176*.wire`; what leaves through the queue: `tests/deliver/test_delivery.py`.
Here: real servers.
"""

from __future__ import annotations

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.lab_process import LabAccount, LabDomain
from kit.mailbox import wait_for_message
from kit.raw_smtp import RawPeer
from zajil.core.address import parse_address
from zajil.message.build import build_message, write_raw_field, write_text_field
from zajil.smtp.client import ClientConnection
from zajil.smtp.lines import BareLineEnd

ENDS = {
    "LF.LF": b"\n.\n",
    "LF.CR": b"\n.\r",
    "CR.LF": b"\r.\n",
    "CR.CR": b"\r.\r",
    "LF.CRLF": b"\n.\r\n",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.LF": b"\r\n.\n",
    "CRLF.CR": b"\r\n.\r",
    "CRLF.CRCRLF": b"\r\n.\r\r\n",
    "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n",
    "CRLF NUL.CRLF": b"\r\n\0.\r\n",
    "CRLF.NUL CRLF": b"\r\n.\0\r\n",
}
"""What some server takes for the end: CVE-2023-51764 (Postfix), CVE-2023-51765 (Sendmail),
CVE-2023-51766 (Exim), CVE-2023-51747 (James), CVE-2024-27305 (aiosmtpd), GHSA-g4x3-mfpj-f335."""


def is_there(domain: LabDomain, account: LabAccount, token: str) -> bool:
    with domain.imap(account) as mailbox:
        mailbox.select("INBOX", readonly=True)
        return mailbox.search(None, "TEXT", token)[1] != [b""]


def smuggle(peer: RawPeer, sender: str, reader: str, end: bytes, token: str, *, cut: bool) -> None:
    """Send one message that holds a second one, and see that it is one, and refused."""
    assert peer.say(f"MAIL FROM:<{sender}>").startswith("250")
    assert peer.say(f"RCPT TO:<{reader}>").startswith("250")
    assert peer.say("DATA").startswith("354")
    head = f"From: <{sender}>\r\nSubject: outer {token}\r\n\r\nfirst".encode()
    inner = (
        f"MAIL FROM:<{sender}>\r\nRCPT TO:<{reader}>\r\nDATA\r\n"
        f"From: <{sender}>\r\nSubject: inner {token}\r\n\r\nsmuggled\r\n.\r\n"
    ).encode()
    whole = head + end + inner
    seam = range(len(head), len(head) + len(end))
    pieces = [whole[i : i + 1] for i in seam] if cut else []
    if cut:
        peer.send(head, *pieces, inner)
    else:
        peer.send(whole)
    answer = peer.reply()
    assert re.match(r"5\d\d 5\.[56]\.", answer), answer
    # One answer, and the server stands where we believe it to stand.
    assert peer.say("NOOP").startswith("250")
    assert peer.say("DATA").startswith("503")


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut at every byte of the end"])
@pytest.mark.parametrize("end", ENDS)
def test_smuggling_into_port_25(north: LabDomain, end: str, cut: bool) -> None:
    """CVE-2023-51764, -51765, -51766, -51747, CVE-2024-27305."""
    reader, token = north.accounts[1], uuid.uuid4().hex
    with RawPeer(north.address("smtp")) as peer:
        peer.say("EHLO client.test")
        smuggle(peer, "a@elsewhere.test", reader.address, ENDS[end], token, cut=cut)
    assert not is_there(north, reader, token)


@pytest.mark.parametrize("end", ENDS)
def test_smuggling_across_tls_records(north: LabDomain, end: str) -> None:
    """Each byte of the false end in a record of its own, on port 25 after STARTTLS."""
    reader, token = north.accounts[1], uuid.uuid4().hex
    with RawPeer(north.address("smtp")) as peer:
        peer.say("EHLO client.test")
        assert peer.say("STARTTLS").startswith("220")
        peer.start_tls(north.tls)
        peer.say("EHLO client.test")
        smuggle(peer, "a@elsewhere.test", reader.address, ENDS[end], token, cut=True)
    assert not is_there(north, reader, token)


@pytest.mark.parametrize("end", ENDS)
def test_smuggling_by_an_account_of_ours(north: LabDomain, end: str) -> None:
    """A user of ours who smuggles would write as anybody else of our domain."""
    writer, reader = north.accounts
    token = uuid.uuid4().hex
    with RawPeer(north.address("submissions"), north.tls) as peer:
        peer.say("EHLO client.test")
        assert peer.log_in(writer).startswith("235")
        smuggle(peer, writer.address, reader.address, ENDS[end], token, cut=False)
    assert not is_there(north, reader, token)


@pytest.mark.parametrize("end", ENDS)
def test_smuggling_through_lmtp(north: LabDomain, end: str) -> None:
    """RFC 2033 changes the replies, not what ends a message: one refusal for one recipient."""
    reader, token = north.accounts[1], uuid.uuid4().hex
    with RawPeer(north.address("lmtp")) as peer:
        peer.say("LHLO relay.test")
        smuggle(peer, "a@elsewhere.test", reader.address, ENDS[end], token, cut=True)
    assert not is_there(north, reader, token)


@pytest.mark.parametrize("end", [*ENDS.values(), b"\r\n.\r\n"], ids=[*ENDS, "the true end"])
@pytest.mark.parametrize("service", ["smtp", "lmtp"])
def test_smuggling_through_chunks(north: LabDomain, service: str, end: bytes) -> None:
    """RFC 3030: a chunk ends by its count alone, whatever it holds; nothing in it is a command."""
    reader, token = north.accounts[1], uuid.uuid4().hex
    inner = f"MAIL FROM:<b@elsewhere.test>\r\nRCPT TO:<{reader.address}>\r\nDATA\r\n"
    body = b"first" + end + inner.encode() + f"Subject: inner {token}\r\n\r\nx\r\n".encode()
    message = f"From: <a@elsewhere.test>\r\nSubject: {token}\r\n\r\n".encode() + body
    middle = message.index(body) + 5 + len(end) // 2  # a chunk ends within the false end
    with RawPeer(north.address(service)) as peer:
        peer.say("LHLO relay.test" if service == "lmtp" else "EHLO client.test")
        peer.say_all(["MAIL FROM:<a@elsewhere.test>", f"RCPT TO:<{reader.address}>"])
        peer.send(f"BDAT {middle}\r\n".encode(), message[:middle])
        first = peer.reply()
        if first.startswith("250"):
            peer.send(f"BDAT {len(message) - middle} LAST\r\n".encode(), message[middle:])
            answer = peer.reply()
        else:
            answer = first
        is_taken = answer.startswith("250")
        assert is_taken == (end == b"\r\n.\r\n"), answer
        # One answer, and the server stands where we believe it to stand.
        assert peer.say("NOOP").startswith("250")
    if not is_taken:
        assert not is_there(north, reader, token)
        return
    with north.imap(reader) as mailbox:
        assert wait_for_message(mailbox, "TEXT", token).endswith(message)
        assert mailbox.search(None, "SUBJECT", f'"inner {token}"')[1] == [b""]


def test_pipelined_commands_behind_the_true_end_belong_to_who_is_logged_in(
    north: LabDomain,
) -> None:
    """RFC 2920: they are commands of the same session, and its rights hold for them."""
    writer, other = north.accounts
    with RawPeer(north.address("submissions"), north.tls) as peer:
        peer.say("EHLO client.test")
        assert peer.log_in(writer).startswith("235")
        peer.say_all([f"MAIL FROM:<{writer.address}>", f"RCPT TO:<{writer.address}>", "DATA"])
        peer.send(
            f"From: <{writer.address}>\r\n\r\nx\r\n.\r\nMAIL FROM:<{other.address}>\r\n".encode()
        )
        assert peer.reply().startswith("250")
        assert peer.reply().startswith("553 5.7.1")


def test_the_longest_lines_pass_unchanged_and_dots_stay(north: LabDomain) -> None:
    """Handling is the same before and after a hop: no line is cut or joined (section 4.5.3.1.6)."""
    writer, token = north.accounts[0], uuid.uuid4().hex
    body = b"x" * 998 + b"\r\n" + b"." * 998 + b"\r\n.\r\n..\r\n" + b"\xff\xfe\x80\r\n"
    letter = f"From: a@elsewhere.test\r\nSubject: {token}\r\n\r\n".encode() + body
    with north.smtp() as client:
        client.ehlo()
        client.sendmail("a@elsewhere.test", [writer.address], letter, ["BODY=8BITMIME"])
    with north.imap(writer) as mailbox:
        assert wait_for_message(mailbox, "SUBJECT", token).endswith(letter)


# ---- outbound ----------------------------------------------------------------------------------

PIECES = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"..", b"\0", b"x", b"\x85", b"MAIL FROM:<e@x>"]),
    max_size=14,
).map(b"".join)


def wire_form(message: bytes) -> bytes:
    """Give what a next hop would read behind DATA; raises what the client's engine raises."""
    conn = ClientConnection("mx.north.test")

    def hear(reply: bytes) -> None:
        conn.receive_data(reply)
        conn.next_reply()

    hear(b"220 hello\r\n")
    conn.ehlo()
    hear(b"250 hello\r\n")
    conn.mail(None)
    hear(b"250 ok\r\n")
    conn.rcpt(parse_address("b@south.test"))
    hear(b"250 ok\r\n")
    conn.data()
    hear(b"354 go\r\n")
    conn.data_to_send()
    conn.body(message)
    conn.end_body()
    return conn.data_to_send()


@given(PIECES)
def test_no_line_a_lenient_peer_could_see_ends_the_message(message: bytes) -> None:
    """CVE-2026-33604: dot-stuffing after every line end there is, or the message does not leave."""
    try:
        wire = wire_form(message)
    except BareLineEnd:
        return
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert b"\r" not in wire.replace(b"\r\n", b"")
    lines = wire.removesuffix(b".\r\n").split(b"\r\n")
    assert b"." not in lines


def test_an_appended_message_leaves_no_bare_line_end(north: LabDomain) -> None:
    """IMAP APPEND, then sent again as it was read: what is stored has CRLF alone."""
    writer, reader = north.accounts
    token = uuid.uuid4().hex
    raw = (
        f"From: {writer.address}\nSubject: {token}\n\nfirst\n.\nMAIL FROM:<e@x>\r.\rlast\r\r\n.\r\n"
    )
    with north.imap(writer) as mailbox:
        mailbox.append("INBOX", None, None, raw.encode())
        stored = wait_for_message(mailbox, "SUBJECT", token)
    assert b"\n" not in stored.replace(b"\r\n", b"")
    assert b"\r" not in stored.replace(b"\r\n", b"")
    again = stored.replace(token.encode(), token[::-1].encode())
    with north.submission(writer) as client:
        client.sendmail(writer.address, [reader.address], again)
    with north.imap(reader) as mailbox:
        got = wait_for_message(mailbox, "SUBJECT", token[::-1])
    assert got.endswith(b"\r\n\r\n" + again.partition(b"\r\n\r\n")[2])


@given(st.text(st.sampled_from("a.\r\n\0\x0b\x85 ب"), max_size=40), st.text(max_size=20))
def test_a_form_becomes_lines_that_end_in_crlf(text: str, subject: str) -> None:
    """What a browser's form holds may have any line ends; the message has one kind."""
    subject = subject.translate({ord(control): " " for control in "\r\n\0"})
    fields = [
        write_raw_field("From", "a@north.test"),
        write_text_field("Subject", subject, utf8=True),
    ]
    message = build_message(fields, text, unique="u")
    assert b"\n" not in message.replace(b"\r\n", b"")
    assert b"\r" not in message.replace(b"\r\n", b"")
    assert b"\0" not in message
    assert message.count(b"\r\nFrom:") + message.startswith(b"From:") == 1
    wire_form(message)
