"""MIME parts of any size, as pieces that need not be in memory (RFC 2045, RFC 2046)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from zajil.core.value_class import value_class
from zajil.message.build import multipart_head, write_parameter_field
from zajil.message.source import Source, read_range, size_of
from zajil.message.transfer import LINE, encode_base64

Pieces = tuple[bytes | Source, ...]
"""Bytes one after the other."""

_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,80}/[A-Za-z0-9!#$&^_.+-]{1,80}\Z")
_BINARY = "application/octet-stream"
_DECODED_LINE = LINE // 4 * 3
_ENCODED_LINE = LINE + len("\r\n")


@value_class(frozen=True, slots=True)
class Slice:
    """A range of a source."""

    source: bytes | Source
    start: int
    end: int

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return self.end - self.start

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only at the end."""
        begin = min(self.start + offset, self.end)
        return read_range(self.source, begin, min(begin + size, self.end))


@value_class(frozen=True, slots=True)
class Base64Source:
    """A source encoded in base64, in lines of 76 characters, each with CRLF."""

    source: bytes | Source

    @property
    def size(self) -> int:
        """Return the number of encoded bytes."""
        lines, rest = divmod(size_of(self.source), _DECODED_LINE)
        last = (rest + 2) // 3 * 4 + len("\r\n") if rest else 0
        return lines * _ENCODED_LINE + last

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` encoded bytes from ``offset``; fewer only at the end."""
        first, skip = divmod(offset, _ENCODED_LINE)
        last = -(-(offset + size) // _ENCODED_LINE)
        data = read_range(self.source, first * _DECODED_LINE, last * _DECODED_LINE)
        return encode_base64(data)[skip : skip + size]


@value_class(frozen=True, slots=True)
class NewFile:
    """A file that becomes a part of a message."""

    filename: str
    content_type: str
    """``image/png``; what is no type counts as ``application/octet-stream``."""
    data: bytes | Source
    content_id: str = ""
    """Without angle brackets: it is a picture inside the HTML; ``""``: it is an attachment."""


def file_pieces(file: NewFile) -> Pieces:
    """Return the part of a file.

    Raises:
        BadValue: its name cannot be written.
    """
    is_writable = _TYPE.match(file.content_type) and not file.content_type.startswith(
        ("multipart/", "message/")
    )
    kind = file.content_type if is_writable else _BINARY
    disposition = "inline" if file.content_id else "attachment"
    head = [
        write_parameter_field("Content-Type", kind, [("name", file.filename)]),
        write_parameter_field("Content-Disposition", disposition, [("filename", file.filename)]),
    ]
    if file.content_id:
        head.append(write_parameter_field("Content-ID", f"<{file.content_id}>", []))
    head.append(b"Content-Transfer-Encoding: base64\r\n\r\n")
    return (b"".join(head), Base64Source(file.data))


def message_pieces(filename: str, message: bytes | Source, *, is_ascii: bool) -> Pieces:
    """Return the part of an enclosed message.

    Args:
        filename: a name that ends in ``.eml``.
        message: with CRLF line ends.
        is_ascii: its header section is; else it is message/global (RFC 6532 section 3.7), in base64
            so that it passes servers without SMTPUTF8.

    Raises:
        BadValue: the name cannot be written.
    """
    kind = "message/rfc822" if is_ascii else "message/global"
    head = (
        write_parameter_field("Content-Type", kind, [("name", filename)]),
        write_parameter_field("Content-Disposition", "attachment", [("filename", filename)]),
        b"Content-Transfer-Encoding: 8bit\r\n\r\n"
        if is_ascii
        else b"Content-Transfer-Encoding: base64\r\n\r\n",
    )
    return (b"".join(head), message if is_ascii else Base64Source(message))


def multipart_pieces(subtype: str, parts: Sequence[Pieces], unique: str, number: int) -> Pieces:
    """Put parts together (RFC 2046 section 5.1).

    Args:
        subtype: ``mixed`` or ``related``.
        parts: each a header section, an empty line and a body.
        unique: letters and digits that nobody can guess, so that no part holds the boundary.
        number: another one for each multipart of the message.
    """
    boundary = f"=_{unique}_{number}"
    mark = f"--{boundary}".encode()
    out: list[bytes | Source] = [multipart_head(subtype, boundary), b"\r\n"]
    for part in parts:
        out += [mark, b"\r\n", *part, b"\r\n"]
    return (*out, mark, b"--\r\n")


def size_of_pieces(pieces: Iterable[bytes | Source]) -> int:
    """Return the number of bytes of all pieces."""
    return sum(map(size_of, pieces))
