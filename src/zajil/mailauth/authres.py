"""Authentication-Results: what we found out, for those who read the mail later (RFC 8601).

Security: a field that bears our own name and did not come from us is a lie; ``is_forged`` finds it,
whatever case or comment it hides in (RFC 8601 section 5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from zajil.core.domain import BadDomain, to_ascii

FIELD_NAME = b"authentication-results"

_SPACE = re.compile(rb"\s*+")
_IN_COMMENT = re.compile(rb"(?:[^()\\]|\\.)*+([()])?", re.DOTALL)
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*+)"|([^\s;()"]++)', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
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
    reason: str = ""
    """A sentence, where it is not simply well."""


def is_forged(value: bytes, authserv_id: str) -> bool:
    """Whether a field that a peer sent claims to be ours, or hides whose it is.

    Args:
        value: of the field, still folded.
        authserv_id: our own name.
    """
    token = _TOKEN.match(value, _skip_comments(value))
    if token is None:
        return True
    name = (_ESCAPE.sub(rb"\1", token[1] or b"") or token[2] or b"").decode("utf-8", "replace")
    return _spelled_once(name) == _spelled_once(authserv_id)


def _skip_comments(value: bytes) -> int:
    """Give the offset of the first word; comments nest (RFC 5322 section 3.2.2)."""
    at = _end(_SPACE, value, 0)
    while value[at : at + 1] == b"(":
        at, depth = at + 1, 1
        while depth and (match := _IN_COMMENT.match(value, at)):
            at = match.end()
            if match[1] is None:
                return len(value)
            depth += 1 if match[1] == b"(" else -1
        at = _end(_SPACE, value, at)
    return at


def _end(pattern: re.Pattern[bytes], value: bytes, at: int) -> int:
    match = pattern.match(value, at)
    return match.end() if match else at


def _spelled_once(name: str) -> str:
    """Give one spelling of a host name: any case, U-labels or A-labels, with a final dot or not."""
    try:
        return to_ascii(name)
    except BadDomain:
        return name.rstrip(".").casefold()


def write_field(authserv_id: str, results: Sequence[Result]) -> bytes:
    """Write the field, folded, with its CRLF; no results is ``none`` (RFC 8601 section 2.2)."""
    if not results:
        return f"Authentication-Results: {authserv_id}; none\r\n".encode()
    lines = [f"Authentication-Results: {authserv_id}"]
    for result in results:
        properties = "".join(f" {name}={_quote(value)}" for name, value in result.properties)
        reason = f" reason={_quote(result.reason)}" if result.reason else ""
        lines.append(f"\t{result.method}={result.result}{reason}{properties}")
    return (";\r\n".join(lines) + "\r\n").encode()


def is_value(text: str) -> bool:
    """Whether a text may stand in the field without quotes, as our name does."""
    return _SAFE_VALUE.match(text) is not None and text.isprintable()


def _quote(value: str) -> str:
    if is_value(value):
        return value
    # Security: a value is the peer's; no line end, quote or direction mark of its may get through.
    printable = "".join(char if char.isprintable() else "?" for char in value)
    escaped = printable.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
