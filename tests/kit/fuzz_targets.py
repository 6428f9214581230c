"""Every parser of foreign bytes as a target of the fuzzer.

A check lets through the one error that the parser's docstring names, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kit.clock import CountingRandom, FakeClock
from kit.fuzz import Target
from kit.fuzz_content import content_targets
from kit.fuzz_dkim import dkim_targets
from kit.fuzz_dns import dns_targets
from kit.fuzz_html import html_targets
from kit.fuzz_judged import judged_targets
from kit.fuzz_logo import logo_targets
from kit.fuzz_mail import mail_targets
from kit.fuzz_pages import page_targets
from kit.fuzz_pop3 import pop3_targets
from kit.fuzz_reports import report_targets
from kit.fuzz_seeds import NOT_FIT
from kit.fuzz_sender import sender_targets
from kit.fuzz_spf import spf_targets
from kit.imap_wire import ExampleSession, new_engine
from kit.mail import NOON_MS, make_message
from kit.smtp_wire import GREETING, example_policy
from kit.wire_script import load_script, scripts
from zajil.config.load import BadConfiguration, parse_configuration
from zajil.core.address import BadAddress, parse_address
from zajil.core.domain import BadDomain, to_ascii, to_unicode
from zajil.core.line_engine import Wait
from zajil.core.login_name import BadLogin, parse_login
from zajil.core.units import parse_duration, parse_size
from zajil.imap.mailbox_name import BadMailboxName, ListPattern, decode_name, encode_name
from zajil.imap.message_url import BadUrl, parse_message_url
from zajil.imap.state import ImapState
from zajil.mailauth.authres import is_forged
from zajil.message.address_list import parse_address_list
from zajil.message.charset import decode_text
from zajil.message.date import format_date, parse_date
from zajil.message.encoded_word import decode_words
from zajil.message.fields import begins_folded, cut_ranges, read_fields, split_message, unfold
from zajil.message.mend_fields import MAX_LINE, CannotMend, is_fit
from zajil.message.mend_parts import mend_message
from zajil.message.params import parse_parameterised
from zajil.message.parse import parse_message
from zajil.message.transfer import TransferDecoder, decode_transfer
from zajil.net.proxy_header import BadProxyHeader, parse_proxy_header
from zajil.sasl.mechanism import make_mechanism
from zajil.sasl.step import Challenge
from zajil.smtp.client import ClientConnection
from zajil.smtp.command import BodyChunk, BodyEnd, Mail
from zajil.smtp.command_line import parse_command
from zajil.smtp.extensions import Capabilities
from zajil.smtp.lines import BareLineEnd, BodyWriter
from zajil.smtp.refusals import CommandError
from zajil.smtp.reply import Reply
from zajil.smtp.reply_reader import BadReply
from zajil.smtp.server import ServerConnection

_EVERYTHING = {
    *("SIZE", "BODY", "SMTPUTF8", "AUTH", "RET", "ENVID", "REQUIRETLS", "HOLDFOR", "HOLDUNTIL"),
    *("NOTIFY", "ORCPT", "CHUNKING", "XCLIENT"),
}


def all_targets() -> list[Target]:
    """Return every target; the engines begin with what clients say in wire scripts."""
    smtp, imap = _client_words("smtp"), _client_words("imap")
    lines = tuple({line for said in smtp for line in said.split(b"\r\n") if line})
    fields = _FIELDS
    return [
        Target("smtp-server", _smtp_server, smtp, (*lines, b"BDAT 5\r\n", b"BDAT 0 LAST\r\n")),
        Target("smtp-command", _command, lines, (b"MAIL FROM:<", b"> ", b"ORCPT=rfc822;", b"+2B")),
        Target("smtp-client", _smtp_client, _REPLIES, (b"250-", b"250 ", b"421 ", b"\r\n")),
        Target("smtp-body-writer", _body_writer, (b".\r\n..\r\nx\r\n",), (b"\r\n.", b"\n.")),
        Target("proxy-header", _proxy, _PROXY, (b"PROXY TCP6 ", b"\r\n\r\n\0\r\nQUIT\n\x21")),
        Target("sasl", _sasl, _SASL, (b"n,,", b"n=", b"r=", b"\x01", b"auth=Bearer ", b"\0")),
        Target("address", _text(_address), _ADDRESSES, (b"@", b'"', b"[IPv6:", b"xn--", b".")),
        Target("login-name", _text(_login), (b"amal", "أمل".encode()), (b"@",)),
        Target("units", _text(_units), (b"5d", b"25MiB", b"200ms"), (b"KiB", b"h")),
        Target("address-list", _address_list, fields, (b"undisclosed:;", b"(", b"<", b",", b"@")),
        Target("header-fields", _header_fields, (make_message(),), (b"\r\n ", b"Bcc: x\r\n", b":")),
        Target("mime", _mime, _MESSAGES, (b"--b\r\n", b"--b--", b"boundary=b", b"\r\n\r\n")),
        Target(
            "mend",
            _mend,
            (*_MESSAGES, *NOT_FIT),
            (b"--b\r\n", b"--b--", b"\xe9", b"x" * 999, b'"', b"<"),
        ),
        Target("date", _date, _DATES, (b" +0000", b"Feb", b"24:60:61", b"(c)", b"9999")),
        Target("encoded-word", _words, fields, (b"=?utf-8?q?", b"?=", b"=?iso-8859-6?B?", b"*ar")),
        Target("parameters", _params, fields, (b"; a*0*=utf-8''", b"; a*1=", b"%d8", b'"')),
        Target("transfer", _transfer, (b"PGI+\r\n", b"=D8=B3=\r\n"), (b"=", b"=\r\n", b"begin")),
        Target("imap-server", _imap_server, imap, (b"{3+}\r\n", b"(", b")", b"UID ", b"\r\n")),
        Target("imap-url", _text(_imap_url), _URLS, (b";UID=", b"/", b";SECTION=", b"%00", b"9")),
        Target("imap-names", _imap_names, (b"INBOX", b"&Bi8-/x", b"%/*"), (b"&", b"-", b"%", b"*")),
        *page_targets(),
        *pop3_targets(_client_words("pop3")),
        *dns_targets(),
        Target("authres", _authres, fields, (b"mx.north.test", b"; spf=pass", b"(", b"1 ;")),
        *dkim_targets(),
        *sender_targets(),
        *spf_targets(),
        *report_targets(),
        *content_targets(),
        *html_targets(),
        *mail_targets(),
        *judged_targets(),
        *logo_targets(),
        Target("configuration", _text(_configuration), _TOML, (b"[limits]\n", b"idle = ", b"'5m'")),
    ]


def _client_words(protocol: str) -> tuple[bytes, ...]:
    """Return what the clients of its wire scripts say."""
    return tuple(
        b"".join(text for _, kind, text in load_script(path).steps if kind == "C")
        for path in scripts(protocol)
    )


# ---- smtp ---------------------------------------------------------------------------------------


def _offers() -> tuple[Capabilities, ...]:
    every = Capabilities(
        hostname="mx.north.test",
        max_message_size=900,
        starttls=True,
        auth_mechanisms=("PLAIN",),
        chunking=True,
        dsn=True,
        require_tls=True,
        max_hold_seconds=100,
        clock=FakeClock(),
    )
    lmtp = Capabilities(
        hostname="mx.north.test", max_message_size=900, lmtp=True, chunking=True, dsn=True
    )
    return (
        every,
        lmtp,
        Capabilities(hostname="mx.north.test", max_message_size=900, bare_line_ends=True),
    )


def _smtp_server(data: bytes) -> None:
    """Never raises, and the same comes of it however it is cut."""
    for offer in _offers():
        whole = _play(offer, [data])
        size = 1 + sum(data[:8]) % 7  # not of its length: more of the same is cut alike
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        # What follows STARTTLS in one packet is an attack, in the next it is a handshake.
        if b"STARTTLS" not in data.upper():
            assert _play(offer, pieces) == whole


def _play(offer: Capabilities, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """Return what was answered, and the messages that came whole."""
    conn = ServerConnection(offer, GREETING, encrypted=not offer.starttls)
    body = whole = b""
    for piece in pieces:
        conn.receive_data(piece)
        while not isinstance(event := conn.next_event(), Wait):
            if isinstance(event, BodyChunk):
                body += event.data
                continue
            if isinstance(event, BodyEnd):
                whole += body if event.defect is None else b""
                body = b""
            elif isinstance(event, Mail):
                body = b""
            if isinstance(event, BodyEnd) and offer.lmtp:
                conn.reply_each([Reply(250, ("2.0.0 ok",))] * conn.recipients)
            else:
                conn.reply(example_policy(event))
    return conn.data_to_send(), whole


def _command(data: bytes) -> None:
    with suppress(CommandError):
        parse_command(data.replace(b"\r\n", b" "), _EVERYTHING)


_REPLIES = (b"220 hello\r\n250-x\r\n250 SIZE 100\r\n250 2.1.0 ok\r\n", b"421 4.3.2 bye\r\n")


def _smtp_client(data: bytes) -> None:
    conn = ClientConnection("client.test")
    conn.receive_data(data)
    with suppress(BadReply):
        if conn.next_reply() is not None and conn.state.name == "START":
            conn.ehlo()
        while conn.next_reply() is not None:
            pass


def _body_writer(data: bytes) -> None:
    writer = BodyWriter()
    try:
        wire = writer.write(data) + writer.end()
    except BareLineEnd:
        return
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert b"." not in wire.removesuffix(b".\r\n").split(b"\r\n")


_PROXY = (
    b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\nEHLO x\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x19EHLO x",
)


def _proxy(data: bytes) -> None:
    with suppress(BadProxyHeader):
        header = parse_proxy_header(data)
        assert header is None or 0 < header.size <= len(data)


_SASL = (b"\0amal\0secret", b"n,,n=amal,r=nonce", b"n,a=amal,\x01auth=Bearer x\x01\x01", b"amal")


def _sasl(data: bytes) -> None:
    for name in ("PLAIN", "LOGIN", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"):
        for initial in (data, None):
            mechanism = make_mechanism(name, CountingRandom())
            if mechanism is not None and isinstance(mechanism.start(initial), Challenge):
                mechanism.respond(data)


# ---- names and values ---------------------------------------------------------------------------


def _text(check: Callable[[str], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        check(data.decode("utf-8", "replace"))

    return run


_ADDRESSES = (b"amal@north.test", "سلمى@زاجل.test".encode(), b'"a b"@[IPv6:::1]', b"a@xn--a.b")


def _address(text: str) -> None:
    with suppress(BadDomain):
        assert to_ascii(to_unicode(to_ascii(text))) == to_ascii(text)
    with suppress(BadAddress):
        found = parse_address(text)
        assert parse_address(str(found)) == found


def _login(text: str) -> None:
    with suppress(BadLogin):
        assert parse_login(text)


def _units(text: str) -> None:
    with suppress(ValueError):
        parse_duration(text)
    with suppress(ValueError):
        parse_size(text)


_TOML = (b"[limits]\nidle = '5m'\n", b"[server]\nhostname = 'mx.north.test'\nworkers = 2\n")


def _configuration(text: str) -> None:
    with suppress(BadConfiguration):
        parse_configuration(text, Path("zajil.toml"))


# ---- messages -----------------------------------------------------------------------------------

_FIELDS = (
    b'Amal <amal@north.test>, "B, C" <b@x>, list: a@b, c@d;',
    b"=?utf-8?B?2LPZhNin2YU=?= (comment) <a@b>",
    b"multipart/mixed; boundary=\"a b\"; name*0*=utf-8''%d8%b3; name*1=x",
    b"mx.north.test 1; spf=pass (ok) smtp.mailfrom=a@b; dkim=none",
)
_MESSAGES = (
    make_message(html="<p>x</p>"),
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ny\r\n--b--\r\n",
)
_DATES = (
    b"Mon, 23 Nov 2026 12:00:00 +0000",
    b"1 Jan 70 0:0 EST",
    b"(c) Tue, 29 Feb 2028 23:59:60 -1200",
    *(b"31 Feb 2026 12:00:00 +0000", b"1 Foo 2026 1:1", b"1 Jan 2026 25:00:00 +0000"),
    *(b"1 Jan 126 1:1:1 A", b"1 Jan 0001 1:1:1 +9999", b"1 Jan 9999 23:59:59 -2359"),
)


def _address_list(data: bytes) -> None:
    found = parse_address_list(data)
    for person in found.people:
        person.display_name  # noqa: B018
        person.spec  # noqa: B018


def _header_fields(data: bytes) -> None:
    end, body = split_message(data)
    assert 0 <= end <= body <= len(data)
    for field in read_fields(data[:end]):
        assert 0 <= field.start < field.end <= end
        unfold(field.value)
        begins_folded(data[:end], [(field.start, field.end)])
        cut_ranges(data[:end], [(field.start, field.end)])


def _mime(data: bytes) -> None:
    parse_message(data)


def _mend(data: bytes) -> None:
    """What comes out may travel."""
    data = data.replace(b"\0", b"").replace(b"\r", b"").replace(b"\n", b"\r\n")
    end, _ = split_message(data)
    for utf8 in (False, True):
        with suppress(CannotMend):
            mended = mend_message(data[:end], data[end:], utf8=utf8)
            assert is_fit(mended.header, utf8=utf8)
            assert max(map(len, mended.body.split(b"\r\n"))) <= MAX_LINE


def _date(data: bytes) -> None:
    at_ms = parse_date(data)
    if at_ms is not None and 0 <= at_ms < 4 * NOON_MS:
        assert parse_date(format_date(at_ms)) == at_ms // 1000 * 1000


def _words(data: bytes) -> None:
    decode_words(data).encode()


def _params(data: bytes) -> None:
    parse_parameterised(data)


def _transfer(data: bytes) -> None:
    for encoding in ("base64", "quoted-printable", "8bit", "x-uuencode", ""):
        decoder = TransferDecoder(encoding)
        pieces = [decoder.take(data[at : at + 3]) for at in range(0, len(data), 3)]
        assert b"".join(pieces) + decoder.finish() == decode_transfer(data, encoding)
    for charset in (
        "utf-8",
        "windows-1256",
        "utf-7",
        "no such",
        "x" * 99,
        "é",
        "iso-8859-8-i",
        None,
    ):
        decode_text(data, charset)
    decode_text(data, is_body=True, is_html=True)


def _authres(data: bytes) -> None:
    is_forged(data, "mx.north.test")


# ---- imap ---------------------------------------------------------------------------------------


def _imap_server(data: bytes) -> None:
    for state in (ImapState.NOT_AUTHENTICATED, ImapState.AUTHENTICATED, ImapState.SELECTED):
        engine = new_engine()
        engine.state = state
        session = ExampleSession(engine)
        engine.receive_data(data)
        assert isinstance(session.answer_all(), Wait)


_URLS = (
    b"/INBOX;UIDVALIDITY=785799047/;UID=113330/;SECTION=1.5.9/;PARTIAL=0.1024",
    b";UID=1;section=HEADER.FIELDS%20(To)",
    b"imap://a@b/c/;UID=1;URLAUTH=x",
)


def _imap_url(text: str) -> None:
    with suppress(BadUrl):
        parse_message_url(text)


def _imap_names(data: bytes) -> None:
    with suppress(BadMailboxName):
        assert decode_name(encode_name(decode_name(data))) == decode_name(data)
    ListPattern(data[:60]).matches(data[60:].decode("utf-8", "replace") or "INBOX")
