"""The MIME tree of a message: offsets into its bytes, nothing copied (RFC 2045, RFC 2046)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from zajil.message.charset import decode_text
from zajil.message.fields import Field, find_value, unfold
from zajil.message.large_data import Data
from zajil.message.params import ParameterisedValue, parse_parameterised
from zajil.message.source import PIECE
from zajil.message.transfer import TransferDecoder, decode_transfer

_TEXT = ParameterisedValue("text/plain", {"charset": "us-ascii"})
"""RFC 2045 section 5.2: what a part without Content-Type is."""
_MESSAGE = ParameterisedValue("message/rfc822")
"""RFC 2046 section 5.1.5: the same inside multipart/digest."""


@dataclass(slots=True, kw_only=True)
class Part:
    """A node: the message itself, a part of a multipart, or an enclosed message."""

    start: int
    """Offset of the header section in the message."""
    header_end: int
    """After the line end of the last field."""
    body_start: int
    """After the empty line."""
    body_end: int
    """Exclusive; the line end before a boundary is the boundary's (RFC 2046 section 5.1.1)."""
    fields: list[Field]
    """Of its own header section; their offsets count from ``start``."""
    content_type: ParameterisedValue = _TEXT
    disposition: ParameterisedValue | None = None
    encoding: str = ""
    """Content-Transfer-Encoding, lower case; ``""`` when absent."""
    children: list[Part] = field(default_factory=list)
    """The parts of a multipart; the one enclosed message of a message/rfc822."""
    defects: list[str] = field(default_factory=list)
    """``no closing boundary``, ``too many parts``, ``too deep``, and those of the parameters."""

    @property
    def type(self) -> str:
        """``text/plain``, lower case."""
        return self.content_type.value

    @property
    def is_multipart(self) -> bool:
        """Whether its children are parts beside each other."""
        return self.type.startswith("multipart/") and bool(self.children)

    @property
    def is_message(self) -> bool:
        """Whether its one child is an enclosed message (RFC 2046 section 5.2.1, RFC 6532)."""
        return self.type in ENCLOSING and bool(self.children)

    @property
    def filename(self) -> str | None:
        """The name of a file, decoded: of the disposition, else of the type."""
        for value, name in ((self.disposition, "filename"), (self.content_type, "name")):
            if value is not None and value.parameters.get(name):
                return value.parameters[name]
        return None

    def value(self, name: bytes) -> bytes | None:
        """Return the unfolded value of the first field with this name (lower case)."""
        return find_value(self.fields, name)

    def body(self, data: Data) -> bytes:
        """Return the body as it stands in the message."""
        return data[self.body_start : self.body_end]

    def content(self, data: Data) -> bytes:
        """Return the body without its transfer encoding."""
        return decode_transfer(self.body(data), self.encoding)

    def read_content(self, data: Data, limit: int) -> tuple[bytes, bool]:
        """Return the content up to a limit, and whether there is more of it.

        Holds at most twice the limit and a few pieces, whatever the size of the body.
        """
        decoder = TransferDecoder(self.encoding)
        pieces, found, at = [], 0, self.body_start
        while at < self.body_end and found <= limit:
            end = min(at + PIECE, self.body_end)
            pieces.append(decoder.take(data[at:end]))
            found, at = found + len(pieces[-1]), end
        if at >= self.body_end:
            pieces.append(decoder.finish())
        content = b"".join(pieces)
        return content[:limit], at < self.body_end or len(content) > limit

    def read_text(self, data: Data, limit: int) -> tuple[str, bool]:
        """Return the beginning of the body as text, and whether there is more of it.

        Args:
            data: the message.
            limit: about how many characters; of a long body twice as many bytes are decoded.
        """
        if isinstance(data, bytes) and self.body_end - self.body_start <= PIECE:
            return self.text(data), False
        content, is_cut = self.read_content(data, 2 * limit)
        if is_cut:
            content = _whole_characters(content)
        return self.as_text(content), is_cut

    def text(self, data: Data) -> str:
        """Return the body as text; what does not fit its charset becomes U+FFFD."""
        return self.as_text(self.content(data))

    def as_text(self, content: bytes) -> str:
        """Return content of this part as text, or the beginning of it."""
        charset = self.content_type.parameters.get("charset")
        return decode_text(content, charset, is_body=True, is_html=self.type == "text/html")

    def line_count(self, data: Data) -> int:
        """Return the line ends of the body as it stands. (RFC 9051 section 7.5.2)

        A last line without an end does not count, as in Dovecot and Cyrus: of most parts of a
        multipart, the last line end belongs to the boundary.
        """
        return data.count(b"\n", self.body_start, self.body_end)

    def walk(self) -> Iterator[tuple[str, Part]]:
        """Return all parts with their numbers, in order (RFC 9051 section 6.4.5.1).

        A multipart at the root has the number ``""``. What is no multipart is the first part of
        its message: ``1``, or ``2.1`` where the message is enclosed in part ``2``.
        """
        stack: list[tuple[str, Part, bool]] = [("", self, True)]
        while stack:
            number, part, is_whole_message = stack.pop()
            prefix = f"{number}." if number else ""
            if is_whole_message and not part.is_multipart:
                stack.append((f"{prefix}1", part, False))
                continue
            if not (is_whole_message and number):
                yield number, part
            if part.is_message:
                stack.append((number, part.children[0], True))
                continue
            numbered = enumerate(part.children, 1)
            stack.extend(
                reversed([(f"{prefix}{place}", child, False) for place, child in numbered])
            )

    def find(self, number: str) -> Part | None:
        """Find a part by the number that ``walk`` gives it; ``""`` is the message itself."""
        if not number:
            return self
        return next((part for name, part in self.walk() if name == number), None)


