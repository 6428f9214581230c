"""Targets of the fuzzer for what people give to the pages: searches, address books, exports."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date

from kit.fuzz import Target
from kit.mail import NOON_MS, make_message
from zajil.message.field_text import header_text
from zajil.message.fields import read_fields, split_message
from zajil.message.mbox import Quoter, Unquoter, separator, status_fields
from zajil.message.mbox_read import (
    NotMbox,
    begins_as_mbox,
    find_messages,
    read_header,
    read_time,
    take_status,
)
from zajil.message.vcard import photo_type, read_cards, storable, write_card
from zajil.read.search_query import parse_query

_TODAY = date(2026, 11, 29)
_PHOTO = b"PHOTO:data:image/gif;base64,R0lGODlhAQABAAAAACw="
_CARD = b"\r\n".join(
    [
        b"BEGIN:VCARD",
        b"VERSION:4.0",
        b"UID:1",
        "FN:ليلى\\, محمد".encode(),
        b"N:One;Two;;;",
        b"item1.EMAIL;TYPE=work:layla@north.test",
        b"TEL:+20 1",
        b"ORG:Garden;Trees",
        b"NOTE;ENCODING=QUOTED-PRINTABLE:one=\r\n two=20three",
        b"CATEGORIES:friends,work",
        _PHOTO,
        b"END:VCARD",
        b"",
    ]
)
_QUERIES = (
    b'from:noor -subject:"two words" has:attachment is:unread OR is:starred in:inbox',
    b"before:2026-01-01 after:7d on:today larger:5M smaller:10k label:x to:me words",
    "من:نور الموضوع:٢٠٢٦ قبل:٢٠٢٦-٠١-٠١".encode(),
)


_LINE = b"From a@b.test Sun Sep 13 12:26:40 2020\n"
_MBOXES = (
    _LINE + b"Content-Length: 3\nStatus: RO\nX-Status: AF\nX-Keywords: a\n\nab\n\n" + _LINE,
    _LINE.replace(b"a@b.test", b"-")
    + b"X-Mozilla-Status: 0009\nX-Gmail-Labels: Inbox,a\n\n>From x",
    b"\xef\xbb\xbf\r\nFrom a@b\r\nX-IMAP: 1\r\n\r\nx\nFrom a Mon Jan  1 00:00 2020\nA: b\n",
    b"x",
)


def page_targets() -> list[Target]:
    """Return the targets."""
    words = (b"BEGIN:VCARD\n", b"END:VCARD\n", b";", b"\\", b"\r\n ", b"=\n", b"PHOTO;B64:", b"FN:")
    operators = (b"from:", b"in:", b"-", b'"', b" OR ", b"before:", b"larger:", "٣".encode())
    return [
        Target("vcard", _vcard, (_CARD,), words),
        Target("search-query", _query, _QUERIES, operators),
        Target("mbox", _mbox, (make_message(), b"From x\n>From y\r\n"), (b"From ", b">", b"\r\n")),
        Target("mbox-file", _mbox_file, _MBOXES, (b"\nFrom ", b"\n\n", b"\r\n", b"0")),
    ]


def _vcard(data: bytes) -> None:
    for card in read_cards(data.decode("utf-8", "replace")):
        photo_type(card.photo)
        storable(card.note, keep_lines=True)
        for version in ("3.0", "4.0"):
            assert all(
                len(line) <= 75 for line in write_card(card, version).encode().split(b"\r\n")
            )
            assert len(read_cards(write_card(card, version))) == 1


def _query(data: bytes) -> None:
    query = parse_query(data.decode("utf-8", "replace"), _TODAY)
    query.key(_TODAY, "amal@north.test")
    assert len(query.terms) + len(query.folders) <= 200
    again = parse_query(query.source, _TODAY)
    assert again.groups == query.groups or again.is_cut
    for place in range(len(query.groups)):
        query.without(place)


def _mbox(data: bytes) -> None:
    quoter = Quoter()
    lines = separator(NOON_MS) + quoter.feed(data[:7]) + quoter.feed(data[7:]) + quoter.finish()
    assert len(re.findall(rb"^From ", lines, re.MULTILINE)) == 1
    header_text(read_fields(data[: split_message(data)[0]]), b"subject")


class _File:
    """Bytes as a file."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size = data, len(data)

    def read_at(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]


def _mbox_file(data: bytes) -> None:
    source, end = _File(data), 0
    if not begins_as_mbox(source):
        with suppress(NotMbox):
            next(find_messages(source))
        return
    for span in find_messages(source):
        assert end <= span.start < span.begin <= span.end <= len(data)
        assert not data[end : span.start].strip(b"\r\n\xef\xbb\xbf")
        end = span.end
        read_time(span.separator)
        status, rest = take_status(read_header(source, span))
        assert take_status(status_fields(status.flags) + rest)[0].flags >= status.flags
        unquoter = Unquoter()
        unquoter.feed(data[span.begin : span.end])
        unquoter.finish()
