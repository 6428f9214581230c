"""Does a message need SMTPUTF8 on its way? (RFC 6531 section 3.2, RFC 6532) Pure.

Its header fields count and those of its MIME parts; a body in UTF-8 alone needs 8BITMIME only. What
is inside an enclosed message is body. Linear in the input.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from zajil.message.fields import Field, find_field, read_fields, split_message
from zajil.message.params import parse_parameterised
from zajil.message.parse import MAX_PARTS
from zajil.message.source import PIECE, Source, read_pieces, read_range, size_of

_DELIMITER = re.compile(rb"\n--([^\r\n]{1,260}+)\r?\n")
_LONGEST_DELIMITER = 265
_PART_HEADER = 16_384
"""Bytes of a part's header section that are looked at; a real one has under 2,000."""


def has_raw_header(header: bytes, fields: Sequence[Field], body: bytes | Source) -> bool:
    """Whether a header field of the message or of one of its parts is not ASCII.

    Args:
        header: the header section.
        fields: what ``read_fields(header)`` gave.
        body: with the empty line before it.
    """
    if not header.isascii():
        return True
    if isinstance(body, bytes) and body.isascii():  # nearly every mail
        return False
    if all(piece.isascii() for piece in read_pieces(body)):
        return False
    boundary = _find_boundary(fields)
    return boundary is not None and _has_raw_part_header(body, boundary)


def _has_raw_part_header(body: bytes | Source, boundary: bytes) -> bool:
    boundaries = {boundary}
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
            if not header.isascii() or parts >= MAX_PARTS:
                # Deviation: behind so many parts nobody looks (2026-11-23); it may go as it is.
                return not header.isascii()
            nested = _find_boundary(read_fields(header))
            if nested is not None:
                boundaries.add(nested)
        if at + len(window) >= size:
            return False
        at += len(window) - _LONGEST_DELIMITER


def _find_boundary(fields: Sequence[Field]) -> bytes | None:
    field = find_field(fields, b"content-type")
    if field is None:
        return None
    content_type = parse_parameterised(field.value)
    boundary = content_type.parameters.get("boundary", "").rstrip()
    if not boundary or not content_type.value.startswith("multipart/"):
        return None
    return boundary.encode("utf-8", "replace")