def _whole_characters(text: bytes) -> bytes:
    """Cut off the character of UTF-8 that is not all there, at the end."""
    for size in range(1, min(4, len(text) + 1)):
        if text[-size] >= 0xC0:
            return text[:-size]
        if text[-size] < 0x80:
            break
    return text


ENCLOSING = frozenset({"message/rfc822", "message/global"})
"""Types whose body is a message."""


def parse_content_type(value: bytes) -> ParameterisedValue:
    """Parse a Content-Type.

    What is no ``type/subtype`` counts as text/plain (RFC 2045 section 5.2), unless a boundary says
    that it has parts or a name that it is a file: other programs show these.

    Returns:
        With ``value`` ``""``: there is nothing but a word that is no type.
    """
    parsed = parse_parameterised(value)
    if "/" in parsed.value[1:]:
        return parsed
    if parsed.value.startswith("multipart"):
        return replace(parsed, value="multipart/mixed")
    if not parsed.parameters:
        return replace(parsed, value="")
    if parsed.value.startswith("text") or not parsed.parameters.keys() & {"boundary", "name"}:
        return replace(parsed, value="text/plain")
    has_parts = "boundary" in parsed.parameters
    return replace(parsed, value="multipart/mixed" if has_parts else "application/octet-stream")


def parse_encoding(value: bytes) -> str:
    """Return the token of a Content-Transfer-Encoding, lower case (RFC 2045 section 6.1).

    Other programs read "8 bit", "base-64" and "quoted_printable" too; so do the checks then.
    """
    word = unfold(value).lower().decode("latin-1")
    if word in _ENCODINGS:
        return word
    letters = _NO_LETTER.sub("", parse_parameterised(word).value)
    for encoding in _ENCODINGS:
        if letters.startswith(_NO_LETTER.sub("", encoding)):
            return encoding
    # The token may be cut by a space or a comment: "8 bit", "quoted(x)-printable".
    letters = _NO_LETTER.sub("", _COMMENT.sub("", word).partition(";")[0])
    for encoding in _ENCODINGS:
        if letters.startswith(_NO_LETTER.sub("", encoding)):
            return encoding
    return parse_parameterised(word).value


_ENCODINGS = ("7bit", "8bit", "binary", "base64", "quoted-printable")
_NO_LETTER = re.compile(r"[^a-z0-9]+")
_COMMENT = re.compile(r"\([^()]*+\)")


def make_part(
    fields: list[Field], offsets: tuple[int, int, int], *, in_digest: bool = False
) -> Part:
    """Make a node from its header section; ``offsets`` are start, header end, body start."""
    content_type = _MESSAGE if in_digest else _TEXT
    disposition: ParameterisedValue | None = None
    encoding = ""
    seen: set[bytes] = set()
    defects: list[str] = []
    for item in fields:
        name = item.name
        if not name.startswith(b"content-"):
            continue
        if name in seen:
            # The first counts; a filter that takes the last sees another message.
            defects.append(f"repeated {name.decode('ascii')}")
            continue
        seen.add(name)
        if name == b"content-type":
            parsed = parse_content_type(item.value)
            defects += parsed.defects
            if parsed.value:
                content_type = parsed
        elif name == b"content-disposition":
            disposition = parse_parameterised(item.value)
            defects += disposition.defects
        elif name == b"content-transfer-encoding":
            encoding = parse_encoding(item.value)
    start, header_end, body_start = offsets
    return Part(
        start=start,
        header_end=header_end,
        body_start=body_start,
        body_end=body_start,
        fields=fields,
        content_type=content_type,
        disposition=disposition,
        encoding=encoding,
        children=[],
        defects=defects,
    )
