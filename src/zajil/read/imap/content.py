"""The bytes of one message for FETCH: read as little as the items need, send in pieces.

Runs in reader threads: nothing here touches the event loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zajil.imap.body_section import Span, find_section, needs_structure
from zajil.imap.body_structure import body_structure
from zajil.imap.envelope import envelope
from zajil.imap.fetch_item import Attribute, BodySection, FetchItem, SectionText
from zajil.imap.response import literal_head, nstring, string
from zajil.message.fields import split_message
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.store.mail.messages import MessageReader
from zajil.store.mail.summaries import ImapForms

MAX_HEADER = 1 << 20
"""Where the header section of a large message is looked for before all of it is read."""

MAX_LITERAL = 1 << 32
"""No literal is as long (RFC 3501 section 9, number)."""
_BESIDE = 64
"""Bytes of an item beside those of the message; a flag or a date fits in."""
_STRUCTURE = (Attribute.BODY, Attribute.BODYSTRUCTURE)
FORMS = (*_STRUCTURE, Attribute.ENVELOPE)
"""What the summary of a message has ready (``store.mail.summaries``)."""

Piece = bytes | Span
"""What is sent: bytes of ours, or a range of the message that is read when its turn comes."""


@dataclass(frozen=True, slots=True)
class Needs:
    """How much of a message the items of a FETCH ask for."""

    content: bool
    """Anything of the message's bytes."""
    head: bool
    """The header section, read."""
    structure: bool
    """The tree of parts."""
    data: bool
    """All bytes at hand, to count lines."""
    seen: bool
    """Sets ``\\Seen``."""


def needs_of(items: Sequence[FetchItem]) -> Needs:
    """Return what these items need of the message itself."""
    sections = [item for item in items if isinstance(item, BodySection)]
    structure = any(item in _STRUCTURE for item in items)
    return Needs(
        content=bool(sections) or any(item in FORMS for item in items),
        head=Attribute.ENVELOPE in items
        or any(not one.path and one.text is not SectionText.WHOLE for one in sections),
        structure=structure or any(map(needs_structure, sections)),
        data=structure,
        seen=any(not section.peek for section in sections),
    )


class Content:
    """One message, and as much of its structure as was needed so far."""

    def __init__(self, reader: MessageReader, needs: Needs, known: Part | None) -> None:
        """Read and parse what is needed; ``known`` is its structure from an earlier command."""
        self.size = reader.size
        self._reader = reader
        self._data: bytes | None = None
        self._rest: Span | None = None
        self._structures: dict[Attribute, bytes] = {}
        self.part: Part | None = known
        if needs.data or (needs.structure and known is None):
            self._read_all()
        elif needs.head and known is None:
            self._read_head()

    def read(self, start: int, end: int) -> bytes:
        """Return a range of the message. May wait on the disk."""
        if self._data is not None:
            return self._data[start:end]
        return self._reader.read_at(start, end - start)

    def read_pieces(self, pieces: Iterator[Piece], most: int) -> bytes:
        """Take pieces until they have so many bytes; ``b""``: there are no more.

        What is left of a range is given back by the next call. May wait on the disk.
        """
        taken: list[bytes] = []
        room = most
        while room > 0:
            piece = self._rest or next(pieces, None)
            self._rest = None
            if piece is None:
                break
            if isinstance(piece, Span):
                end = min(piece.end, piece.start + room)
                self._rest = Span(end, piece.end) if end < piece.end else None
                piece = self.read(piece.start, end)
            taken.append(piece)
            room -= len(piece)
        return b"".join(taken)

    def write_structures(self, items: Sequence[FetchItem]) -> None:
        """Write the items that need every byte of the message, and let go of these bytes."""
        for item in items:
            if isinstance(item, Attribute) and item in _STRUCTURE:
                self._structures[item] = self._structure(item)
        self._data = None

    def write(self, item: FetchItem) -> list[Piece]:
        """Write one item that is about the message's bytes, its name included."""
        if isinstance(item, BodySection):
            return self._section(item)
        if item is Attribute.ENVELOPE:
            return [b"ENVELOPE " + envelope(self._root())]
        return [self._structures.get(item) or self._structure(item)]

    def _structure(self, item: Attribute) -> bytes:
        data = self._data or b""
        written = body_structure(self._root(), data, extended=item is Attribute.BODYSTRUCTURE)
        return item.value.encode("ascii") + b" " + written

    def _section(self, section: BodySection) -> list[Piece]:
        if not section.path and section.text is SectionText.WHOLE:
            spans: list[Span] | None = [Span(0, self.size)]
        else:
            spans = find_section(self._root(), section, self.size)
        label = section.label + b" "
        if spans is None:
            return [label + nstring(None)]
        end = b""
        if section.text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
            # The empty line after the fields; the last field may lack its own line end.
            end = b"\r\n"
            if spans and self.read(spans[-1].end - 1, spans[-1].end) != b"\n":
                end = b"\r\n\r\n"
        return [label, *_literal(spans, end, section.partial)]

    def _root(self) -> Part:
        if self.part is None:
            raise RuntimeError("the message was not read")
        return self.part

    def _read_all(self) -> None:
        self._data = self._reader.read_at(0, self.size)
        if self.part is None:
            self.part = parse_message(self._data)

    def _read_head(self) -> None:
        head = self._reader.read_at(0, MAX_HEADER)
        end = split_message(head)[1]
        if end == len(head) and self.size > MAX_HEADER:
            self._read_all()
        else:
            self.part = parse_message(head[:end])


def _literal(spans: Sequence[Span], end: bytes, partial: tuple[int, int] | None) -> list[Piece]:
    """Write ranges, and bytes of ours behind them, as one string."""
    offset, room = (0, MAX_LITERAL) if partial is None else partial
    size = 0
    wanted: list[Piece] = []
    parts: tuple[Piece, ...] = (*spans, end)
    for span in parts:
        length = span.size if isinstance(span, Span) else len(span)
        start, stop = min(offset, length), min(offset + room, length)
        offset, room = offset - start, room - (stop - start)
        if start == stop:
            continue
        size += stop - start
        if not isinstance(span, Span):
            wanted.append(span[start:stop])
        elif wanted and isinstance(last := wanted[-1], Span) and last.end == span.start + start:
            wanted[-1] = Span(last.start, span.start + stop)
        else:
            wanted.append(Span(span.start + start, span.start + stop))
    return [literal_head(size), *wanted] if size else [string(b"")]


def find_form(forms: ImapForms | None, item: FetchItem) -> bytes | None:
    """Return ENVELOPE, BODY or BODYSTRUCTURE as it was kept; ``None``: read the message."""
    if forms is None or isinstance(item, BodySection):
        return None
    match item:
        case Attribute.ENVELOPE:
            return forms.envelope
        case Attribute.BODY:
            return forms.body
        case Attribute.BODYSTRUCTURE:
            return forms.body_structure
        case _:
            return None


def answer_size(items: Sequence[FetchItem], size: int) -> int:
    """Return the most bytes that the answer to these items can have.

    Args:
        items: each may want the whole message once more.
        size: of the message.
    """
    total = 0
    for item in items:
        if isinstance(item, BodySection):
            total += len(item.label) + _BESIDE
            total += size if item.partial is None else min(size, item.partial[1])
        else:
            total += size + _BESIDE if item in FORMS else _BESIDE
    return total
