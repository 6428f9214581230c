"""Authentication-Results: what we found out, for those who read the mail later (RFC 8601).

Security: a field that bears our own name and did not come from us is a lie; ``is_forged`` finds it,
whatever case or comment it hides in (RFC 8601 section 5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FIELD_NAME = b"authentication-results"

_COMMENT_OR_SPACE = re.compile(rb"\s|\((?:[^()\\]|\\.)*\)")
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^\s;()"]+)')
_SAFE_VALUE = re.compile(r"[A-Za-z0-9!#$&'*+.^_`{|}~@/:\x2d\u00a0-\U0010ffff]+\Z")


@dataclass(frozen=True, slots=True)
class Result:
    """One method and what it found."""

    method: str
    """``spf``, ``dkim``, ``dmarc``, ``arc``, ``auth``, ``iprev``."""
    result: str
    """A word of RFC 8601 section 2.7 for this method."""
    properties: tuple[tuple[str, str], ...] = ()
    """``("smtp.mailfrom", "a@example.org")`` ..., in order."""


def is_forged(value: bytes, authserv_id: str) -> bool:
    """Whether a field that a peer sent claims to be ours.

    Args:
        value: of the field, still folded.
        authserv_id: our own name.
    """
    at = 0
    while match := _COMMENT_OR_SPACE.match(value, at):
        at = match.end()
    token = _TOKEN.match(value, at)
    if token is None:
        return False
    name = (token[1] or token[2] or b"").decode("utf-8", "replace")
    return name.rstrip(".").casefold() == authserv_id.casefold()


def write_field(authserv_id: str, results: Sequence[Result]) -> bytes:
    """Write the field, folded, with its CRLF; no results is ``none`` (RFC 8601 section 2.2)."""
    if not results:
        return f"Authentication-Results: {authserv_id}; none\r\n".encode()
    lines = [f"Authentication-Results: {authserv_id}"]
    for result in results:
        properties = "".join(f" {name}={_quote(value)}" for name, value in result.properties)
        lines.append(f"\t{result.method}={result.result}{properties}")
    return (";\r\n".join(lines) + "\r\n").encode()


def _quote(value: str) -> str:
    if _SAFE_VALUE.match(value):
        return value
    # Security: a value is the peer's; neither a line end nor a quote of its may get through.
    printable = "".join(char if char.isprintable() else "?" for char in value)
    escaped = printable.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
