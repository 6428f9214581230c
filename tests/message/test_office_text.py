"""The words of office documents, and what hostile ones can do: nothing."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.mail import make_message
from zajil.message.build import NewAttachment, build_message
from zajil.message.office_text import MAX_INFLATED, is_office_document, office_text
from zajil.message.word_query import parse_query


def pack(*files: tuple[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method) as archive:
        for name, text in files:
            archive.writestr(name, text)
    return held.getvalue()


WORD = pack(
    ("[Content_Types].xml", "<Types>types</Types>"),
    (
        "word/document.xml",
        "<w:document><w:p><w:r><w:t>Hel</w:t></w:r><w:r><w:t>lo &amp; bye</w:t></w:r></w:p>"
        "<w:p><w:r><w:t>السَّلام</w:t></w:r></w:p></w:document>",
    ),
)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (WORD, ["Hello", "&", "bye", "السَّلام"]),
        (pack(("xl/sharedStrings.xml", "<si><t>one</t></si><si><t>two</t></si>")), ["one", "two"]),
        (pack(("ppt/slides/slide1.xml", "<a:p><a:t>Slide</a:t></a:p>")), ["Slide"]),
        (pack(("content.xml", "<text:p>Open<text:s/>Document</text:p>")), ["Open", "Document"]),
        (pack(("other.xml", "<t>no</t>")), []),
        (pack(("word/document.xml", "<t>no</t>"), method=zipfile.ZIP_BZIP2), []),
        (b"", []),
        (b"PK\x03\x04", []),
        (WORD[: len(WORD) // 2], []),
    ],
)
def test_words_of_documents(data: bytes, words: list[str]) -> None:
    assert office_text(data).split() == words


def test_a_bomb_is_read_to_a_bound() -> None:
    bomb = pack(("word/document.xml", "a " * (8 << 20)), ("word/footnotes.xml", "b" * (8 << 20)))
    assert len(bomb) < 100_000
    assert len(office_text(bomb)) <= MAX_INFLATED + 2
    tags = pack(("word/document.xml", "<" * (4 << 20)))
    assert len(office_text(tags)) <= MAX_INFLATED + 2
    many = pack(*[(f"n{number}", "") for number in range(2100)], ("content.xml", "<t>no</t>"))
    assert office_text(many) == ""


@given(st.lists(st.tuples(st.integers(0, len(WORD) - 1), st.integers(0, 255)), max_size=8))
def test_a_broken_document_does_no_harm(changes: list[tuple[int, int]]) -> None:
    data = bytearray(WORD)
    for at, value in changes:
        data[at] = value
    assert isinstance(office_text(bytes(data)), str)


@given(st.binary(max_size=200))
def test_what_is_no_document_has_no_words(data: bytes) -> None:
    assert isinstance(office_text(b"PK\x03\x04" + data + b"PK\x05\x06" + data), str)


def test_attached_documents_are_found_by_their_words() -> None:
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    assert is_office_document(kind, "")
    assert is_office_document("application/octet-stream", "Plan.DOCX")
    assert not is_office_document("application/zip", "plan.zip")
    attachment = NewAttachment("quarterly-plan.docx", kind, WORD)
    data = build_message([b"Subject: x\r\n"], "text", attachments=[attachment], unique="u")
    for query in ("hello", "سلام", "quarterly plans"):
        assert parse_query(query).holds(data)
        assert not parse_query(query).holds(make_message())
