"""The bytes of one message for FETCH: read as little as the items need, send in pieces.

Runs in reader threads: nothing here touches the event loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from zajil.core.value_class import value_class
from zajil.imap.body_section import Span, find_section, needs_structure
from zajil.imap.body_structure import body_structure
from zajil.imap.envelope import envelope
from zajil.imap.fetch_item import Attribute, BodySection, FetchItem, SectionText
from zajil.imap.response import literal_head, nstring, string
from zajil.message.fields import pick_fields, split_message
from zajil.message.large_data import Data, read_data
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.message.view import MessageView
from zajil.read.imap.binary_section import (
    BINARIES,
    decoded_part,
    is_known_encoding,
    write_binary,
)
from zajil.read.imap.decoded_part import DecodedPart
from zajil.store.mail.messages import MessageReader

HEAD = 16_384
"""Bytes that hold the header section of nearly every message: so many are read first."""
MAX_HEADER = 1 << 20
"""Where the header section of a large message is looked for before all of it is read."""

MAX_LITERAL = 1 << 32
"""No literal is as long (RFC 3501 section 9, number)."""
_BESIDE = 64
"""Bytes of an item beside those of the message; a flag or a date fits in."""
_PREVIEW = 32_768
"""Bytes of a message in which its first words are looked for."""
_STRUCTURE = (Attribute.BODY, Attribute.BODYSTRUCTURE)
FORMS = (*_STRUCTURE, Attribute.ENVELOPE, Attribute.PREVIEW)
"""What the summary of a message has ready (``store.mail.summaries``)."""
_HEADERS = (SectionText.HEADER, SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)

Piece = bytes | Span
"""What is sent: bytes of ours, or a range of the message that is read when its turn comes."""


@value_class(frozen=True, slots=True)
class Needs:
    """How much of a message the items of a FETCH ask for."""

    content: bool
    """Anything of the message's bytes."""
    only_head: bool
    """Nothing behind the header section."""
    structure: bool
    """The tree of parts."""
    data: bool
    """All bytes at hand, to count lines."""
    seen: bool
    """Sets ``\\Seen``."""
    has_global: bool
    """The structure shows what is in message/global."""


def needs_of(items: Sequence[FetchItem], *, has_global: bool = False) -> Needs:
    """Return what these items need of the message itself."""
    sections = [item for item in items if isinstance(item, BodySection)]
    structure = any(item in _STRUCTURE for item in items)
    in_head = [not one.path and one.text in _HEADERS for one in sections]
    return Needs(
        content=bool(sections) or any(item in FORMS for item in items),
        only_head=all(in_head) and not structure and Attribute.PREVIEW not in items,
        structure=structure or any(map(needs_structure, sections)),
        data=structure,
        seen=any(not section.peek for section in sections),
        has_global=has_global,
    )


@value_class(frozen=True, slots=True)
class KnownMessage:
    """What was found out about the bytes of a message."""

    part: Part
    decoded: dict[tuple[int, ...], DecodedPart]
    """Large parts that were decoded, by their numbers."""


