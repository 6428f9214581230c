"""Content transfer encodings (RFC 2045 section 6), decoded leniently and written strictly."""

from __future__ import annotations

import re
from binascii import a2b_base64, a2b_qp, b2a_base64

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))

# No run of white space is looked at twice.
_SPACE_AT_END = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
# Each begins with the byte that is searched for: ten times as fast as another beginning.
_SPACED_LINE = re.compile(rb"\n(?<=[ \t]\n)|\n(?<=[ \t]\r\n)")
_ODD_EQUALS = re.compile(rb"=(?:=|\r(?!\n))")
_LONE_EQUALS = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n|\r?\Z)")

LINE = 76
"""Longest line of both encodings (RFC 2045 section 6.7 and section 6.8)."""
TRANSFER_ENCODINGS = frozenset(("", "7bit", "8bit", "binary", "base64", "quoted-printable"))
"""Those of RFC 2045 section 6.1; ``""`` where a part names none."""
_HELD = 65536
"""Bytes of a line that ``TransferDecoder`` keeps until its end comes; a longer one is cut."""


def decode_base64(data: bytes) -> bytes:
    """Decode what can be decoded: other characters are skipped, the first ``=`` is the end."""
    text = data.partition(b"=")[0].translate(None, _NOT_BASE64)
    if len(text) % 4 == 1:  # six bits are no byte
        text = text[:-1]
    return a2b_base64(text + b"=" * (-len(text) % 4))


def decode_transfer(data: bytes, encoding: str) -> bytes:
    """Decode a body; an unknown encoding leaves it as it is (RFC 2045 section 6.4).

    Args:
        encoding: lower case; ``""`` when the part names none.
    """
    if encoding == "base64":
        return decode_base64(data)
    if encoding == "quoted-printable":
        return decode_quoted_printable(data)
    return data


def decode_quoted_printable(data: bytes) -> bytes:
    """Decode what can be decoded (RFC 2045 section 6.7).

    White space at a line end was added on the way and is deleted (rule 3), behind the ``=`` of a
    soft line break, too. An ``=`` without two hexadecimal digits stays as it is.
    """
    # a2b_qp knows nothing of the first, and reads the others otherwise than other programs: "==41"
    # as "=41", and "=" with a lone CR as the end of all that follows on the line.
    if data.endswith((b" ", b"\t")) or _SPACED_LINE.search(data):
        data = _SPACE_AT_END.sub(b"", data)
    if _ODD_EQUALS.search(data):
        data = _LONE_EQUALS.sub(b"=3D", data)
    return a2b_qp(data)


class TransferDecoder:
    """Decodes a body that comes in pieces, as ``decode_transfer`` decodes all of it."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._held = b""
        self._ended = False

    @property
    def held_size(self) -> int:
        """How many bytes wait for those that follow."""
        return len(self._held)

    def copy(self) -> TransferDecoder:
        """Return another one that goes on from here."""
        other = TransferDecoder(self._encoding)
        other._held, other._ended = self._held, self._ended
        return other

    def take(self, data: bytes) -> bytes:
        """Take the next piece; return what is decoded so far."""
        if self._encoding == "base64":
            return self._decode_base64(data)
        if self._encoding == "quoted-printable":
            return self._decode_quoted_printable(self._held + data)
        return data

    def finish(self) -> bytes:
        """Return the end of what is decoded; no piece comes any more."""
        held, self._held = self._held, b""
        return decode_transfer(held, self._encoding)

    def _decode_base64(self, data: bytes) -> bytes:
        if self._ended:
            return b""
        text, equals, _ = data.partition(b"=")
        self._ended = bool(equals)
        text = self._held + text.translate(None, _NOT_BASE64)
        whole = len(text) // 4 * 4
        self._held = text[whole:]
        return a2b_base64(text[:whole])

    def _decode_quoted_printable(self, data: bytes) -> bytes:
        end = data.rfind(b"\n") + 1
        if not end and len(data) > _HELD:
            # Not within "=41", and not within white space that the line may end in.
            end = len(data.rstrip(b"= \t\r"))
            mark = data.find(b"=", max(0, end - 2), end)
            end = len(data[: mark if mark >= 0 else end].rstrip(b"= \t\r"))
            if not end:  # hostile: nothing else is on the line
                self._held = b""
                return data
        self._held = data[end:]
        return decode_quoted_printable(data[:end])


def encode_base64(data: bytes) -> bytes:
    """Return lines of ``LINE`` characters, each with CRLF."""
    size = LINE // 4 * 3
    lines = [
        b2a_base64(data[at : at + size], newline=False) + b"\r\n"
        for at in range(0, len(data), size)
    ]
    return b"".join(lines)


def encode_quoted_printable(text: bytes) -> bytes:
    """Encode text whose line ends are CRLF; the result ends in CRLF when the text does."""
    return b"\r\n".join(map(_quote_line, text.split(b"\r\n")))


_QUOTED = [
    bytes([code]) if 33 <= code <= 126 and code != 61 else b"=%02X" % code for code in range(256)
]
_QUOTED[9], _QUOTED[32] = b"\t", b" "


def _quote_line(line: bytes) -> bytes:
    tokens = [_QUOTED[code] for code in line]
    if tokens and tokens[-1] in (b" ", b"\t"):
        tokens[-1] = b"=%02X" % line[-1]  # space at a line end is lost on the way
    out: list[bytes] = []
    room = LINE - 1  # a soft break takes one
    for at, token in enumerate(tokens):
        if len(token) > room and not (at == len(tokens) - 1 and len(token) <= room + 1):
            out.append(b"=\r\n")
            room = LINE - 1
        out.append(token)
        room -= len(token)
    return b"".join(out)
