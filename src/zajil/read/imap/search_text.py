"""Text of messages as SEARCH compares it. (RFC 3501 section 6.4.4)

The same form for term and text (``message.normal_form.search_form``): who types without hamza finds
the word with it.
"""

from __future__ import annotations

from datetime import date

from zajil.imap.search_key import HeaderHas, RecipientHas, TextKey
from zajil.message.date import parse_day
from zajil.message.encoded_word import decode_words
from zajil.message.fields import Field, pick_fields, read_fields, split_message, unfold
from zajil.message.large_data import Data, read_data
from zajil.message.normal_form import search_form
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.message.searched_text import (
    ADDRESS_FIELDS,
    MAX_HEADER,
    body_texts,
    header_text,
    part_header_text,
    people_text,
)
from zajil.message.word_blocks import WordZone
from zajil.message.word_query import WordQuery, word_query
from zajil.store.mail.messages import MessageReader

MAX_TEXT = 4 << 20
"""Characters of one message's text that are looked at: protects the time a search takes."""

RECIPIENT_FIELDS = (b"to", b"cc", b"bcc")
_CONTENT_FIELDS = (b"subject", b"from", *RECIPIENT_FIELDS)


class MessageText:
    """The searchable text of one message, read when it is first asked for.

    Law: each field and the body are decoded once, however many keys ask for them.
    """

    def __init__(self, reader: MessageReader) -> None:
        self._reader = reader
        self._fields: list[tuple[bytes, bytes]] | None = None
        self._decoded: dict[int, str] = {}
        """Values of fields, by their place."""
        self._by_name: dict[bytes, str] = {}
        self._header_text: str | None = None
        self._root: Part | None = None
        self._body_text: str | None = None
        self._part_header_text: str | None = None
        self._sent_on: tuple[date | None] | None = None

    def has_field(self, name: bytes, term: str) -> bool:
        """Return whether a field of this name (lower case) holds the term (in search form)."""
        if name not in self._by_name:
            places = [n for n, (one, _) in enumerate(self._read_fields()) if one == name]
            raw = [self._read_fields()[n][1] for n in places]
            self._by_name[name] = _joined(name, raw, [self._value(n) for n in places])
        values_text = self._by_name[name]
        return bool(values_text) and term in values_text

    def content_has(self, term: str) -> bool:
        """Return whether subject, people or body hold the term."""
        return any(self.has_field(name, term) for name in _CONTENT_FIELDS) or self.body_has(term)

    def body_has(self, term: str) -> bool:
        """Return whether the body holds the term."""
        if self._body_text is None:
            data = read_data(self._reader)
            texts = body_texts(self._parts(data), data, MAX_TEXT)
            self._body_text = "\n".join([text for text, _ in texts])
        return term in self._body_text

    def part_header_has(self, term: str) -> bool:
        """Return whether the header section of a part holds the term."""
        if self._part_header_text is None:
            root = self._parts(read_data(self._reader))
            self._part_header_text, _ = part_header_text(root, MAX_HEADER)
        return term in self._part_header_text

    def header_has(self, term: str) -> bool:
        """Return whether the header section holds the term."""
        if self._header_text is None:
            fields = enumerate(self._read_fields())
            decoded = [(name.decode("latin-1"), self._value(n)) for n, (name, _) in fields]
            self._header_text = header_text(decoded)
        return term in self._header_text

    def has_words(self, query: WordQuery) -> bool:
        """Return whether the message has all words of a FUZZY key, in any form of them."""
        return query.holds(read_data(self._reader))

    def sent_on(self) -> date | None:
        """Return the day of the Date field, as it is written there; ``None``: there is none."""
        if self._sent_on is None:
            self._sent_on = (self._find_day(),)
        return self._sent_on[0]

    def _find_day(self) -> date | None:
        for name, value in self._read_fields():
            if name == b"date":
                return parse_day(value)  # time and zone do not count (RFC 3501 section 6.4.4)
        return None

    def _parts(self, data: Data) -> Part:
        if self._root is None:
            self._root = parse_message(data)
        return self._root

    def _value(self, place: int) -> str:
        if place not in self._decoded:
            self._decoded[place] = decode_words(self._read_fields()[place][1])
        return self._decoded[place]

    def _read_fields(self) -> list[tuple[bytes, bytes]]:
        if self._fields is None:
            head = self._reader.read_at(0, MAX_HEADER)
            self._fields = _unfolded(read_fields(head[: split_message(head)[0]]))
        return self._fields


def field_text(name: bytes, head: bytes, *, is_whole: bool) -> bytes | None:
    """Return what ``MessageText.has_field`` looks through; ``None``: more bytes are needed.

    Args:
        name: of the field, in lower case.
        head: the beginning of a message.
        is_whole: it is all of the message.

    Returns:
        UTF-8; ``b""``: there is no such field. Each field begins with a NUL.
    """
    end, body_start = split_message(head)
    if body_start == len(head) and not is_whole:
        return None
    fields = read_fields(pick_fields(head[:end], frozenset({name}), named=True))
    raw = [value for _, value in _unfolded(fields)]
    text = _joined(name, raw, [decode_words(value) for value in raw])
    return text.encode("utf-8", "surrogatepass")


def _joined(name: bytes, raw: list[bytes], decoded: list[str]) -> str:
    values = [search_form(value) for value in decoded]
    if name in ADDRESS_FIELDS:
        values += [people_text(value) for value in raw]
    # A term has no NUL (RFC 3501 section 9, CHAR8): none is found across two fields.
    return "".join([f"\0{value}" for value in values])


_ZONES = {
    b"subject": WordZone.SUBJECT,
    b"from": WordZone.SENDER,
    b"to": WordZone.RECIPIENT,
    b"cc": WordZone.RECIPIENT,
    b"bcc": WordZone.RECIPIENT,
}


def fuzzy_query(key: TextKey) -> WordQuery | None:
    """Return the words of a FUZZY key; ``None``: it has none, or its field is not indexed alone."""
    zone: WordZone | None = WordZone.CONTENT
    if isinstance(key, HeaderHas):
        zone = _ZONES.get(key.name)
    elif isinstance(key, RecipientHas):
        zone = WordZone.RECIPIENT
    if zone is None:
        return None
    query = word_query(key.text, zone)
    return query if query.words else None


def _unfolded(fields: list[Field]) -> list[tuple[bytes, bytes]]:
    return [(field.name, unfold(field.value)) for field in fields]
