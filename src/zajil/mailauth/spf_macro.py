"""Macros of SPF: ``%{ir}.%{v}._spf.%{d2}`` (RFC 7208 section 7).

Parsing and expanding are apart: a record is parsed once and kept, and expanded for each mail.

Laws:
- Parsing is linear and raises ``BadMacro`` only; expanding never raises.
- What comes out is cut to the length of a domain name: a macro cannot make a name grow without end
  (CVE-2021-33912, CVE-2021-33913 were such).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

from zajil.core.errors import Malformed
from zajil.core.value_class import value_class

MAX_NAME = 253
"""Characters of a domain name (RFC 7208 section 7.3)."""

_PIECE = re.compile(
    r"%\{([slodipvhcrtSLODIPVHCRT])([0-9]*)([rR]?)([.\-+,/_=]*)\}|%([%_\-])|([!-$&-~ ]+)"
)
_TOP_LABEL = re.compile(
    r"\.(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])\.?\Z"
)
_ESCAPED = {"%": "%", "_": " ", "-": "%20"}
_ONLY_EXPLAINING = "crt"
_UNRESERVED = "-._~"


class BadMacro(Malformed, ValueError):
    """The text is no macro string."""


@value_class(frozen=True, slots=True)
class Macro:
    """One ``%{...}``."""

    letter: str
    """Lower case."""
    count: int
    """Parts to keep, from the right; 0: all."""
    reverse: bool
    delimiters: str
    escape: bool
    """Written in upper case: URL-escaped (RFC 7208 section 7.3)."""


@value_class(frozen=True, slots=True)
class MacroString:
    """A parsed string: literals and macros, in order."""

    pieces: tuple[str | Macro, ...]
    letters: frozenset[str]
    """Macros in it."""


def parse_macro_string(text: str, *, explains: bool = False, spaces: bool = False) -> MacroString:
    """Parse a string with macros.

    Args:
        text: as it stands in the record.
        explains: it is the text of an explanation, where ``c``, ``r`` and ``t`` are known too.
        spaces: it may hold spaces.

    Raises:
        BadMacro: it does not follow the grammar.
    """
    pieces: list[str | Macro] = []
    at = 0
    while at < len(text):
        match = _PIECE.match(text, at)
        if match is None:
            raise BadMacro(f"{text[at : at + 12]!r} contains characters that are not allowed")
        letter, digits, reverse, delimiters, escaped, literal = match.groups()
        if letter:
            pieces.append(_read_macro(letter, digits, reverse, delimiters, explains=explains))
        elif escaped:
            pieces.append(_ESCAPED[escaped])
        elif " " in literal and not spaces:
            raise BadMacro("a space")
        else:
            pieces.append(literal)
        at = match.end()
    letters = frozenset(piece.letter for piece in pieces if isinstance(piece, Macro))
    return MacroString(tuple(pieces), letters)


def parse_domain_spec(text: str) -> MacroString:
    """Parse a macro string that must end like a domain: in a top label or in a macro.

    Raises:
        BadMacro: it does not.
    """
    parsed = parse_macro_string(text)
    ends_in_macro = text.endswith(("}", "%%", "%_", "%-"))
    if not text or not (ends_in_macro or _TOP_LABEL.search(text)):
        raise BadMacro(f"{text[:80]!r} does not end with a domain label")
    return parsed


def _read_macro(
    letter: str, digits: str, reverse: str, delimiters: str, *, explains: bool
) -> Macro:
    lower = letter.lower()
    if lower in _ONLY_EXPLAINING and not explains:
        raise BadMacro(f"the macro {lower} is allowed in explanations only")
    # 128 parts are more than any name has; RFC 7208 section 7.1 asks for that much at least.
    count = min(int(digits[:4]), 128) if digits else 0
    if digits and not count:
        raise BadMacro("a macro must keep at least one label")
    return Macro(lower, count, bool(reverse), delimiters or ".", letter.isupper())


def expand(string: MacroString, values: Mapping[str, str]) -> str:
    """Put the values in; a letter without a value gives nothing."""
    return "".join(
        [piece if isinstance(piece, str) else _transform(piece, values) for piece in string.pieces]
    )


def _transform(macro: Macro, values: Mapping[str, str]) -> str:
    value = values.get(macro.letter, "")
    if macro.count or macro.reverse or macro.delimiters != ".":
        parts = re.split(f"[{re.escape(macro.delimiters)}]", value)
        if macro.reverse:
            parts.reverse()
        if macro.count:
            parts = parts[-macro.count :]
        value = ".".join(parts)
    return quote(value, safe=_UNRESERVED) if macro.escape else value


def cut_name(name: str) -> str:
    """Take labels off the left until a name is as long as a name may be (RFC 7208 section 7.3)."""
    if len(name) <= MAX_NAME:
        return name
    # One step, not one for each label: a record of 8 KB can make a name of a megabyte.
    return name[-MAX_NAME - 1 :].partition(".")[2] or name


def dotted(ip: IPv4Address | IPv6Address) -> str:
    """Return an address as the macro ``i`` has it: IPv6 as nibbles with dots between them."""
    if isinstance(ip, IPv4Address):
        return str(ip)
    return ".".join(f"{int(ip):032X}")
