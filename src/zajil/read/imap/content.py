"""The bytes of one message for FETCH: read as little as the items need, send in pieces.

Runs in reader threads: nothing here touches the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zajil.imap.body_section import Span, find_section, needs_structure
from zajil.imap.body_structure import body_structure
from zajil.imap.envelope import envelope
from zajil.imap.fetch_item import Attribute, BodySection, FetchItem, SectionText
from zajil.imap.response import literal_head, nstring, string
from zajil.message.fields import split_message
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.store.messages import MessageReader

MAX_HEADER = 1 << 20
"""Where the header section of a large message is looked for before all of it is read."""

_STRUCTURE = (Attribute.BODY, Attribute.BODYSTRUCTURE)
_CONTENT = (*_STRUCTURE, Attribute.ENVELOPE)

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
    """Tell what these items need."""
    sections = [item for item in items if isinstance(item, BodySection)]
    structure = any(item in _STRUCTURE for item in items)
    return Needs(
        content=bool(sections) or any(item in _CONTENT for item in items),
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
        self.part: Part | None = known
        if needs.data or (needs.structure and known is None):
            self._read_all()
        elif needs.head and known is None:
            self._read_head()

    def read(self, start: int, end: int) -> bytes:
        """Give a range of the message. May wait on the disk."""
        if self._data is not None:
            return self._data[start:end]
        return self._reader.read_at(start, end - start)

    def forget_data(self) -> None:
        """Keep the structure alone: what is sent from now on is read when its turn comes."""
        self._data = None

    def write(self, item: FetchItem) -> list[Piece]:
        """Write one item that is about the message's bytes, its name included."""
        if isinstance(item, BodySection):
            return self._section(item)
        if item is Attribute.ENVELOPE:
            return [b"ENVELOPE " + envelope(self._root())]
        data = self._data or b""
        written = body_structure(self._root(), data, extended=item is Attribute.BODYSTRUCTURE)
        return [item.value.encode("ascii") + b" " + written]

    def _section(self, section: BodySection) -> list[Piece]:
        if not section.path and section.text is SectionText.WHOLE:
            spans: list[Span] | None = [Span(0, self.size)]
        else:
            spans = find_section(self._root(), section, self.size)
        label = section.label + b" "
        if spans is None:
            return [label + nstring(None)]
        if section.text in (SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT):
            fields = b"".join([self.read(span.start, span.end) for span in spans])
            if fields and not fields.endswith(b"\n"):
                fields += b"\r\n"
            fields += b"\r\n"
            if section.partial is not None:
                fields = fields[section.partial[0] :][: section.partial[1]]
            return [label + literal_head(len(fields)) + fields]
        span = spans[0].cut(section.partial)
        if not span.size:
            return [label + string(b"")]
        return [label + literal_head(span.size), span]

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
