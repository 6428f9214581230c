"""The words of PDF files, and what hostile ones can do: nothing."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.store import NOW_MS, make_account
from zajil.message.build import NewAttachment, build_message
from zajil.message.index_words import MAX_PDF
from zajil.message.word_query import parse_query
from zajil.read.indexer import read_summaries
from zajil.read.pdf_text import can_read_pdf, pdf_text
from zajil.store.engine.open import Store
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.mail.summaries import find_waiting, write_summaries
from zajil.store.mail.text_lookup import find_words

needs_library = pytest.mark.skipif(not can_read_pdf(), reason="the extra pdf is not installed")


def stream(data: bytes, *, packed: bool = False) -> bytes:
    filter_ = b"/Filter /FlateDecode " if packed else b""
    body = zlib.compress(data, 9) if packed else data
    return b"<< %s/Length %d >>\nstream\n%s\nendstream" % (filter_, len(body), body)


def make_pdf(objects: Sequence[bytes]) -> bytes:
    """Return a file of these objects, numbered from 1; the first is the catalog."""
    data, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join([b"%010d 00000 n \n" % place for place in places])
    size = len(objects) + 1
    return (
        data
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\n"
        % (
            size,
            table,
            size,
        )
        + b"startxref\n%d\n%%%%EOF\n" % len(data)
    )


_CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
_PAGES = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
_PAGE = (
    b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /MediaBox [0 0 600 800]"
    b" /Resources << /Font << /F1 5 0 R >> >> >>"
)
_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def one_page(content: bytes, font: bytes = _FONT, *more: bytes, packed: bool = False) -> bytes:
    return make_pdf([_CATALOG, _PAGES, _PAGE, stream(content, packed=packed), font, *more])


def show(text: bytes) -> bytes:
    return b"BT /F1 12 Tf 50 700 Td (%s) Tj ET" % text


ENGLISH = one_page(show(b"The harbour contract"), packed=True)
# What letters are meant stands in a table of its own.
_LETTERS = "عقد"  # written as it is drawn, from left to right
ARABIC = one_page(
    show(bytes(range(1, 4))),
    b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R >>",
    stream(
        b"/CIDInit /ProcSet findresource begin begincmap\n"
        b"1 begincodespacerange <00> <ff> endcodespacerange\n3 beginbfchar\n"
        + b"".join(b"<%02x> <%04x>\n" % (at, ord(one)) for at, one in enumerate(_LETTERS[::-1], 1))
        + b"endbfchar\nendcmap end end"
    ),
)


@needs_library
def test_words_of_files() -> None:
    assert pdf_text(ENGLISH).split() == ["The", "harbour", "contract"]
    assert pdf_text(ARABIC).split() == [_LETTERS]
    assert pdf_text(b"\n\n" + ENGLISH).split() == ["The", "harbour", "contract"]


@pytest.mark.parametrize("data", [b"", b"%PDF-", b"PK\x03\x04", b"%PDF-1.4\n" + bytes(MAX_PDF)])
def test_what_is_no_file_has_no_words(data: bytes) -> None:
    assert pdf_text(data).strip() == ""


def _deep(size: int) -> bytes:
    return one_page(show(b"deep"), b"[" * size + b"]" * size)


def _loop() -> bytes:
    """Make a page tree that holds itself."""
    pages = b"<< /Type /Pages /Kids [2 0 R 3 0 R 2 0 R] /Count 3 /Parent 2 0 R >>"
    return make_pdf([_CATALOG, pages, _PAGE, stream(show(b"loop")), _FONT])


def _many_pages() -> bytes:
    kids = b"<< /Type /Pages /Kids [%s] /Count 100000 >>" % (b"3 0 R " * 100_000)
    return make_pdf([_CATALOG, kids, _PAGE, stream(show(b"again")), _FONT])


CUT = ENGLISH[: len(ENGLISH) // 2]
HOSTILE: dict[str, Callable[[], bytes]] = {
    "bomb": lambda: one_page(b"% " + bytes(300 << 20), packed=True),
    "bomb of text": lambda: one_page(
        b"BT /F1 12 Tf " + b"(aaaa) Tj " * 3_000_000 + b"ET", packed=True
    ),
    "deep": lambda: _deep(100_000),
    "loop": _loop,
    "many pages": _many_pages,
    "far reference": lambda: one_page(show(b"x")).replace(b"/Length", b"/Length 9999999999 /L"),
    "table that goes on in itself": lambda: ENGLISH.replace(b"/Root", b"/Prev 0 /Root"),
    "cut": lambda: CUT,
}
"""What makes them: the large ones take a second, and only their tests shall wait for it."""


@needs_library
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_read_to_a_bound(name: str) -> None:
    data = HOSTILE[name]()
    assert len(data) <= MAX_PDF
    assert len(pdf_text(data, 1)) <= 4 << 20


@needs_library
@settings(max_examples=4)
@given(st.lists(st.tuples(st.integers(0, len(ENGLISH) - 1), st.integers(0, 255)), max_size=8))
def test_a_broken_file_does_no_harm(changes: list[tuple[int, int]]) -> None:
    data = bytearray(ENGLISH)
    for at, value in changes:
        data[at] = value
    assert isinstance(pdf_text(bytes(data), 1), str)


@needs_library
def test_attached_files_are_found_by_their_words(store: Store) -> None:
    who = make_account(store, "a@y.test")
    files = [
        NewAttachment("a.bin", "application/pdf", ENGLISH),
        NewAttachment("b.pdf", "application/octet-stream", ARABIC),
        NewAttachment("c.pdf", "application/pdf", CUT),
    ]
    data = build_message([b"Subject: x\r\n"], "text", attachments=files, unique="u")
    staged = store.blobs.stage([data])
    store.write_now(
        put_messages, PutMessage(who.account_id, who.inbox, staged, frozenset(), NOW_MS)
    )
    waiting = store.read_now(lambda conn: find_waiting(conn, 9))
    new = store.read_now(lambda conn: read_summaries(conn, store.blobs, waiting))
    store.write_now(write_summaries, new)
    for query in ("harbour", "contracts", "العقد"):
        wanted = parse_query(query)
        found = store.read_now(lambda conn: find_words(conn, who.account_id, wanted))  # noqa: B023
        assert len(found) == 1, query
