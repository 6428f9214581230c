"""Does a message need SMTPUTF8 on its way? (RFC 6531 section 3.2, RFC 6532) Pure.

Its header fields count and those of its MIME parts; a body in UTF-8 alone needs 8BITMIME only. What
is inside an enclosed message is body. Linear in the input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from zajil.message.address_list import parse_address_list
from zajil.message.fields import Field, find_field, read_fields, split_message
from zajil.message.parse import MAX_PARTS
from zajil.message.part import parse_content_type
from zajil.message.source import PIECE, Source, read_pieces, read_range, size_of

_DELIMITER = re.compile(rb"\n--([^\r\n]{1,260}+)\r?\n")
_LONGEST_DELIMITER = 265
_PART_HEADER = 16_384
"""Bytes of a part's header section that are looked at; a real one has under 2,000."""


_ADDRESSES = (b"from", b"sender", b"reply-to", b"to", b"cc")


def is_utf8(raw: bytes) -> bool:
    """Whether bytes are UTF-8, the only charset of SMTPUTF8 (RFC 6532 section 3)."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def has_utf8_header(header: bytes, fields: Sequence[Field], body: bytes | Source) -> bool:
    """Whether a header field of the message or of one of its parts is UTF-8 and not ASCII.

    Other bytes that are not ASCII do not count: SMTPUTF8 would not make them right.

    Args:
        header: the header section.
        fields: what ``read_fields(header)`` gave.
        body: with the empty line before it.
    """
    sections = [(header, fields)] if not header.isascii() else []
    sections += [(section, read_fields(section)) for section in raw_part_headers(fields, body)]
    for section, found in sections:
        for field in found:
            raw = section[field.start : field.end]
            if not raw.isascii() and is_utf8(raw):
                return True
    return False


def has_utf8_address(fields: Sequence[Field]) -> bool:
    """Whether an address in the header section has a local part in UTF-8 that is not ASCII."""
    for field in fields:
        if field.name in _ADDRESSES and not field.value.isascii() and is_utf8(field.value):
            people = parse_address_list(field.value).people
            if any([one.address and not one.local_part.isascii() for one in people]):
                return True
    return False


def raw_part_headers(fields: Sequence[Field], body: bytes | Source) -> Iterator[bytes]:
    """Return the header section of each MIME part that is not ASCII.

    Args:
        fields: of the message.
        body: with the empty line before it.
    """
    if all(piece.isascii() for piece in read_pieces(body)):  # nearly every mail
        return
    boundaries = _find_boundaries(fields)
    if boundaries:
        yield from _raw_headers(body, boundaries)


def _raw_headers(body: bytes | Source, outer: tuple[bytes, ...]) -> Iterator[bytes]:
    boundaries = set(outer)
    size, at, parts = size_of(body), 0, 0
    while True:
        window = read_range(body, at, at + PIECE)
        for match in _DELIMITER.finditer(window):
            if match[1].rstrip(b" \t") not in boundaries:
                continue
            start = at + match.end()
            section = read_range(body, start, start + _PART_HEADER)
            header = section[: split_message(section)[0]]
            parts += 1
            if not header.isascii():
                yield header
            if parts >= MAX_PARTS:
                # Deviation: behind so many parts nobody looks (2026-11-23); it may go as it is.
                return
            boundaries.update(_find_boundaries(read_fields(header)))
        if at + len(window) >= size:
            return
        at += len(window) - _LONGEST_DELIMITER


def _find_boundaries(fields: Sequence[Field]) -> tuple[bytes, ...]:
    field = find_field(fields, b"content-type")
    return () if field is None else parse_content_type(field.value).boundaries
