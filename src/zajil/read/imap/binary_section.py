"""BINARY[...] and BINARY.SIZE[...]: a part without its transfer encoding. (RFC 3516, RFC 9051)

A part is decoded in pieces, twice: the size stands before the bytes. So a large one takes no more
memory than a small one.

Deviation: RFC 9051 section 7.5.2 wants CRLF at each line end of a text part. What is encoded in
base64 is sent as it is (2026-11-29): patches and scripts are text parts too, and the same part by
BODY would be another file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from zajil.imap.body_section import Span, find_part
from zajil.imap.fetch_item import BodySection, SectionText
from zajil.imap.response import literal_head, nstring, string
from zajil.message.part import Part
from zajil.message.transfer import TRANSFER_ENCODINGS, TransferDecoder

BINARIES = (SectionText.BINARY, SectionText.BINARY_SIZE)
_PIECE = 65536
"""Encoded bytes that are decoded at a time."""
_TURN = 16
"""Pieces after which others may have their turn."""


def encoding_of(root: Part, section: BodySection) -> str:
    """Return the encoding that a section is decoded from, lower case.

    A part that has parts of its own has none (RFC 2046 section 5.2.1), as the message itself.
    """
    part = find_part(root, section.path) if section.path else None
    return "" if part is None or part.children else part.encoding


def is_known_encoding(root: Part, section: BodySection) -> bool:
    """Return whether a section can be decoded."""
    return encoding_of(root, section) in TRANSFER_ENCODINGS


def write_binary(
    root: Part | None, section: BodySection, size: int, read: Callable[[int, int], bytes]
) -> Iterator[bytes]:
    """Write the item, its name included, in pieces; an empty one ends a turn.

    Args:
        root: the structure of the message; ``None`` for a section without a path.
        section: one whose encoding is known.
        size: of the whole message.
        read: returns a range of the message.
    """
    span, encoding = Span(0, size), ""
    if root is not None and section.path:
        part = find_part(root, section.path)
        if part is None:
            # RFC 3516 section 7 has no NIL for a size.
            is_size = section.text is SectionText.BINARY_SIZE
            yield section.label + b" " + (b"0" if is_size else nstring(None))
            return
        span, encoding = Span(part.body_start, part.body_end), encoding_of(root, section)

    def decode() -> Iterator[bytes]:
        return _cut(_decode(span, encoding, read), section.partial)

    length, has_nul = 0, False
    for piece in decode():
        if not piece:
            yield piece
        length += len(piece)
        has_nul = has_nul or b"\0" in piece
    if section.text is SectionText.BINARY_SIZE:
        yield b"%b %d" % (section.label, length)
        return
    if not length:
        yield section.label + b" " + string(b"")
        return
    # RFC 3516 section 4.3: a literal8 where there is a NUL, and a literal where there is none.
    yield section.label + (b" ~" if has_nul else b" ") + literal_head(length)
    yield from decode()


def _decode(span: Span, encoding: str, read: Callable[[int, int], bytes]) -> Iterator[bytes]:
    decoder = TransferDecoder(encoding)
    for number, start in enumerate(range(span.start, span.end, _PIECE), 1):
        piece = decoder.take(read(start, min(span.end, start + _PIECE)))
        if piece:
            yield piece
        if number % _TURN == 0:
            yield b""
    yield decoder.finish()


def _cut(pieces: Iterator[bytes], partial: tuple[int, int] | None) -> Iterator[bytes]:
    """Return what a partial FETCH wants of decoded bytes; an empty piece ends a turn."""
    offset, room = partial or (0, None)
    for piece in pieces:
        wanted = piece[offset:] if room is None else piece[offset : offset + room]
        offset = max(0, offset - len(piece))
        if wanted or not piece:
            yield wanted
            room = None if room is None else room - len(wanted)
        if room == 0:
            return
