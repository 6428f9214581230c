"""What a server answers. (RFC 1939 section 3, RFC 2449 section 8)"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable

from zajil.core.value_class import value_class
from zajil.pop3.texts import DEFAULT_LANGUAGE, Text

CRLF = b"\r\n"
END = b".\r\n"
"""The last line of a response with several lines."""


@value_class(frozen=True, slots=True)
class StatusLine:
    """A status line."""

    ok: bool
    text: Text
    code: str = ""
    """A response code, without brackets: ``IN-USE`` (RFC 2449 section 8), ``AUTH`` (RFC 3206)."""
    start: str = ""
    """What stands before the text: a number, a language tag."""

    def to_bytes(self, language: str = DEFAULT_LANGUAGE) -> bytes:
        """Return the line with its CRLF."""
        words = ["+OK" if self.ok else "-ERR"]
        words += [f"[{self.code}]"] if self.code else []
        words += [self.start] if self.start else []
        return " ".join([*words, self.text.in_language(language)]).encode("utf-8") + CRLF


@value_class(frozen=True, slots=True)
class AnswerLines:
    """The rest of an answer whose status line is in it, or was sent before."""

    data: bytes


@value_class(frozen=True, slots=True)
class Continuation:
    """A challenge of SASL. (RFC 5034 section 4)"""

    challenge: bytes

    def to_bytes(self) -> bytes:
        """Return the line with its CRLF."""
        return b"+ " + b64encode(self.challenge) + CRLF


Answer = StatusLine | AnswerLines | Continuation


def error(text: Text, code: str = "") -> StatusLine:
    """Return ``-ERR``."""
    return StatusLine(False, text, code)


def lines(words: Iterable[str]) -> bytes:
    """Return lines, none of which begins with a dot, and the end of them."""
    return b"".join([word.encode("utf-8") + CRLF for word in words]) + END
