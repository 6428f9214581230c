"""A message with binary parts: they are encoded, so that every reader can be given it. Pure.

A part whose Content-Transfer-Encoding is ``binary`` may hold NUL and any line ends (RFC 2045
section 2.9), and no literal and no mail session can carry these. What such a part holds, decoded,
does not change.
"""

from __future__ import annotations

from collections.abc import Iterator

from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.message.transfer import encode_base64

_ENCODING = b"content-transfer-encoding"

_Edit = tuple[int, int, bytes]
"""A range of the message, and what stands there instead."""


def encode_binary_parts(data: bytes) -> bytes:
    """Return the message with each part that is ``binary`` in base64; the rest as it is."""
    root = parse_message(data)
    at, pieces = 0, []
    for start, end, instead in _edits(root, data):
        pieces += [data[at:start], instead]
        at = end
    pieces.append(data[at:])
    return b"".join(pieces)


def _edits(root: Part, data: bytes) -> Iterator[_Edit]:
    stack = [root]
    while stack:
        part = stack.pop()
        stack += reversed(part.children)
        if part.encoding != "binary":
            continue
        # RFC 2046 section 5.2.1: what has parts takes no encoding but a trivial one.
        is_leaf = not part.type.startswith(("multipart/", "message/"))
        name = b"base64" if is_leaf else b"8bit"
        for field in part.fields:
            if field.name == _ENCODING:
                written = b"Content-Transfer-Encoding: " + name + b"\r\n"
                yield part.start + field.start, part.start + field.end, written
        if is_leaf:
            encoded = encode_base64(part.body(data))
            # The line end before a boundary is the boundary's.
            encoded = encoded if part is root else encoded.removesuffix(b"\r\n")
            yield part.body_start, part.body_end, encoded
