"""Text of messages as SEARCH compares it. (RFC 3501 section 6.4.4)

The same normal form for term and text (``message.normal_form``): who types without hamza finds
the word with it.
"""

from __future__ import annotations

from datetime import date

from zajil.message.address_list import Group, NamedAddress, parse_address_list
from zajil.message.date import parse_day
from zajil.message.encoded_word import decode_words
from zajil.message.fields import Field, read_fields, split_message, unfold
from zajil.message.html import html_words
from zajil.message.normal_form import normal_form
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.store.mail.messages import MessageReader

MAX_TEXT = 4 << 20
"""Characters of one message's text that are looked at: protects the time a search takes."""
_ADDRESS_FIELDS = frozenset({b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"})
_READABLE = ("text/", "message/", "multipart/")
"""Types that are looked through: the second for what reports say (message/delivery-status), the
third where it has no parts, which is text."""
MAX_HEADER = 1 << 20
"""Bytes in which the header section is looked for."""


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
        self._body_text: str | None = None
        self._sent_on: tuple[date | None] | None = None

    def has_field(self, name: bytes, term: str) -> bool:
        """Return whether a field of this name (lower case) holds the term (in normal form)."""
        if name not in self._by_name:
            places = [n for n, (one, _) in enumerate(self._read_fields()) if one == name]
            values = [normal_form(self._value(n)) for n in places]
            if name in _ADDRESS_FIELDS:
                values += [_people(self._read_fields()[n][1]) for n in places]
            # A term has no NUL (RFC 3501 section 9, CHAR8): none is found across two fields.
            self._by_name[name] = "".join([f"\0{value}" for value in values])
        values_text = self._by_name[name]
        return bool(values_text) and term in values_text

    def body_has(self, term: str) -> bool:
        """Return whether the body holds the term."""
        if self._body_text is None:
            data = self._reader.read_at(0, self._reader.size)
            self._body_text = _body_text(data)
        return term in self._body_text

    def header_has(self, term: str) -> bool:
        """Return whether the header section holds the term."""
        if self._header_text is None:
            fields = enumerate(self._read_fields())
            lines = [f"{name.decode('latin-1')}: {self._value(n)}" for n, (name, _) in fields]
            self._header_text = normal_form("\n".join(lines))
        return term in self._header_text

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

    def _value(self, place: int) -> str:
        if place not in self._decoded:
            self._decoded[place] = decode_words(self._read_fields()[place][1])
        return self._decoded[place]

    def _read_fields(self) -> list[tuple[bytes, bytes]]:
        if self._fields is None:
            head = self._reader.read_at(0, MAX_HEADER)
            self._fields = _unfolded(read_fields(head[: split_message(head)[0]]))
        return self._fields


def _people(value: bytes) -> str:
    """Return the addresses of a field as ENVELOPE has them: no comment or space is within one.

    RFC 3501 section 6.4.4: FROM and its like look into the envelope structure.
    """
    lines: list[str] = []
    for item in parse_address_list(value).items:
        members: tuple[NamedAddress, ...] = (item,) if isinstance(item, NamedAddress) else ()
        if isinstance(item, Group):
            lines.append(item.display_name)
            members = item.members
        for one in members:
            name, spec = one.display_name, f"{one.local_part}@{one.domain}"
            # As most people write it, and without the quotes that a local part may need.
            lines.append(f"{name} <{spec}>" if name else spec)
            if one.spec != spec:
                lines.append(one.spec)
    return normal_form("\n".join(lines))


def _unfolded(fields: list[Field]) -> list[tuple[bytes, bytes]]:
    return [(field.name, unfold(field.value)) for field in fields]


def _header_text(fields: list[tuple[bytes, bytes]]) -> str:
    lines = [f"{name.decode('latin-1')}: {decode_words(value)}" for name, value in fields]
    return normal_form("\n".join(lines))


def _body_text(data: bytes) -> str:
    texts: list[str] = []
    room = MAX_TEXT
    stack: list[Part] = [parse_message(data)]
    while stack and room > 0:
        part = stack.pop()
        stack.extend(reversed(part.children))
        if part.is_message:
            texts.append(_header_text(_unfolded(part.children[0].fields)))
        elif part.type == "text/html":
            texts.append(normal_form(html_words(part.text(data), room)))
        elif part.type.startswith(_READABLE) and not part.children:
            texts.append(normal_form(part.text(data)[:room]))
        else:
            continue
        room -= len(texts[-1])
    return "\n".join(texts)
