"""A message that cannot travel as it is: long lines are encoded, part by part (RFC 2045 section 6).

For what our users submit, before it is signed: a server on the way would break a line that is
longer than 998 octets, and with it the signature (RFC 6376 section 5.3). Pure.

Laws:
- A part without fault keeps every byte. What a part holds, decoded, never changes.
- What is signed or encrypted by its author is not touched, down to its last byte (RFC 1847
  section 2.1): such a message is refused.
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from bisect import bisect_left
from collections.abc import Iterator

from zajil.core.value_class import value_class
from zajil.message.fields import begins_folded, cut_ranges, find_fields, read_fields
from zajil.message.mend_fields import MAX_LINE, CannotMend, is_fit, mend_header
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.message.smtputf8 import is_utf8
from zajil.message.transfer import encode_base64

MAX_MENDED = 1 << 24
"""Bytes of a message that is written anew; memory for a few times as much is needed."""

_LONG_LINE = re.compile(rb"[^\n]{999,}+")
_CHARSET = re.compile(rb"charset[ \t]*=[ \t]*\"?([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_BASE64_LINE = re.compile(rb"[^\n]{1,76}")
_QUOTED_LINE = re.compile(rb"(?:=[0-9A-Fa-f]{2}|[^\r\n]){1,25}")
_BROKEN_BEFORE_HYPHENS = re.compile(rb"(?:(?<==\n)|(?<==\r\n))(-{2,})(=?\r?(?:\n|\Z))?")
"""Hyphens behind a soft line break, and the end of their line if nothing else is on it."""
_SEALED = frozenset(["multipart/signed", "multipart/encrypted"])
_HINT = 65_536
"""Bytes at the start of a message in which the charset of its text is looked for."""


@value_class(frozen=True, slots=True)
class Mended:
    """A message that may travel."""

    header: bytes
    """The header section."""
    body: bytes
    """With the empty line before it."""
    changes: tuple[str, ...]
    """``encoded Subject``, ``encoded part 2``; empty: not a byte was changed."""


def find_charset(data: bytes) -> str | None:
    """Return the charset that a message names for its text; ``None``: it names none."""
    for match in _CHARSET.finditer(data, 0, _HINT):
        charset = match[1].decode("ascii")
        if charset.lower() not in ("us-ascii", "utf-8", "utf8"):
            return charset
    return None


def mend_message(header: bytes, body: bytes, *, utf8: bool) -> Mended:
    """Write a message so that it may travel.

    Args:
        header: the header section; its last line has its end.
        body: with the empty line before it.
        utf8: the session said SMTPUTF8, so header sections may be UTF-8.

    Raises:
        CannotMend: it cannot be done, or not without changing what its author signed.
    """
    if len(header) + len(body) > MAX_MENDED:
        raise CannotMend("a line or a header field has to be encoded, and the message is too large")
    pen = _Pen(header + body, utf8)
    head, body = pen.write_root()
    return Mended(head, body, tuple(pen.changes))


class _Pen:
    """Writes one message anew."""

    def __init__(self, data: bytes, utf8: bool) -> None:
        self.data = data
        self.utf8 = utf8
        self.charset = find_charset(data)
        self.long_lines = [
            match.start()
            for match in _LONG_LINE.finditer(data)
            if len(match[0].removesuffix(b"\r")) > MAX_LINE
        ]
        self.numbers: dict[int, str] = {}
        self.changes: list[str] = []

    def write_root(self) -> tuple[bytes, bytes]:
        """Return header section and body, with the empty line before it."""
        root = parse_message(self.data)
        self.numbers = {id(part): number for number, part in root.walk() if part is not root}
        header, names = self._mend_header(root)
        self.changes += [f"encoded {name}" for name in names]
        blank = self.data[root.header_end : root.body_start]
        if self._is_fit(root, root.body_start):
            return header, blank + self.data[root.body_start :]
        if root.type in _SEALED:
            raise _sealed()
        encoding, body = self._write_body(root)
        return self._say_encoding(header, root, encoding), blank + body

    def _write(self, part: Part, *, is_enclosed: bool) -> bytes:
        if self._is_fit(part, part.start):
            return self.data[part.start : part.body_end]
        if part.type in _SEALED:
            raise _sealed()
        header = self.data[part.start : part.header_end]
        # The header section of an enclosed message is body: only its lines count.
        if not is_enclosed or self._has_long_line(part.start, part.header_end):
            header, names = self._mend_header(part)
            number = self.numbers.get(id(part), "")
            self.changes += [f"encoded {name} of part {number}" for name in names]
        blank = self.data[part.header_end : part.body_start]
        encoding, body = self._write_body(part)
        if is_enclosed:
            header = self._say_encoding(header, part, encoding)
        elif encoding:
            header = _replace(header, b"content-transfer-encoding", encoding)
        return header + blank + body

    def _mend_header(self, part: Part) -> tuple[bytes, list[str]]:
        header = self.data[part.start : part.header_end]
        return mend_header(header, part.fields, utf8=self.utf8, charset=self.charset)

    def _say_encoding(self, header: bytes, message: Part, encoding: bytes) -> bytes:
        """State the encoding of the body in the header section."""
        if not encoding:
            return header
        names = {field.name for field in message.fields}
        header = _replace(header, b"content-transfer-encoding", encoding)
        if b"content-type" not in names:
            body = self.data[message.body_start : message.body_end]
            charset = b"utf-8" if is_utf8(body) else b"windows-1252"
            header = b"Content-Type: text/plain; charset=%s\r\n" % charset + header
        return header if b"mime-version" in names else b"MIME-Version: 1.0\r\n" + header

    def _write_body(self, part: Part) -> tuple[bytes, bytes]:
        """Return the encoding that is new (``b""``: the one that was), and the body."""
        if part.children:
            return b"", b"".join(self._write_children(part))
        if self._has_long_line(part.body_start, part.body_end):
            return self._encode(part)
        return b"", self.data[part.body_start : part.body_end]

    def _write_children(self, part: Part) -> Iterator[bytes]:
        at = part.body_start
        for child in part.children:
            between = self.data[at : child.start]
            if self._has_long_line(at, child.start):
                # The preamble, which nobody reads (RFC 2046 section 5.1.1); the boundary stays.
                between = between[between.rstrip(b"\r\n").rfind(b"\n") + 1 :]
            yield between
            yield self._write(child, is_enclosed=part.is_message)
            at = child.body_end
        rest = self.data[at : part.body_end]
        if self._has_long_line(at, part.body_end):
            # The epilogue goes. In front of the closing boundary stands the line end that belongs
            # to it; behind a part without a byte it is that of the boundary before.
            lines = rest.splitlines(keepends=True)
            rest = b"".join(lines[: 2 if lines[0] in (b"\r\n", b"\n") else 1])
        yield rest

    def _encode(self, part: Part) -> tuple[bytes, bytes]:
        data, encoding = self.data[part.body_start : part.body_end], part.encoding
        number = self.numbers.get(id(part), "")
        if part.type.startswith(("multipart/", "message/")):
            # RFC 2046 section 5.2: these take no encoding.
            raise CannotMend(f"a line is longer than {MAX_LINE} octets in a {part.type} part")
        self.changes.append(f"encoded part {number}" if number else "encoded the body")
        if encoding == "base64":
            # A hyphen says nothing there, and two at the start of a new line could be a boundary.
            return b"", _BASE64_LINE.sub(rb"\g<0>\r\n", data.translate(None, b" \t\r\n-"))
        if encoding == "quoted-printable":
            return b"", _LONG_LINE.sub(_break_softly, data)
        if encoding not in ("", "7bit", "8bit", "binary"):
            raise CannotMend(f"a line is longer than {MAX_LINE} octets")
        foreign = len(data) - len(data.translate(None, bytes(range(128, 256))))
        if not part.type.startswith("text/") or foreign * 3 > len(data):
            return b"base64", encode_base64(data)
        return b"quoted-printable", _quote(data)

    def _is_fit(self, part: Part, start: int) -> bool:
        """Whether a part may travel as it is from an offset on, and all that is in it."""
        if self._has_long_line(start, part.body_end):
            return False
        if self.data[start : part.body_end].isascii():
            return True
        return self._has_fit_headers(part, start)

    def _has_fit_headers(self, part: Part, start: int) -> bool:
        if not is_fit(self.data[start : part.header_end], utf8=self.utf8):
            return False
        # What is enclosed is body (RFC 2046 section 5.2.1).
        return part.is_message or all(
            [self._has_fit_headers(child, child.start) for child in part.children]
        )

    def _has_long_line(self, start: int, end: int) -> bool:
        at = bisect_left(self.long_lines, start)
        return at < len(self.long_lines) and self.long_lines[at] < end


def _sealed() -> CannotMend:
    return CannotMend(
        f"a line is longer than {MAX_LINE} octets or a header is not ASCII in a signed part"
    )


def _quote(data: bytes) -> bytes:
    """Write quoted-printable; the line ends of the text are CRLF."""
    quoted = b2a_qp(data, quotetabs=False, istext=True, header=False)
    quoted = quoted if b"\r\n" in data else quoted.replace(b"=\n", b"=\r\n")
    return _BROKEN_BEFORE_HYPHENS.sub(_encode_hyphens, quoted)


def _break_softly(line: re.Match[bytes]) -> bytes:
    """Cut a line of quoted-printable by soft line breaks (RFC 2045 section 6.7)."""
    text, end = (line[0][:-1], b"\r") if line[0].endswith(b"\r") else (line[0], b"")
    broken = b"=\r\n".join(_QUOTED_LINE.findall(text)) + end
    return _BROKEN_BEFORE_HYPHENS.sub(_encode_hyphens, broken)


def _encode_hyphens(found: re.Match[bytes]) -> bytes:
    """Write hyphens so that no line begins with two: it could be a boundary of the message."""
    lines = _QUOTED_LINE.findall(b"=2D" * len(found[1]))
    return b"=\r\n".join(lines) + (b"=\r\n" if found[2] is None else found[2])


def _replace(header: bytes, name: bytes, value: bytes) -> bytes:
    """Write a field in place of all of its name."""
    fields = find_fields(read_fields(header), name)
    cut = [(field.start, field.end) for field in fields]
    if begins_folded(header, cut):
        raise CannotMend("a line of the header section is no field")
    return b"%s: %s\r\n" % (name.title(), value) + cut_ranges(header, cut)
