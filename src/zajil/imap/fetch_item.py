"""What FETCH may ask for. (RFC 3501 section 6.4.5)"""

from __future__ import annotations

from enum import Enum

from zajil.core.value_class import value_class
from zajil.imap.grammar import Scanner, bad
from zajil.imap.response import string

MAX_ITEMS = 64
"""Items of one FETCH: protects the work per message."""
MAX_FIELDS = 256
"""Field names of one section."""
MAX_PATH = 100
"""Levels of one section: no message we parse is deeper."""


class Attribute(Enum):
    """Items without arguments."""

    UID = "UID"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"
    """BODYSTRUCTURE without its extension data."""
    BODYSTRUCTURE = "BODYSTRUCTURE"
    EMAILID = "EMAILID"
    """Names the exact bytes. (RFC 8474 section 5.1)"""
    THREADID = "THREADID"
    MODSEQ = "MODSEQ"
    """RFC 7162 section 3.1.4.2."""
    SAVEDATE = "SAVEDATE"
    """When it came into this mailbox. (RFC 8514)"""
    PREVIEW = "PREVIEW"
    """The first words of the text. (RFC 8970)"""
    PREVIEW_LAZY = "PREVIEW (LAZY)"
    """The same, or NIL where it is not ready. (RFC 8970 section 4.1)"""


class SectionText(Enum):
    """Which bytes of a part. (RFC 3501 section 6.4.5)"""

    WHOLE = ""
    """All of a message, or the body of a part."""
    HEADER = "HEADER"
    HEADER_FIELDS = "HEADER.FIELDS"
    HEADER_FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"
    BINARY = "BINARY"
    """The body of a part without its transfer encoding. (RFC 3516 section 4.2)"""
    BINARY_SIZE = "BINARY.SIZE"
    """How many bytes that has."""


@value_class(frozen=True, slots=True)
class BodySection:
    """``BODY[1.2.HEADER.FIELDS (To)]<0.1000>`` and its like."""

    path: tuple[int, ...]
    """Part numbers, from 1; ``()`` is the message itself."""
    text: SectionText
    fields: tuple[bytes, ...]
    """Lower case; for the two kinds of HEADER.FIELDS."""
    partial: tuple[int, int] | None
    """Offset and most bytes wanted; ``None``: all."""
    peek: bool
    """Leaves ``\\Seen`` alone."""
    label: bytes
    """How the answer names it, in its wire form: ``BODY[1.2]<0>``, ``RFC822.HEADER``."""


FetchItem = Attribute | BodySection

_MACROS: dict[str, tuple[FetchItem, ...]] = {
    "FAST": (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE),
    "ALL": (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE, Attribute.ENVELOPE),
    "FULL": (
        Attribute.FLAGS,
        Attribute.INTERNALDATE,
        Attribute.SIZE,
        Attribute.ENVELOPE,
        Attribute.BODY,
    ),
}
_RFC822 = {
    "RFC822": BodySection((), SectionText.WHOLE, (), None, False, b"RFC822"),
    "RFC822.HEADER": BodySection((), SectionText.HEADER, (), None, True, b"RFC822.HEADER"),
    "RFC822.TEXT": BodySection((), SectionText.TEXT, (), None, False, b"RFC822.TEXT"),
    # Deviation: RFC 1730 section 6.4.5 had these two, RFC 3501 has them no more. Outlook still
    # fetches with them (2026-11-28), and what they mean is plain.
    "RFC822.PEEK": BodySection((), SectionText.WHOLE, (), None, True, b"RFC822"),
    "RFC822.TEXT.PEEK": BodySection((), SectionText.TEXT, (), None, True, b"RFC822.TEXT"),
}
_ATTRIBUTES = {one.value: one for one in Attribute if one is not Attribute.PREVIEW_LAZY}


def parse_fetch_items(scanner: Scanner) -> tuple[FetchItem, ...]:
    """Take one item, a macro, or a list of items; each item once, in the order of the client.

    Raises:
        CommandError: BAD, not an item we know, or too many.
    """
    if not scanner.skip(b"("):
        word = _word(scanner)
        return _MACROS.get(word) or (_parse_item(scanner, word),)
    items: dict[FetchItem, None] = {}
    while True:
        items[_parse_item(scanner, _word(scanner))] = None
        if len(items) > MAX_ITEMS:
            raise bad("too many items")
        if scanner.skip(b")"):
            return tuple(items)
        scanner.space()


def _word(scanner: Scanner) -> str:
    # "BODY[" is an atom up to the bracket: "[" is an ATOM-CHAR, "]" ends it.
    start = scanner.position
    word = scanner.keyword()
    name, bracket, _ = word.partition("[")
    if bracket:
        scanner.position = start + len(name)
    return name


