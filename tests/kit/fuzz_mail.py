"""Targets of the fuzzer for whole messages: shown, searched, fetched, returned, built."""

from __future__ import annotations

import re
from array import array
from contextlib import suppress
from typing import Any, cast

from kit.fuzz import Target
from kit.fuzz_seeds import DECEIVING, MAIL_WORDS, REPORT, WELL_KNOWN
from kit.mail import NOON_MS
from kit.reports import REPORT as AGGREGATE
from zajil.core.address import BadAddress, parse_address
from zajil.core.ids import AccountId, BlobId, MailboxId, ModSeq, Uid
from zajil.imap.fetch_item import Attribute, BodySection, FetchItem, SectionText
from zajil.imap.grammar import BadSyntax, Scanner
from zajil.imap.search_parse import parse_search
from zajil.message.binary_parts import encode_binary_parts
from zajil.message.build import (
    BadValue,
    NewAttachment,
    build_message,
    write_address_field,
    write_parameter_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.casemap import casemap
from zajil.message.dsn import (
    DeliveryReport,
    RecipientReport,
    build_delivery_report,
    detect_language,
)
from zajil.message.fields import read_fields, split_message
from zajil.message.final_fields import write_final_fields
from zajil.message.large_data import LargeData
from zajil.message.normal_form import search_form
from zajil.message.parse import parse_message
from zajil.message.smtputf8 import has_utf8_address, has_utf8_header
from zajil.message.summary import base_subject, is_reply
from zajil.message.thread_tree import (
    ThreadedMessage,
    normal_id,
    thread_by_references,
    thread_by_subject,
    write_threads,
)
from zajil.read.imap.content import Content, answer_size, is_in_head, needs_of, write_fields
from zajil.read.imap.header_values import NO_DAY, UNKNOWN_DAY
from zajil.read.imap.line_ends import LineEnds
from zajil.read.imap.matcher import Matcher, SearchedMailbox
from zajil.read.imap.search_text import MessageText, field_text
from zajil.read.indexer import make_summary
from zajil.read.safe_style import safe_style
from zajil.read.shown import show_message
from zajil.reports.dmarc.mail import ReportMail, build_report_mail
from zajil.reports.incoming import looks_like_report, read_report_mail
from zajil.reports.packing import BadReport
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.mail.flags import FLAG_BITS
from zajil.store.mail.message_table import TableBuilder
from zajil.store.mail.messages import Message, MessageReader

_ODD = (
    "From: أمل <أمل@north.test>, b <b@c.test>\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    "\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nSubject: مرحبا\r\n\r\nأ\r\n"
    "--c--\r\n--b\r\nContent-Type: text/calendar\r\n\r\nx\r\n--b--\r\n".encode(),
    b'From: "x@y.test" <a@b.test>\r\nFrom: team: a@b.test;\r\nContent-Type: text/html\r\n\r\n'
    b'<a href="https://[::1]:80/%zz">a</a><a href="https://a.test:x">b</a><a href="mailto:%0a">c'
    b'</a><p>https://www.north.test/x and www.b.test <a href="https://xn--mgbai6l.test">d</a>',
    b"Subject: a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n"
    b"Content-Type: text/calendar\r\n\r\nBEGIN\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x"
    b'<a href="https://a.test">one</a> two <a href="https://b.test">b.test</a>\r\n--b--\r\n',
    b"From: a@b.test\r\nContent-Type: text/plain; format=flowed\r\n\r\n>> a \r\n> b\r\n"
    b">\r\n  c \r\nd",
    'Content-Type: text/html\r\n\r\n<p>مرحبا <a href="https://زاجل.test/a">زاجل</a> و '
    'https://زاجل.test/ثان <a href="https://b.test">مرحبا</a>'.encode(),
    b'Content-Type: text/html\r\n\r\n<head><meta http-equiv="Content-Type" content="text/html; '
    b'charset=windows-1256"></head><p>\xe3\xd1\xcd\xc8\xc7',
    b"\r\n" + b"\r\n".join([b"p%d\r\n" % number for number in range(2200)]),
)
_SEARCHES = (
    *(b"TEXT hello", b"BODY x", b"SUBJECT x", b"SENTON 23-Nov-2026", b"RECENT", b"KEYWORD $Junk"),
    *(b"1:9", b"OR TEXT x BODY y", b"SENTBEFORE 1-Jan-2027"),
    b"OR (FROM amal NOT SUBJECT x) (TEXT hello BODY world SENTBEFORE 1-Feb-2026)",
    b"CHARSET UTF-8 HEADER List-Id {1}\r\nx LARGER 5 SMALLER 9000 UNSEEN KEYWORD $Junk RECENT",
    b"OR 1:* OR UID 1,2 SINCE 1-Jan-2020 NOT (SEEN OR ON 1-Jan-2020 BEFORE 2-Jan-2020) ALL",
    b"OR SEEN OR LARGER 5 DELETED NOT 1 SENTON 23-Nov-2026 SENTSINCE 1-Jan-2020",
)
_SEARCHES_OF_ROWS = (
    b"OR TEXT x OLDER 60 OR TEXT x YOUNGER 60 OR SUBJECT y SINCE 1-Jan-2020",
    b"OR BODY x BEFORE 1-Jan-2040 OR BODY x ON 2-Jan-2030 NOT OR TEXT x LARGER 10",
    b"OR TEXT x SMALLER 90 OR TEXT x MODSEQ 1 OR TEXT x FUZZY SEEN",
    b"OR TEXT x RECENT OR TEXT x KEYWORD $Junk OR TEXT x UID 1:3,5 OR TEXT x 2:3 TEXT z",
    b"OR TEXT x EMAILID M1 OR TEXT x THREADID T1 OR SENTON 1-Jan-2020 SENTBEFORE 9-Sep-2030",
    b"NOT (TEXT x $) FUZZY TEXT y",
    b"FUZZY OR TEXT nowhere OR SUBJECT nowhere HEADER X-None nowhere",
    b"OR SAVEDON 1-Dec-2026 OR TEXT x SAVEDSINCE 2-Dec-2026 NOT SAVEDBEFORE 1-Dec-2026",
)
_SEARCH_WORDS = (b"OR ", b"NOT ", b"(", b")", b"TEXT ", b"FROM ", b"1:*", b"UID ", b"SENTON ", b" ")
_THREADS = (
    b'<a@b>  x\n<b@b> <a@b> Re: x\n<c@b> <b@b> <a@b> Re: x\n<"d"@b>  y',
    b"<a@b> <b@b> x\n<b@b> <a@b> x\n<a@b> <c@b> Re: x\n <z@b> y\n <z@b> y\n  Fwd: x\n  x",
    "<a@b> <q@b> éß\n<b@b> <q@b> <r@b> éß\n<b@b> <r@b> <q@b> éß [x]\n <n> x (fwd)".encode(),
)
_BUILT = (
    "أمل\nمرحبا\nملف.txt\ntext/plain\nنص".encode(),
    b"=?utf-8?q?x?=\n" + b"x" * 1100 + b"\n" + b"long name " * 20 + b"\nimage/png\na\0b",
    b'Amal "A" Haddad\n x \na"b\\c.txt\napplication/x\n' + "نصّ طويل ".encode() * 9,
    "Zoë\ny\nn\ntext/plain\nplain text with one é\n".encode(),
)


def mail_targets() -> list[Target]:
    """Return the targets."""
    seeds = (*WELL_KNOWN, *DECEIVING[:3], *_ODD)
    return [
        Target("shown-mail", _show, seeds, MAIL_WORDS),
        Target("searched-mail", _search, seeds, MAIL_WORDS),
        Target("search-key", _match, (*_SEARCHES, *_SEARCHES_OF_ROWS), _SEARCH_WORDS),
        Target("threads", _thread, _THREADS, (b"<a@b>", b" ", b"\n", b"Re: ", b"<b@b>", b"<c@b>")),
        Target("fetched-mail", _fetch, seeds, MAIL_WORDS),
        Target("appended-mail", _append, (b"a\rb\nc\r\nd\r", *WELL_KNOWN), (b"\r", b"\n")),
        Target(
            "binary-mail", _binary, (_BINARY, *WELL_KNOWN), (*MAIL_WORDS, b": binary\r\n", b"\0")
        ),
        Target("returned-mail", _return, seeds, MAIL_WORDS, cost=2),
        Target("built-mail", _build, (b"A\nx\na.txt\ntext/plain\nb", *_BUILT), MAIL_WORDS),
        Target("report-mail", _report, (REPORT, *WELL_KNOWN), MAIL_WORDS),
    ]


def _show(data: bytes) -> None:
    shown = show_message(data, part_url=lambda number: f"/part/{number}")
    for text in (shown.subject, shown.message_id, *(one.filename for one in shown.attachments)):
        text.encode("utf-8")
    if shown.html is not None:
        assert "<script" not in shown.html
        show_message(data, remote_url=lambda url: "/picture")
    for person in shown.senders:
        person.label.encode("utf-8")
    summary = make_summary(BlobId("b"), data)
    summary.summary.preview.encode("utf-8")
    large = LargeData(BlobReader(len(data), data, None), 512)
    assert make_summary(BlobId("b"), large) == summary
    begin, _ = parse_message(large).read_text(large, 5)
    begin.encode("utf-8")
    style = safe_style(data[:200].decode("utf-8", "replace"))
    assert style is None or "url(" not in style
    has_utf8_address(read_fields(data[: split_message(data)[0]]))


def _reader(data: bytes) -> MessageReader:
    return MessageReader(b"", BlobReader(len(data), data, None))


def _search(data: bytes) -> None:
    text, term = MessageText(_reader(data)), search_form("amal")
    for name in (b"from", b"subject", b"to", b"x"):
        kept = field_text(name, data, is_whole=True)
        assert kept is not None
        assert text.has_field(name, term) is (term.encode() in kept)
    text.body_has("bank")
    text.header_has("bank")
    text.sent_on()


def _match(data: bytes) -> None:
    """Whatever key a client sends, it holds or not, or it is refused.

    What is decided of many messages at once is what reading them shows.
    """
    uids = array("I", [1, 5, 9])
    scope = SearchedMailbox(
        account_id=AccountId(1),
        mailbox_id=MailboxId(1),
        uids=uids,
        saved=array("I", [5, 7]),
        recent=array("I", [9]),
    )
    flags, saved_at_ms = ("\\Seen", "$Junk"), NOON_MS + 86_400_000
    builder = TableBuilder(MailboxId(1), ModSeq(1), Uid(10))
    builder.add(
        [(uid, 1, FLAG_BITS[flags[0]], flags[1], NOON_MS, 1 << uid, saved_at_ms) for uid in uids]
    )
    with suppress(BadSyntax):
        matcher = Matcher(scope, parse_search(Scanner(data))[0], NOON_MS + 5000)
        text = MessageText(_reader(WELL_KNOWN[0]))
        day = text.sent_on()
        matcher.days = array("i", [UNKNOWN_DAY, day.toordinal() if day else NO_DAY, UNKNOWN_DAY])
        sure, unsure = matcher.look(builder.finish(), 0, len(uids))
        rows = [
            Message(
                uid=Uid(uid),
                modseq=ModSeq(1),
                flags=frozenset(flags),
                received_at_ms=NOON_MS,
                saved_at_ms=saved_at_ms,
                size=1 << uid,
                blob_id=BlobId(""),
                mail_id=None,
                prefix=b"",
            )
            for uid in uids
        ]
        while rows:
            some, rest = matcher.cut(rows)
            for row in some:
                holds = matcher.holds(row, text)
                assert row.uid in unsure or holds is (row.uid in sure)
            rows = list(rest)


def _thread(data: bytes) -> None:
    """Whatever messages refer to, each stands in the answer once, and parentheses match."""
    messages: list[ThreadedMessage] = []
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        own, _, rest = line.partition(" ")
        references, _, subject = rest.rpartition("> ")
        ids = [normal_id(f"{one}>") for one in references.replace(">", "").split()]
        base = casemap(base_subject(subject))
        messages.append(
            ThreadedMessage(
                number,
                normal_id(own),
                tuple([one for one in ids if one]),
                base,
                is_reply(subject),
                len(own),
            )
        )
    for algorithm in (thread_by_references, thread_by_subject):
        written = write_threads(algorithm(messages))
        assert written.count("(") == written.count(")")
        told = sorted(int(one) for one in re.findall("[0-9]+", written))
        assert told == list(range(1, len(messages) + 1))


def _fetch(data: bytes) -> None:
    items: list[FetchItem] = [
        *(Attribute.ENVELOPE, Attribute.BODY, Attribute.BODYSTRUCTURE, Attribute.PREVIEW),
        BodySection((), SectionText.HEADER, (), None, True, b"x"),
        BodySection((), SectionText.WHOLE, (), None, True, b"x"),
        BodySection((), SectionText.TEXT, (), (3, 9), True, b"x"),
        BodySection((1,), SectionText.HEADER_FIELDS, (b"from",), None, True, b"x"),
        BodySection((1,), SectionText.MIME, (), None, True, b"x"),
        BodySection((2, 1), SectionText.WHOLE, (), (1, 10), True, b"x"),
        BodySection((), SectionText.BINARY, (), None, True, b"x"),
        BodySection((1,), SectionText.BINARY, (), None, True, b"x"),
        BodySection((2,), SectionText.BINARY, (), (3, 10), True, b"x"),
        BodySection((1, 1), SectionText.BINARY_SIZE, (), None, True, b"x"),
        BodySection((), SectionText.HEADER_FIELDS, (b"from", b"x"), None, True, b"x"),
        BodySection((), SectionText.HEADER_FIELDS_NOT, (b"from",), None, True, b"x"),
    ]
    known = None
    for wanted in ([items[0], items[-1]], items):
        content = Content(_reader(data), needs_of(wanted), known)
        content.write_structures(wanted)
        unknown = content.unknown(wanted)
        for item in wanted:
            if item in unknown:
                continue
            pieces = iter(content.write(item))
            written = b""
            while (piece := content.read_pieces(pieces, 1 << 10)) is not None:
                written += piece
            assert len(written) <= answer_size(items, len(data)) + len(data)
            if isinstance(item, BodySection) and is_in_head(item):
                at_once = write_fields(item, data, is_whole=True)
                assert at_once is not None
                assert written.endswith(at_once)


_BINARY = (
    b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n\r\0\r\n"
    b"--b--\r\n"
)


def _append(data: bytes) -> None:
    """No bare line end is kept, however the bytes come; what has none is not touched."""
    for size in (1, 3, len(data) + 1):
        ends = LineEnds()
        pieces = [ends.clean(data[at : at + size]) for at in range(0, len(data), size)]
        kept = b"".join(pieces) + ends.end()
        pairs = kept.count(b"\r\n")
        assert pairs == kept.count(b"\r") == kept.count(b"\n")
        assert kept.replace(b"\r\n", b"") == data.replace(b"\r", b"").replace(b"\n", b"")


def _binary(data: bytes) -> None:
    """No part is binary any more; every leaf holds what it held."""
    before, kept = parse_message(data), encode_binary_parts(data)
    if all(part.encoding != "binary" for _, part in before.walk()):
        assert kept == data
    after = parse_message(kept)
    if not before.children and before.encoding == "binary":
        assert after.content(kept) == before.body(data)


def _return(data: bytes) -> None:
    """A DSN about any mail is a message that we can read again."""
    end, _ = split_message(data)
    header = data[:end]
    has_utf8_header(header, read_fields(header), data[end:])
    diagnostic = data[:1500].decode("latin-1")
    text = data[:60].decode("utf-8", "replace")
    for who, original in (("x@north.test", ""), ("أمل@north.test", f"utf-8;{text}")):
        path = parse_address(who)
        write_final_fields(path, path)
        action = "delayed" if len(data) % 3 == 0 else "failed"
        report = DeliveryReport(
            reporting_mta="mx.north.test",
            arrival_date_ms=NOON_MS,
            original_envelope_id=text if original else None,
            reverse_path=path,
            recipients=(
                RecipientReport(
                    address=path,
                    action=cast(Any, action),
                    status="5.1.1",
                    remote_mta="mx.far.test",
                    diagnostic=diagnostic,
                    reason="No such mailbox.",
                    original_recipient=original,
                ),
            ),
            header_section=header,
            message_id="<d@mx.north.test>",
            date_ms=NOON_MS,
            dsn_from=parse_address("postmaster@mx.north.test"),
            language=detect_language(header, path),
            retry_until_ms=NOON_MS,
            whole=data if len(data) % 2 else None,
        )
        built = parse_message(build_delivery_report(report))
        assert built.type == "multipart/report"
        assert len(built.children) == 3


def _build(data: bytes) -> None:
    """What we write holds what was given, as one message of two parts; or it is refused."""
    lines = data.decode("utf-8", "replace").split("\n", 4)
    name, subject, filename, kind, text = (*lines, *[""] * 5)[:5]
    with suppress(BadValue, BadAddress):
        address = parse_address("a@b.test")
        header = [
            write_address_field("From", [(name, address), ("", address)], utf8=False),
            write_text_field("Subject", subject, utf8=len(data) % 2 == 0),
            write_raw_field("X-Kind", kind),
            write_parameter_field("Content-Language", "en", [("name", filename)]),
        ]
        files = [NewAttachment(filename, kind, data)]
        whole = build_message(header, text, html=text, attachments=files, unique="x")
        root = parse_message(whole)
        assert [len(root.fields), len(root.children)] == [len(header) + 2, 2]
        assert root.children[1].content(whole) == data


def _report(data: bytes) -> None:
    looks_like_report(data)
    sender = parse_address("r@north.test")
    ours = ReportMail(AGGREGATE, "north.test", sender, (sender,), "<1@north.test>", NOON_MS)
    with suppress(BadReport):
        read_report_mail(data)
    if not data:
        read_report_mail(build_report_mail(ours))
