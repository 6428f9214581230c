"""Authentication-Results: what we found out, for those who read the mail later (RFC 8601).

Security: a field that bears our own name and did not come from us is a lie; ``is_forged`` finds it,
whatever case or comment it hides in (RFC 8601 section 5).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from zajil.core.domain import BadDomain, to_ascii
from zajil.core.value_class import value_class
from zajil.message.encoded_word import decode_words

FIELD_NAME = b"authentication-results"

_READ = 2000
"""Bytes of a field in which a name is looked for."""
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+"
)
_NO_NAME = re.compile(r"[^\w.-]+")
_MOST_PIECES = 4
"""Pieces of one name."""
_LONG = 900
_SPACE = re.compile(rb"\s*+")
_IN_COMMENT = re.compile(rb"(?:[^()\\]|\\.)*+([()])?", re.DOTALL)
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*+)"|([^\s;()"]++)', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_SAFE_VALUE = re.compile(r"[A-Za-z0-9!#$&'*+.^_`{|}~@/:\x2d\u00a0-\U0010ffff]+\Z")


@value_class(frozen=True, slots=True)
class MethodResult:
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

    The name by the grammar is compared, and what a reader may see who does not know the grammar:
    encoded words, characters that show nothing, a version after a slash, a second name, a name in
    a comment or on two lines.

    Args:
        value: of the field, still folded.
        authserv_id: our own name.
    """
    token = _TOKEN.match(value, _skip_comments(value))
    if token is None:
        return True
    name = (_ESCAPE.sub(rb"\1", token[1] or b"") or token[2] or b"").decode("utf-8", "replace")
    ours = _spelled_once(authserv_id)
    return _spelled_once(name) == ours or _seems_to_name(value[:_READ].partition(b";")[0], ours)


def _seems_to_name(head: bytes, ours: str) -> bool:
    """Whether a name stands anywhere in what is before the first semicolon."""
    # With the mark of UTF-16 in front, all of it would be read as UTF-16.
    head = head.translate(None, b"\xff\xfe")
    text = unicodedata.normalize("NFKC", decode_words(head)).replace("\\", "")
    folded = _INVISIBLE.sub("", text.replace("\u3002", "."))
    words = [word for word in _NO_NAME.split(folded) if word]
    # A fold or a quote may stand within a name.
    return any(
        [
            _spelled_once("".join(words[at : at + count])) == ours
            for count in range(1, _MOST_PIECES + 1)
            for at in range(len(words) - count + 1)
        ]
    )


def _skip_comments(value: bytes) -> int:
    """Return the offset of the first word; comments nest (RFC 5322 section 3.2.2)."""
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
    """Return one spelling of a host name: any case, U-labels or A-labels, without final dot."""
    try:
        return to_ascii(name)
    except BadDomain:
        return name.rstrip(".").casefold()


def write_field(authserv_id: str, results: Sequence[MethodResult]) -> bytes:
    """Write the field, folded, with its CRLF; no results is ``none`` (RFC 8601 section 2.2)."""
    if not results:
        return f"Authentication-Results: {authserv_id}; none\r\n".encode()
    lines = [f"Authentication-Results: {authserv_id}"]
    for result in results:
        words = [f"\t{result.method}={result.result}"]
        if result.reason:
            words.append(f"reason={_quote(result.reason)}")
        words += [f"{name}={_quote(value)}" for name, value in result.properties]
        # A line has 998 octets (RFC 5322 section 2.1.1); a value may have half of them.
        is_long = sum([len(word.encode()) + 1 for word in words]) > _LONG
        lines.append(("\r\n\t\t" if is_long else " ").join(words))
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
