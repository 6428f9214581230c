"""Values with parameters: Content-Type, Content-Disposition (RFC 2045 section 5.1, RFC 2231).

Security: a file name can be said in four ways at once (plain, encoded word, RFC 2231, RFC 2231 in
pieces), and a filter that reads another one than the reader is evaded (CVE-2024-39929). Here
there is one reading, used for verdict and display, and ``defects`` says when there were more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from urllib.parse import quote, unquote_to_bytes

from zajil.core.value_class import value_class
from zajil.message.charset import decode_text
from zajil.message.encoded_word import decode_words
from zajil.message.fields import unfold
from zajil.message.param_scan import FILE_NAMES, Found, scan_value

MAX_PARAMETERS = 100
"""Parameters of one field that are read; CVE-2026-27859 was about fields with thousands."""
MAX_SECTIONS = 100
"""Pieces of one parameter (RFC 2231 section 3) that are joined."""
MAX_READINGS = 8
"""Ways to read a boundary that are tried besides the first."""


@value_class(frozen=True, slots=True)
class ParameterisedValue:
    """``text/plain; charset=utf-8``."""

    value: str
    """Lower case, up to the first character that no token has; ``""`` when it is missing."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name, decoded, in the order of their first mention."""
    defects: tuple[str, ...] = ()
    """``duplicate parameter filename``, ``too many parameters``, ``missing section`` ..."""
    other_boundaries: tuple[str, ...] = ()
    """Other ways to read the boundary; what occurs in the body as a delimiter is meant."""

    @property
    def boundaries(self) -> tuple[bytes, ...]:
        """All readings of the boundary of a multipart, as in its body; the likeliest first."""
        boundary = self.parameters.get("boundary")
        if not boundary or not self.value.startswith("multipart/"):
            return ()
        if not self.other_boundaries and boundary.isascii():
            stripped = boundary.rstrip().encode("ascii")
            return (stripped,) if stripped else ()
        found: dict[bytes, None] = {}
        for one in (boundary, *self.other_boundaries):
            found[one.rstrip().encode("utf-8", "replace")] = None
            with suppress(UnicodeEncodeError):  # bytes that are no UTF-8 were read as windows-1252
                found[one.rstrip().encode("cp1252")] = None
        found.pop(b"", None)
        return tuple(found)


_ATOM = r"[!#$%&+\-.0-9A-Z^_`a-z{|}~]"
# What nearly every field looks like; the rest is read by ``param_scan``. No "*" in a name, no
# apostrophe in a value: these have a second meaning.
_WELL_FORMED = re.compile(
    rf"({_ATOM}++(?:/{_ATOM}++)?)"
    rf'((?:[ \t]*+;[ \t]*+{_ATOM}++=(?:{_ATOM}++|"[^"\\\r\n]*+"))*)[ \t]*+;?[ \t]*+\Z'
)
_SECTION = re.compile(r"([^*]+)(?:\*([0-9]{1,4}))?(\*)?\Z")
_APOSTROPHES = re.compile(r"'[^']+'\Z")
_PAIR = re.compile(rf'({_ATOM}++)=(?:"([^"]*+)"|({_ATOM}++))')


def parse_parameterised(value: bytes | str) -> ParameterisedValue:
    """Parse a value and its parameters; never raises."""
    text = value if isinstance(value, str) else decode_text(unfold(value))
    match = _WELL_FORMED.match(text)
    if match is not None and "=?" not in text:
        pairs = _PAIR.findall(match[2]) if match[2] else []
        parameters = {name.lower(): quoted or plain for name, quoted, plain in pairs}
        if len(parameters) == len(pairs) <= MAX_PARAMETERS:
            return ParameterisedValue(match[1].lower(), parameters)
    return parse_leniently(text)


def parse_leniently(text: str) -> ParameterisedValue:
    """Parse any value, unfolded or not; what is well-formed reads as by ``parse_parameterised``."""
    head, found = scan_value(text)
    gathered = _Gathered()
    for count, item in enumerate(found, 1):
        if count > MAX_PARAMETERS:
            gathered.defects.append("too many parameters")
            break
        gathered.add(item)
    return gathered.finish(head)


class _Gathered:
    """Parameters as they come: plain ones, and the pieces of RFC 2231."""

    def __init__(self) -> None:
        self.plain: dict[str, str] = {}
        self.pieces: dict[str, dict[int, tuple[str, bool]]] = {}
        self.order: dict[str, None] = {}
        self.boundaries: list[str] = []
        self.defects: list[str] = []

    def add(self, item: Found) -> None:
        match = _SECTION.match(item.name)
        if match is None:
            self.defects.append("bad parameter name")
            return
        base, section, extended = match.groups()
        self.order[base] = None
        if base == "boundary":
            self.boundaries += item.others
            if "=?" in item.value:  # security: some programs decode it all the same
                self.boundaries.append(decode_words(item.value))
            if _APOSTROPHES.match(item.value):  # security: to some programs these are quotes
                self.boundaries.append(item.value[1:-1])
        if section is None and not extended:
            if base not in self.plain:
                self.plain[base] = item.value
                return
            self.defects.append(f"duplicate parameter {base}")
            if base == "boundary":
                self.boundaries.append(item.value)
            return
        pieces = self.pieces.setdefault(base, {})
        number = int(section or 0)
        if number in pieces:
            self.defects.append(f"duplicate parameter {base}")
        elif number < MAX_SECTIONS:
            pieces[number] = item.value, bool(extended)
        else:
            self.defects.append("too many sections")

    def finish(self, head: str) -> ParameterisedValue:
        parameters: dict[str, str] = {}
        for name in self.order:
            if self.pieces.get(name):
                if name in self.plain:
                    self.defects.append(f"duplicate parameter {name}")
                    self.boundaries += [self.plain[name]] if name == "boundary" else []
                parameters[name] = self._join(name)
            elif name in self.plain:
                value = self.plain[name]
                # RFC 2047 section 5 allows no encoded word here; names of files have them anyway.
                parameters[name] = decode_words(value) if name in FILE_NAMES else value
        readings = dict.fromkeys(self.boundaries[:MAX_READINGS])
        readings.pop(parameters.get("boundary", ""), None)
        return ParameterisedValue(
            head, parameters, tuple(dict.fromkeys(self.defects)), tuple(readings)
        )

    def _join(self, name: str) -> str:
        """Put the pieces together (RFC 2231 section 4.1), in the order of their numbers.

        Security: some programs go on behind a missing piece, so the end of the name is kept.
        """
        pieces = self.pieces[name]
        numbers = sorted(pieces)
        if numbers[-1] - numbers[0] != len(numbers) - 1:
            self.defects.append(f"missing section of {name}")
        charset: str | None = None
        joined: list[bytes] = []
        for number in numbers:
            text, extended = pieces[number]
            if extended and number == numbers[0] and text.count("'") >= 2:
                charset, _, text = text.split("'", 2)
            joined.append(unquote_to_bytes(text) if extended else text.encode("utf-8", "replace"))
        value = decode_text(b"".join(joined), charset)
        return decode_words(value) if name in FILE_NAMES and charset is None else value


_TOKEN = re.compile(rf"{_ATOM}+\Z")
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
