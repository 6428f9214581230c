"""The words of a message, as the index keeps them. Pure.

Laws:
- Each word of what SEARCH looks through (``message.searched_text``) is among them, or
  ``IndexWords.is_whole`` is false: then SEARCH reads the message, whatever it looks for.
- Each word of ``WordZone.CONTENT`` is within what SEARCH TEXT looks through, or in
  ``WordZone.BESIDE`` or ``WordZone.DOCUMENT`` as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from zajil.core.value_class import value_class
from zajil.message.encoded_word import decode_words
from zajil.message.fields import MAX_FIELDS, Field, unfold
from zajil.message.large_data import Data
from zajil.message.normal_form import search_form
from zajil.message.office_text import MAX_DOCUMENT, is_office_document, office_text
from zajil.message.part import Part
from zajil.message.searched_text import (
    ADDRESS_FIELDS,
    body_texts,
    header_text,
    part_header_text,
    people_text,
)
from zajil.message.word_blocks import Block, WordZone, encode_message, key_of
from zajil.message.words import find_words

VERSION = 1
"""Of what is kept of a message."""
MAX_TEXT = 1 << 20
"""Characters of the texts of one message whose words are kept; a book has as many."""
MAX_WORDS = 20_000
"""Words that are kept of one message; a book has half as many."""
_MAX_HEADER = 1 << 18
"""Bytes of a header section whose words are kept."""
MAX_PDF = 8 << 20
"""Bytes of a PDF file; a larger one is not read."""
_DOCUMENTS = 5
"""Attached documents whose words are kept."""

ReadFile = Callable[[bytes], str]

_PLACES = {
    b"subject": WordZone.SUBJECT,
    b"from": WordZone.SENDER,
    b"to": WordZone.RECIPIENT,
    b"cc": WordZone.RECIPIENT,
    b"bcc": WordZone.RECIPIENT,
}


@value_class(frozen=True, slots=True)
class IndexWords:
    """The words of one message."""

    block: Block | None
    """``None``: it has none."""
    is_whole: bool
    """All words are there that SEARCH may find."""


NO_WORDS = IndexWords(None, is_whole=False)
"""Of a message that cannot be read."""


def index_words(
    fields: Sequence[Field], root: Part, data: Data, read_pdf: ReadFile | None = None
) -> IndexWords:
    """Return the words of a message.

    Args:
        fields: of its header section.
        root: its parts.
        data: all of it.
        read_pdf: returns the text of a PDF file; ``None``: these are not read.
    """
    # Behind the fields that are put in front of it (Delivered-To), a message that begins otherwise,
    # or has as many fields as are read, is not read as it is here.
    is_whole = bool(fields and fields[0].name) and len(fields) < MAX_FIELDS - 10
    is_whole = is_whole and root.header_end <= _MAX_HEADER
    content, beside, header, keys = _header_words(fields)
    body = set[str]()
    for text, is_cut in body_texts(root, data, MAX_TEXT):
        body |= find_words(text)
        is_whole = is_whole and not is_cut
    if root.children:
        text, is_cut = part_header_text(root, _MAX_HEADER)
        header |= find_words(text)
        is_whole = is_whole and not is_cut
    content |= body
    beside -= content
    header -= content | beside
    words = [*map(str.encode, content | beside)]
    mark = WordZone.HEADER.value
    words += [mark + word.encode() for word in header]
    if len(words) > MAX_WORDS:
        words, is_whole = words[:MAX_WORDS], False
    keys.update(words)
    documents = set[str]()
    for text in _documents(root, data, read_pdf):
        documents.update(list(find_words(search_form(text)))[:MAX_WORDS])
    documents -= body
    keys.update(map(str.encode, documents))
    keys.update([WordZone.DOCUMENT.value + word.encode() for word in documents])
    keys.update([WordZone.BESIDE.value + word.encode() for word in beside - documents])
    return IndexWords(encode_message(keys), is_whole=is_whole)


def _header_words(
    fields: Sequence[Field],
) -> tuple[set[str], set[str], set[str], set[bytes]]:
    """Return words of content, words beside it, words of all fields, and keys by field."""
    content, beside, keys = set[str](), set[str](), set[bytes]()
    decoded = []
    for field in fields:
        value = unfold(field.value[:_MAX_HEADER])
        text = decode_words(value)
        decoded.append((field.name.decode("latin-1"), text))
        place = _PLACES.get(field.name)
        if place is None:
            continue
        found = find_words(search_form(text))
        content |= found
        if field.name in ADDRESS_FIELDS:
            people = find_words(people_text(value))
            beside |= people
            found = found | people
        keys.update([place.value + word.encode() for word in found])
    header = find_words(header_text(decoded)[:_MAX_HEADER])
    for field in fields:
        if field.name in (b"sender", b"reply-to"):
            header |= find_words(people_text(unfold(field.value[:_MAX_HEADER])))
    return content, beside, header, keys


def prefix_words(prefix: str) -> Block | None:
    """Return the words of header fields that stand in front of a message (``Delivered-To``)."""
    text = search_form(prefix)
    return encode_message([key_of(word, WordZone.HEADER) for word in find_words(text)])


def _documents(root: Part, data: Data, read_pdf: ReadFile | None) -> Iterator[str]:
    """Return the texts of attached office documents and PDF files."""
    found = 0
    for _, part in root.walk():
        read, limit = _how_to_read(part, read_pdf)
        if part.children or read is None:
            continue
        if part.body_end - part.body_start <= 2 * limit:
            content, is_cut = part.read_content(data, limit)
            yield "" if is_cut else read(content)[:MAX_TEXT]
        found += 1
        if found == _DOCUMENTS:
            return


def _how_to_read(part: Part, read_pdf: ReadFile | None) -> tuple[ReadFile | None, int]:
    """Return what reads the text of a part, and the largest file that it takes."""
    name = part.filename or ""
    if is_office_document(part.type, name):
        return office_text, MAX_DOCUMENT
    if part.type == "application/pdf" or name.lower().endswith(".pdf"):
        return read_pdf, MAX_PDF
    return None, 0
