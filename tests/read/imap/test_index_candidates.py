"""The index never hides a message from SEARCH: property tests against SEARCH's own reading."""

from __future__ import annotations

import base64
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from imap.test_message import LINES
from message.test_words import ALPHABET
from zajil.message.index_words import index_words, prefix_words
from zajil.message.normal_form import search_form
from zajil.message.view import MessageView
from zajil.message.word_blocks import find_places, open_words, word_of
from zajil.message.words import find_clues
from zajil.read.imap.search_text import MessageText
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.mail.messages import MessageReader
from zajil.store.mail.text_lookup import SearchScope, deciding_zones, zones_of

PREFIX = b"Return-Path: <a@b.test>\r\nDelivered-To: Amal@y.test\r\n"

_TEXT = st.text(st.sampled_from(ALPHABET), max_size=50) | st.text(max_size=30)
_WORDS = st.lists(
    st.sampled_from(
        [
            *("Hello", "WORLD", "naïve", "report-2026", "x" * 50, "a_b", "e=mc²", "ﬁne"),
            *("السلام", "عليكم", "أَهلاً", "١٢٣", "中文邮件", "日本語", "메일", "สวัสดี", "😀"),
        ]
    ),
    max_size=8,
).map(" ".join)
TEXT = _TEXT | _WORDS


def _encoded(text: str) -> str:
    return f"=?utf-8?B?{base64.b64encode(text.encode('utf-8', 'replace')).decode()}?="


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Make a message with texts in its fields, its parts and an enclosed message."""
    subject, name, plain, html = (draw(TEXT) for _ in range(4))
    markup = html.replace(" ", "</b> <p>").replace("l", "<i>l</i>")
    lines = [
        f"Subject: {_encoded(subject)}",
        f'From: "{_encoded(name)}" <Amal.{draw(st.sampled_from(["x", "Haddad"]))}@North.test>',
        f"To: {draw(st.sampled_from(['a (b) <c@d.test>', 'team: x@y.test, z@y.test;', 'q']))}",
        f"Reply-To: {_encoded(name)} <r@s.test>",
        "Cc: Comment <(sala)salami.x(comment)@(in)south.test>",
        f"X-Note: {draw(TEXT)}".replace("\n", " ").replace("\r", " "),
        "Content-Type: multipart/mixed; boundary=b",
        "",
        "--b",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        base64.b64encode(plain.encode("utf-8", "replace")).decode(),
        "--b",
        "Content-Type: text/html; charset=utf-8",
        "",
        f"<html><body>{markup}<img alt='{draw(_WORDS)}'></body></html>",
        "--b",
        "Content-Type: message/rfc822",
        "",
        f"Subject: {_encoded(draw(TEXT))}",
        "",
        draw(_WORDS),
        "--b",
        f"Content-Type: image/png; name*=utf-8''{quote(draw(_WORDS))}",
        "Content-Disposition: attachment; filename=Salary.png",
        "",
        "--b--",
        "",
    ]
    return "\r\n".join(lines).encode("utf-8", "replace")


class Indexed:
    """What the index knows of one message."""

    def __init__(self, data: bytes) -> None:
        view = MessageView.from_bytes(data)
        found = index_words(view.fields, view.root, data)
        self.is_whole = found.is_whole
        blocks = [found.block, prefix_words(PREFIX.decode())]
        self.blocks = [open_words(block.words) for block in blocks if block is not None]

    def may_hold(self, term: str, scope: SearchScope) -> bool:
        if not self.is_whole:
            return True
        return all(
            any(find_places(words, clue, zones_of(scope)) for words in self.blocks)
            for clue in find_clues(search_form(term))
        )

    def surely_holds(self, term: str, scope: SearchScope) -> bool:
        clues = find_clues(search_form(term))
        if not self.is_whole or len(clues) != 1 or clues[0].letters != search_form(term):
            return False
        in_sure, in_doubt, is_certain = (
            any(find_places(words, clues[0], zones) for words in self.blocks)
            for zones in deciding_zones(scope)
        )
        return is_certain or (in_sure and not in_doubt)


def _reading(data: bytes) -> MessageText:
    return MessageText(MessageReader(PREFIX, BlobReader(len(data), data, None)))


FIELDS = {
    b"subject": SearchScope.SUBJECT,
    b"from": SearchScope.SENDER,
    b"to": SearchScope.RECIPIENT,
}


def _check(data: bytes, term: str) -> None:
    """Whatever SEARCH finds by reading, the index allows; what it is sure of, SEARCH finds."""
    text, index, wanted = _reading(data), Indexed(data), search_form(term)
    if text.body_has(wanted):
        assert index.may_hold(term, SearchScope.BODY)
        assert index.may_hold(term, SearchScope.TEXT)
    if text.header_has(wanted) or text.part_header_has(wanted):
        assert index.may_hold(term, SearchScope.TEXT)
    if index.surely_holds(term, SearchScope.BODY):
        assert text.body_has(wanted)
    if index.surely_holds(term, SearchScope.TEXT):
        assert text.header_has(wanted) or text.body_has(wanted) or text.part_header_has(wanted)
    for name in (b"subject", b"from", b"to", b"reply-to", b"x-note", b"delivered-to", b"received"):
        scope = FIELDS.get(name, SearchScope.FIELD)
        if text.has_field(name, wanted):
            assert index.may_hold(term, scope)
        if index.surely_holds(term, scope):
            assert text.has_field(name, wanted)


@given(st.data(), messages())
@settings(max_examples=100, deadline=None)
def test_each_piece_of_a_text_is_found(data: st.DataObject, message: bytes) -> None:
    reading = _reading(message)
    reading.body_has("")
    reading.header_has("")
    reading.part_header_has("")
    for name in FIELDS:
        reading.has_field(name, "")
    texts = [reading._body_text, reading._header_text, reading._part_header_text]
    texts += reading._by_name.values()
    text = data.draw(st.sampled_from([one for one in texts if one]))
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, min(len(text), start + 60)))
    _check(message, text[start:end].replace("\0", ""))


@given(messages())
@settings(max_examples=20, deadline=None)
def test_a_word_of_the_index_is_in_the_text(message: bytes) -> None:
    """Or the index is not sure of it: an address without its comments."""
    index = Indexed(message)
    words = {word_of(key) for block in index.blocks for key in block.split(b"\n") if key}
    assert {"salary", "png", "salami"} <= words
    assert index.surely_holds("salary", SearchScope.TEXT)
    assert index.surely_holds("salary", SearchScope.BODY)
    for word in words:
        _check(message, word)


@given(st.lists(LINES, max_size=3).map(b"\r\n".join), TEXT)
@settings(max_examples=80, deadline=None)
def test_no_odd_message_is_hidden(message: bytes, term: str) -> None:
    for one in (message, b"Received: from x; y\r\n" + message):
        _check(one, term)
        for piece in ("x", "amal@y", "return-path: <a@b.test>", "from x; y", "text/plain"):
            _check(one, piece)


def test_a_message_with_more_text_than_is_indexed_is_always_read() -> None:
    head = b"Subject: x\r\nContent-Type: text/plain\r\n\r\n"
    assert Indexed(head + b"hello\r\n").is_whole
    assert not Indexed(head + b"a " * 600_000).is_whole
    words = " ".join(f"w{number}" for number in range(20_001)).encode()
    assert not Indexed(head + words).is_whole
    assert not Indexed(b" folded\r\n" + head).is_whole
    assert not Indexed(b"\r\nno header\r\n").is_whole
