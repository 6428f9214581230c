"""Values with parameters: Content-Type, Content-Disposition (RFC 2045 section 5.1, RFC 2231).

Security: a file name can be said in four ways at once (plain, encoded word, RFC 2231, RFC 2231 in
pieces), and a filter that reads another one than the reader is evaded (CVE-2024-39929). Here
there is one reading, used for verdict and display, and ``defects`` says when there were more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes

from zajil.message.charset import decode_text
from zajil.message.encoded_word import decode_words
from zajil.message.fields import unfold

MAX_PARAMETERS = 100
"""Parameters of one field that are read; CVE-2026-27859 was about fields with thousands."""
MAX_SECTIONS = 100
"""Pieces of one parameter (RFC 2231 section 3) that are joined."""


@dataclass(frozen=True, slots=True)
class ParameterisedValue:
    """``text/plain; charset=utf-8``."""

    value: str
    """Lower case, before the first semicolon."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name, decoded, in the order of their first mention."""
    defects: tuple[str, ...] = ()
    """``duplicate parameter filename``, ``too many parameters``, ``missing section`` ..."""


_COMMENT = re.compile(r"\([^()\\]*+\)")
# A quote that is never closed takes the rest of the field, so no byte is looked at twice.
_PARAMETER = re.compile(
    r"[; \t\r\n]*+([^\x00-\x20;=\"]++)[ \t\r\n]*+=[ \t\r\n]*+"
    r'(?:"((?:[^"\\]|\\.)*+)"?+[^;]*+|([^;]*+))'
    r"|[^;]*+;++|[^;]++\Z",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*([0-9]{1,4}))?(\*)?\Z")


def parse_parameterised(value: bytes | str) -> ParameterisedValue:
    """Parse a value and its parameters; never raises."""
    text = value if isinstance(value, str) else decode_text(unfold(value))
    head, semicolon, rest = text.partition(";")
    head = _COMMENT.sub("", head).strip().lower()
    if not semicolon:
        return ParameterisedValue(head)
    gathered = _Gathered()
    count = 0
    for match in _PARAMETER.finditer(rest):
        name, quoted, plain = match.groups()
        if name is None:
            continue
        count += 1
        if count > MAX_PARAMETERS:
            gathered.defects.append("too many parameters")
            break
        if quoted is not None:
            gathered.add(name.lower(), _ESCAPE.sub(r"\1", quoted))
        else:
            gathered.add(name.lower(), _COMMENT.sub("", plain).strip())
    return gathered.finish(head)


class _Gathered:
    """Parameters as they come: plain ones, and the pieces of RFC 2231."""

    def __init__(self) -> None:
        self.plain: dict[str, str] = {}
        self.pieces: dict[str, dict[int, tuple[str, bool]]] = {}
        self.order: dict[str, None] = {}
        self.defects: list[str] = []

    def add(self, name: str, value: str) -> None:
        match = _SECTION.match(name)
        if match is None:
            self.defects.append("bad parameter name")
            return
        base, section, extended = match.groups()
        self.order[base] = None
        if section is None and not extended:
            if base in self.plain:
                self.defects.append(f"duplicate parameter {base}")
            else:
                self.plain[base] = value
            return
        pieces = self.pieces.setdefault(base, {})
        number = int(section or 0)
        if number in pieces:
            self.defects.append(f"duplicate parameter {base}")
        elif number < MAX_SECTIONS:
            pieces[number] = value, bool(extended)
        else:
            self.defects.append("too many sections")

    def finish(self, head: str) -> ParameterisedValue:
        parameters: dict[str, str] = {}
        for name in self.order:
            if name in self.pieces:
                if name in self.plain:
                    self.defects.append(f"duplicate parameter {name}")
                parameters[name] = self._join(name)
            elif name in self.plain:
                parameters[name] = decode_words(self.plain[name])
        return ParameterisedValue(head, parameters, tuple(dict.fromkeys(self.defects)))

    def _join(self, name: str) -> str:
        """Put the pieces together (RFC 2231 section 4.1): in order, until one is missing."""
        pieces = self.pieces[name]
        charset: str | None = None
        joined: list[bytes] = []
        for number in range(len(pieces)):
            if number not in pieces:
                self.defects.append(f"missing section of {name}")
                break
            text, extended = pieces[number]
            if extended and number == 0 and text.count("'") >= 2:
                charset, _, text = text.split("'", 2)
            joined.append(unquote_to_bytes(text) if extended else text.encode("utf-8", "replace"))
        return decode_text(b"".join(joined), charset)


_TOKEN = re.compile(r"[!#$%&+\-.0-9A-Z^_`a-z{|}~]+\Z")
_PIECE = 60


def write_parameter(name: str, value: str) -> list[str]:
    """Write one parameter, in pieces if it is long; each item stands after ``; ``.

    Raises:
        ValueError: control characters in the value.
    """
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ValueError("control characters in a parameter")
    if value.isascii() and len(value) <= _PIECE and "=?" not in value:
        if _TOKEN.match(value):
            return [f"{name}={value}"]
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return [f'{name}="{escaped}"']
    octets = quote(value.encode("utf-8", "replace"), safe="")
    pieces: list[str] = []
    at = 0
    while at < len(octets):
        end = min(at + _PIECE, len(octets))
        # A piece must not end inside %XX.
        end -= next((back for back in (1, 2) if end < len(octets) and octets[end - back] == "%"), 0)
        pieces.append(octets[at:end])
        at = end
    if len(pieces) == 1:
        return [f"{name}*=utf-8''{pieces[0]}"]
    lead = ["utf-8''", *[""] * (len(pieces) - 1)]
    return [f"{name}*{number}*={lead[number]}{piece}" for number, piece in enumerate(pieces)]
