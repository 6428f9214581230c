"""BINARY[...] and BINARY.SIZE[...]: a part without its transfer encoding. (RFC 3516, RFC 9051)

A large part is decoded in pieces, twice: the size stands before the bytes. So it takes no more
memory than a small one.

Deviation: RFC 9051 section 7.5.2 wants CRLF at each line end of a text part. What is encoded in
base64 is sent as it is (2026-11-29): patches and scripts are text parts too, and the same part by
BODY would be another file.
"""

from __future__ import annotations

from collections.abc import Iterator

from zajil.imap.body_section import Span, find_part
from zajil.imap.fetch_item import BodySection, SectionText
from zajil.imap.response import literal_head, nstring, string
from zajil.message.part import Part
from zajil.message.transfer import TRANSFER_ENCODINGS
from zajil.read.imap.decoded_part import DecodedPart, Read

BINARIES = (SectionText.BINARY, SectionText.BINARY_SIZE)
_KEPT = 262_144
"""Bytes of content that are kept until its size is known; more is decoded again."""


def encoding_of(root: Part, section: BodySection) -> str:
    """Return the encoding that a section is decoded from, lower case.

    A part that has parts of its own has none (RFC 2046 section 5.2.1), as the message itself.
    """
    part = find_part(root, section.path) if section.path else None
    return "" if part is None or part.children else part.encoding


def is_known_encoding(root: Part, section: BodySection) -> bool:
    """Return whether a section can be decoded."""
    return encoding_of(root, section) in TRANSFER_ENCODINGS


def decoded_part(root: Part | None, section: BodySection, size: int) -> DecodedPart | None:
    """Return the content of a section; ``None``: there is no such part.

    Args:
        root: the structure of the message; ``None`` for a section without a path.
        section: one whose encoding is known.
        size: of the whole message.
    """
    if root is None or not section.path:
        return DecodedPart(Span(0, size), "")
    part = find_part(root, section.path)
    if part is None:
        return None
    return DecodedPart(Span(part.body_start, part.body_end), encoding_of(root, section))


def write_binary(part: DecodedPart | None, section: BodySection, read: Read) -> Iterator[bytes]:
    """Write the item, its name included, in pieces; an empty one ends a turn.

    Args:
        part: what ``decoded_part`` returned for the section.
        section: the item.
        read: of the message.
    """
    if part is None:
        # RFC 3516 section 7 has no NIL for a size.
        is_size = section.text is SectionText.BINARY_SIZE
        yield section.label + b" " + (b"0" if is_size else nstring(None))
        return
    if section.text is SectionText.BINARY_SIZE:
        if part.size is None:
            for piece in part.pieces(read):
                if not piece:
                    yield piece
        yield b"%b %d" % (section.label, part.size or 0)
        return
    offset, room = section.partial or (0, None)
    length, has_nul, kept = 0, False, list[bytes]()
    for piece in part.pieces(read, offset, room):
        if not piece:
            yield piece
        length += len(piece)
        has_nul = has_nul or b"\0" in piece
        if length <= _KEPT:
            kept.append(piece)
    if not length:
        yield section.label + b" " + string(b"")
        return
    # RFC 3516 section 4.3: a literal8 where there is a NUL, and a literal where there is none.
    yield section.label + (b" ~" if has_nul else b" ") + literal_head(length)
    yield from filter(None, kept) if length <= _KEPT else part.pieces(read, offset, room)
