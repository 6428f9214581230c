"""What we send: completions, response codes, strings. (RFC 3501 section 7)

Law: every text that came from outside is written by ``string``, ``nstring`` or ``mailbox`` here,
quoted or as a literal, so that no mail and no mailbox name can write a response of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from zajil.core.value_class import value_class
from zajil.imap.mailbox_name import encode_name

CRLF = b"\r\n"

# TEXT-CHAR is any 7-bit character but CR and LF; a response code may not hold "]".
_TEXT = re.compile(r"[\x20-\x7e]+\Z")
_CODE = re.compile(r"[\x20-\x5c\x5e-\x7e]+\Z")
_QUOTABLE = re.compile(rb"[\x20-\x7e]{0,1024}\Z")
_QUOTABLE_UTF8 = re.compile(rb"[\x20-\x7e\x80-\xff]{0,1024}\Z")


@value_class(frozen=True, slots=True)
class Completion:
    """How a command ended: the tagged line."""

    status: Literal["OK", "NO", "BAD"]
    text: str
    """For people; 7-bit, one line."""
    code: str | None = None
    """Response code without brackets: ``TRYCREATE``, ``APPENDUID 1 7``."""

    def to_bytes(self, tag: bytes) -> bytes:
        """Write the line, with its CRLF."""
        return tag + b" " + status_text(self.status, self.text, self.code)


def status_text(status: str, text: str, code: str | None = None) -> bytes:
    """Write ``OK [CODE] text`` and CRLF.

    Raises:
        ValueError: a character that would end the line or the code.
    """
    if not _TEXT.match(text) or (code is not None and not _CODE.match(code)):
        raise ValueError("a response is one line of 7-bit text")
    between = f" [{code}] " if code else " "
    return f"{status}{between}{text}\r\n".encode("ascii")


def untagged_status(status: str, text: str, code: str | None = None) -> bytes:
    """Write ``* OK [CODE] text``."""
    return b"* " + status_text(status, text, code)


def untagged(*words: bytes) -> bytes:
    """Write ``* word word`` and CRLF; the words are already in their wire form."""
    return b"* " + b" ".join(words) + CRLF


def string(value: bytes, *, utf8: bool = False) -> bytes:
    """Write a string: quoted where that is short and 7-bit, else a literal.

    Args:
        value: any bytes.
        utf8: it is UTF-8, and the client takes UTF-8 in quoted strings (RFC 9755 section 3).
    """
    if (_QUOTABLE_UTF8 if utf8 else _QUOTABLE).match(value):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    # NUL may not stand in a literal (RFC 3501 section 9, CHAR8).
    value = value.replace(b"\x00", b"?")
    return literal_head(len(value)) + value


def string8(value: bytes) -> bytes:
    """Write a string, or a literal8 where it holds NUL. (RFC 5464 section 5, ``value``)"""
    return b"~" + literal_head(len(value)) + value if b"\x00" in value else string(value)


def literal_head(size: int) -> bytes:
    """Write what announces a literal of ``size`` bytes; exactly so many must follow."""
    return b"{%d}\r\n" % size


def nstring(value: bytes | None) -> bytes:
    """Write a string or NIL."""
    return b"NIL" if value is None else string(value)


def mailbox(name: str, *, utf8: bool = False) -> bytes:
    """Write a mailbox name, in modified UTF-7 or in UTF-8; always quoted."""
    return string(encode_name(name, utf8=utf8), utf8=utf8)


def parenthesized(words: Iterable[bytes]) -> bytes:
    """Write a list of what is already in its wire form."""
    return b"(" + b" ".join(words) + b")"


def flag_list(flags: Iterable[str]) -> bytes:
    """Write a list of flags; they are atoms since they were parsed or stored."""
    return b"(" + " ".join(flags).encode("ascii", "replace") + b")"