def _parse_item(scanner: Scanner, word: str) -> FetchItem:
    if word in ("BODY", "BODY.PEEK") and scanner.skip(b"["):
        return parse_section(scanner, peek=word == "BODY.PEEK")
    if word in ("BINARY", "BINARY.PEEK", "BINARY.SIZE") and scanner.skip(b"["):
        return _parse_binary(scanner, word)
    if word == "PREVIEW" and scanner.skip(b" ("):
        return _parse_preview_modifiers(scanner)
    item = _ATTRIBUTES.get(word) or _RFC822.get(word)
    if item is None:
        raise bad("unknown item")
    return item


def _parse_binary(scanner: Scanner, word: str) -> BodySection:
    """Take what follows ``BINARY[``: ``1.2]<0.2048>``. (RFC 3516 section 7)"""
    path: list[int] = []
    while not scanner.skip(b"]"):
        if path:
            scanner.expect(b".")
        path.append(_part_number(scanner, path))
    text = SectionText.BINARY_SIZE if word == "BINARY.SIZE" else SectionText.BINARY
    partial = _parse_partial(scanner) if text is SectionText.BINARY else None
    origin = b"<%d>" % partial[0] if partial else b""
    numbers = b".".join([b"%d" % number for number in path])
    label = b"%b[%b]%b" % (text.value.encode("ascii"), numbers, origin)
    return BodySection(tuple(path), text, (), partial, word != "BINARY", label)


def _part_number(scanner: Scanner, before: list[int]) -> int:
    number = scanner.number()
    if number == 0 or len(before) == MAX_PATH:
        raise bad("no such part")
    return number


def _parse_preview_modifiers(scanner: Scanner) -> FetchItem:
    # RFC 8970 section 6: a list of modifiers, of which there is one.
    if scanner.keyword() != "LAZY":
        raise bad("unknown modifier of PREVIEW")
    scanner.expect(b")")
    return Attribute.PREVIEW_LAZY


def parse_section(scanner: Scanner, *, peek: bool) -> BodySection:
    """Take what follows ``BODY[``: ``1.2.MIME]<0.2048>``.

    Raises:
        BadSyntax: BAD, no such section.
    """
    path: list[int] = []
    text = SectionText.WHOLE
    fields: tuple[bytes, ...] = ()
    spec = b""
    while not scanner.skip(b"]"):
        if spec and text is SectionText.WHOLE:
            scanner.expect(b".")
            spec += b"."
        if scanner.peek().isdigit() and text is SectionText.WHOLE:
            path.append(_part_number(scanner, path))
            spec += b"%d" % path[-1]
            continue
        text = _parse_text(scanner, has_path=bool(path))
        spec += text.value.encode("ascii")
        if text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
            scanner.space()
            fields, wire = _parse_fields(scanner)
            spec += b" " + wire
        scanner.expect(b"]")
        break
    partial = _parse_partial(scanner)
    origin = b"<%d>" % partial[0] if partial else b""
    return BodySection(tuple(path), text, fields, partial, peek, b"BODY[%b]%b" % (spec, origin))


def _parse_text(scanner: Scanner, *, has_path: bool) -> SectionText:
    # The longest first: HEADER is the beginning of the others.
    for text in (
        SectionText.HEADER_FIELDS_NOT,
        SectionText.HEADER_FIELDS,
        SectionText.HEADER,
        SectionText.TEXT,
        SectionText.MIME,
    ):
        if scanner.skip(text.value.encode("ascii")):
            if text is SectionText.MIME and not has_path:
                raise bad("MIME needs a part number")
            return text
    raise bad("unknown section")


def _parse_fields(scanner: Scanner) -> tuple[tuple[bytes, ...], bytes]:
    scanner.expect(b"(")
    names: list[bytes] = []
    while True:
        names.append(scanner.astring_bytes())
        if len(names) > MAX_FIELDS:
            raise bad("too many field names")
        if scanner.skip(b")"):
            break
        scanner.space()
    # The answer repeats the names as they came; a name that is not an atom is quoted again.
    wire = b"(" + b" ".join(_astring(name) for name in names) + b")"
    return tuple(name.lower() for name in names), wire


def _astring(name: bytes) -> bytes:
    return name if name.replace(b"-", b"").isalnum() else string(name)


def _parse_partial(scanner: Scanner) -> tuple[int, int] | None:
    if not scanner.skip(b"<"):
        return None
    offset = scanner.number64()
    scanner.expect(b".")
    size = scanner.number64()
    scanner.expect(b">")
    if size == 0:
        raise bad("a partial fetch asks for at least one byte")
    return offset, size
