"""Literals and the limits of what a client may send. (RFC 3501 section 4.3, RFC 7888)"""

from __future__ import annotations

import re

from zajil.core.value_class import value_class

_ANNOUNCED = re.compile(rb"\{([0-9]+)(\+?)\}")
_MAX_DIGITS = 19
HUGE = 1 << 63
"""The size of every literal that has more bytes than any number here."""


@value_class(frozen=True, slots=True)
class Literal:
    """What ``{310}``, ``{310+}`` or ``~{310}`` at the end of a line announces."""

    size: int
    waits: bool
    """The client waits for our ``+`` (no LITERAL+)."""
    binary: bool
    """It is a literal8 (RFC 3516 section 6)."""
    length: int
    """Bytes of the announcement itself."""


def find_literal(line: bytes) -> Literal | None:
    """Return the literal that the end of a line announces."""
    if not line.endswith(b"}"):
        return None
    start = line.rfind(b"{")
    found = _ANNOUNCED.fullmatch(line, max(start, 0))
    if found is None:
        return None
    digits = found[1].lstrip(b"0")
    size = int(digits or b"0") if len(digits) < _MAX_DIGITS else HUGE
    binary = start > 0 and line[start - 1 : start] == b"~"
    return Literal(size, not found[2], binary, len(line) - start + binary)


@value_class(frozen=True, slots=True)
class Limits:
    """What one command may cost us before it is parsed."""

    max_message: int
    """Largest literal of APPEND; it is never kept in the engine."""
    max_command: int = 1 << 20
    """All lines and literals of one command once logged in: a long set of UIDs fits."""
    max_command_before_login: int = 65536
    """All lines and literals of a stranger's command. The largest is ID: 30 fields, a name of 30
    and a value of 1,024 octets each (RFC 2971 section 3.3), every octet behind a backslash."""
    max_skipped: int = 1 << 30
    """A refused literal that comes all the same is read up to this size, to keep the connection
    (RFC 7888 section 4); a larger one ends it."""
    max_errors: int = 50
    """Refused commands before the connection is closed; one that succeeds starts the count anew."""
    max_errors_before_login: int = 25
    """In all, whatever succeeds between them."""