class Content:
    """One message, and as much of its structure as was needed so far."""

    def __init__(
        self, reader: MessageReader, needs: Needs, known: KnownMessage | None = None
    ) -> None:
        """Read and parse what is needed; ``known`` is from an earlier command."""
        self.size = reader.size
        self._reader = reader
        self._data: Data | None = None
        self._begin: tuple[bytes, int, int] | None = None
        self._rest: Span | None = None
        self._structures: dict[Attribute, bytes] = {}
        self._has_global = needs.has_global
        self._part: Part | None = None if known is None else known.part
        self._decoded: dict[tuple[int, ...], DecodedPart] = {} if known is None else known.decoded
        if needs.data or (needs.structure and known is None):
            self._read_all()

    @property
    def known(self) -> KnownMessage | None:
        """What was found out so far; its structure is whole where the items needed it."""
        return None if self._part is None else KnownMessage(self._part, self._decoded)

    def read(self, start: int, end: int) -> bytes:
        """Return a range of the message. May wait on the disk."""
        if self._data is not None:
            return self._data[start:end]
        return self._reader.read_at(start, end - start)

    def read_pieces(self, pieces: Iterator[Piece], most: int) -> bytes | None:
        """Take pieces until they have so many bytes, or an empty one ends the turn.

        What is left of a range is given back by the next call. May wait on the disk.

        Returns:
            ``None``: there are no more.
        """
        taken: list[bytes] = []
        room = most
        while room > 0:
            piece = self._rest or next(pieces, None)
            self._rest = None
            if not piece:
                if piece is None and not taken:
                    return None
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

    def unknown(self, items: Iterable[FetchItem]) -> frozenset[FetchItem]:
        """Return the items whose transfer encoding is not known: they cannot be written."""
        return frozenset(
            [
                item
                for item in items
                if isinstance(item, BodySection)
                and item.text in BINARIES
                and item.path
                and not is_known_encoding(self._root(), item)
            ]
        )

    def write(self, item: FetchItem) -> Iterable[Piece]:
        """Write one item that is about the message's bytes, its name included."""
        match item:
            case BodySection(text=SectionText.BINARY | SectionText.BINARY_SIZE):
                return write_binary(self._decoded_part(item), item, self.read)
            case BodySection():
                return self._section(item)
            case Attribute.ENVELOPE:
                return [b"ENVELOPE " + envelope(self._root())]
            case Attribute.PREVIEW:
                view = MessageView.from_bytes(self.read(0, _PREVIEW))
                return [b"PREVIEW " + string(view.preview.encode("utf-8", "replace"))]
        return [self._structures.get(item) or self._structure(item)]

    def _decoded_part(self, section: BodySection) -> DecodedPart | None:
        part = self._decoded.get(section.path)
        if part is None:
            root = self._root() if section.path else None
            part = decoded_part(root, section, self.size)
            if part is not None and part.is_large:
                self._decoded[section.path] = part
        return part

    def _structure(self, item: Attribute) -> bytes:
        data = self._data or b""
        written = body_structure(
            self._root(),
            data,
            extended=item is Attribute.BODYSTRUCTURE,
            has_global=self._has_global,
        )
        return item.value.encode("ascii") + b" " + written

    def _section(self, section: BodySection) -> list[Piece]:
        label = section.label + b" "
        if section.path:
            return self._part_section(section, label)
        pieces: list[Piece]
        match section.text:
            case SectionText.HEADER:
                pieces = [Span(0, self._head()[2])]
            case SectionText.TEXT:
                pieces = [Span(self._head()[2], self.size)]
            case SectionText.HEADER_FIELDS | SectionText.HEADER_FIELDS_NOT:
                head, end, _ = self._head()
                named = section.text is SectionText.HEADER_FIELDS
                fields = pick_fields(head[:end], frozenset(section.fields), named=named)
                pieces = [fields, _end_of_fields(fields[-1:])]
            case _:
                pieces = [Span(0, self.size)]
        return [label, *_literal(pieces, section.partial)]

    def _part_section(self, section: BodySection, label: bytes) -> list[Piece]:
        spans = find_section(self._root(), section, self.size)
        if spans is None:
            return [label + nstring(None)]
        pieces: list[Piece] = list(spans)
        if section.text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
            last = self.read(spans[-1].end - 1, spans[-1].end) if spans else b""
            pieces.append(_end_of_fields(last))
        return [label, *_literal(pieces, section.partial)]

    def _head(self) -> tuple[bytes, int, int]:
        """Return the beginning, where the header section ends, and where the body begins."""
        if self._begin is None:
            for size in (HEAD, MAX_HEADER, self.size):
                data = self.read(0, size)
                ends = split_message(data)
                if ends[1] < len(data) or len(data) == self.size:
                    break
            self._begin = (data, *ends)
        return self._begin

    def _root(self) -> Part:
        """Return the structure; of its root alone, where no more is needed."""
        if self._part is None:
            data, _, body_start = self._head()
            self._part = parse_message(data[:body_start])
        return self._part

    def _read_all(self) -> None:
        """Parse the message; a large one is read in pieces."""
        self._data = read_data(self._reader)
        if self._part is None:
            self._part = parse_message(self._data)


def write_fields(section: BodySection, head: bytes, *, is_whole: bool) -> bytes | None:
    """Write the string of a section that ``is_in_head``; ``None``: more of the message is needed.

    Args:
        section: HEADER.FIELDS of the message itself.
        head: the beginning of the message.
        is_whole: it is all of the message.
    """
    end, body_start = split_message(head)
    if body_start == len(head) and not is_whole:
        return None
    named = section.text is SectionText.HEADER_FIELDS
    fields = pick_fields(head[:end], frozenset(section.fields), named=named)
    data = fields + _end_of_fields(fields[-1:])
    return literal_head(len(data)) + data


def is_in_head(item: FetchItem) -> bool:
    """Return whether an item is what ``write_fields`` writes."""
    return (
        isinstance(item, BodySection)
        and not item.path
        and item.partial is None
        and item.text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)
    )


def _end_of_fields(last: bytes) -> bytes:
    """Return what stands behind fields: the empty line; the last field may lack its line end."""
    return b"\r\n" if last in (b"", b"\n") else b"\r\n\r\n"


def _literal(pieces: Sequence[Piece], partial: tuple[int, int] | None) -> list[Piece]:
    """Write pieces as one string."""
    offset, room = (0, MAX_LITERAL) if partial is None else partial
    size = 0
    wanted: list[Piece] = []
    for piece in pieces:
        length = piece.size if isinstance(piece, Span) else len(piece)
        start, stop = min(offset, length), min(offset + room, length)
        offset, room = offset - start, room - (stop - start)
        if start == stop:
            continue
        size += stop - start
        if not isinstance(piece, Span):
            wanted.append(piece[start:stop])
        elif wanted and isinstance(last := wanted[-1], Span) and last.end == piece.start + start:
            wanted[-1] = Span(last.start, piece.start + stop)
        else:
            wanted.append(Span(piece.start + start, piece.start + stop))
    return [literal_head(size), *wanted] if size else [string(b"")]


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
