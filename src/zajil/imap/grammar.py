"""A cursor over one command, with the words of the grammar. (RFC 3501 section 9)

A command comes as one ``bytes``: its lines and literals in the order of the wire, without the final
CRLF. The engine cut it at literals it saw, so a CRLF outside a literal stands only behind ``{n}``.
"""

from __future__ import annotations

import re
from unicodedata import is_normalized

from zajil.core.errors import Malformed
from zajil.imap.mailbox_name import BadMailboxName, decode_name
from zajil.imap.response import Completion


class BadSyntax(Malformed):
    """The client sent a command we refuse; ``completion`` is what it must be told."""

    def __init__(self, completion: Completion) -> None:
        super().__init__(completion.text)
        self.completion = completion


def bad(text: str) -> BadSyntax:
    """Make the error for a command that breaks the grammar."""
    return BadSyntax(Completion("BAD", text))


# atom = 1*ATOM-CHAR; ATOM-CHAR is any CHAR except ( ) { SP CTL % * " \ ]
_ATOM = re.compile(rb'[^(){ \x00-\x1f\x7f-\xff%*"\\\]]+')
# astring = 1*ASTRING-CHAR / string; ASTRING-CHAR is ATOM-CHAR or ]
_ASTRING_ATOM = re.compile(rb'[^(){ \x00-\x1f\x7f-\xff%*"\\]+')
# list-mailbox = 1*list-char / string; list-char adds the wildcards
_LIST_ATOM = re.compile(rb'[^(){ \x00-\x1f\x7f-\xff"\\]+')
# Deviation: RFC 3501 section 9 allows 7-bit characters only in a quoted string. Phones send UTF-8
# passwords and search terms so (2026-11-23), and refusing it gains nothing. Never CR, LF, NUL.
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_ESCAPED = re.compile(rb"\\(.)")
_NUMBER = re.compile(rb"[0-9]{1,20}(?![0-9])")
_LITERAL = re.compile(rb"\{([0-9]{1,10})\+?\}\r\n")
_FLAG = re.compile(rb'\\?[^(){ \x00-\x1f\x7f-\xff%*"\\\]]+')


class Scanner:
    """Reads one command from left to right; each method takes what it names or raises."""

    def __init__(self, data: bytes, position: int = 0, *, utf8: bool = False) -> None:
        self.data = data
        self.position = position
        self.utf8 = utf8
        """Mailbox names are in UTF-8 (``feature.UTF8_FEATURES``)."""

    def match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        """Take what the pattern matches here.

        Raises:
            CommandError: BAD, with ``what`` was wanted.
        """
        found = pattern.match(self.data, self.position)
        if found is None:
            raise bad(f"{what} expected")
        self.position = found.end()
        return found

    def skip(self, text: bytes) -> bool:
        """Take exactly ``text`` if it stands here, in any case; say whether it did."""
        end = self.position + len(text)
        if self.data[self.position : end].upper() != text:
            return False
        self.position = end
        return True

    def expect(self, text: bytes) -> None:
        """Take exactly ``text``, or refuse the command."""
        if not self.skip(text):
            raise bad(f"{text.decode('ascii')!r} expected")

    def space(self) -> None:
        """Take one space."""
        if not self.skip(b" "):
            raise bad("space expected")

    def end(self) -> None:
        """Refuse the command if anything is left."""
        if self.position != len(self.data):
            raise bad("unexpected text at the end of the command")

    def at_end(self) -> bool:
        """Return whether nothing is left."""
        return self.position >= len(self.data)

    def peek(self) -> bytes:
        """Look at the next byte; ``b""`` at the end."""
        return self.data[self.position : self.position + 1]

    def atom(self) -> str:
        """Take an atom."""
        return self.match(_ATOM, "atom")[0].decode("ascii")

    def keyword(self) -> str:
        """Take an atom whose case does not matter; give it in upper case."""
        return self.atom().upper()

    def flag(self) -> str:
        """Take a flag: a keyword or a system flag with its backslash."""
        return self.match(_FLAG, "flag")[0].decode("ascii")

    def number(self) -> int:
        """Take a number that fits 32 bits. (RFC 3501 section 9, ``number``)"""
        value = int(self.match(_NUMBER, "number")[0])
        if value >= 1 << 32:
            raise bad("number too large")
        return value

    def number64(self) -> int:
        """Take a number of 63 bits. (RFC 9051 section 9, ``number64``)"""
        value = int(self.match(_NUMBER, "number")[0])
        if value >= 1 << 63:
            raise bad("number too large")
        return value

    def modseq(self) -> int:
        """Take a mod-sequence: 63 bits, 0 as well. (RFC 7162 section 7, ``mod-sequence-valzer``)"""
        value = int(self.match(_NUMBER, "mod-sequence")[0])
        if value >= 1 << 63:
            raise bad("mod-sequence too large")
        return value

    def string_bytes(self) -> bytes:
        """Take a quoted string or a literal."""
        if self.peek() == b"{":
            value = self._literal()
            # Security: CVE-2019-11500, a NUL in a string. No string of a command may have one.
            if b"\x00" in value:
                raise bad("bad literal")
            return value
        value = self.match(_QUOTED, "string")[1]
        if self.utf8 and not value.isascii():
            _text(value)  # RFC 9755 section 3: what is no UTF-8 is BAD
        return _ESCAPED.sub(rb"\1", value) if b"\\" in value else value

    def _literal(self) -> bytes:
        size = int(self.match(_LITERAL, "literal")[1])
        value = self.data[self.position : self.position + size]
        self.position += size
        if len(value) != size:
            raise bad("bad literal")
        return value

    def any_bytes(self) -> bytes:
        """Take a string, or a literal8, which may hold NUL. (RFC 4466 section 6)"""
        return self._literal() if self.skip(b"~") else self.string_bytes()

    def string(self) -> str:
        """Take a string that is text: UTF-8, of which US-ASCII is a part."""
        return _text(self.string_bytes())

    def nstring(self) -> str | None:
        """Take a string or NIL."""
        if self.peek() in (b'"', b"{"):
            return self.string()
        self.expect(b"NIL")
        return None

    def astring_bytes(self) -> bytes:
        """Take an atom, which here may hold ``]``, or a string."""
        if self.peek() in (b'"', b"{"):
            return self.string_bytes()
        return self.match(_ASTRING_ATOM, "string")[0]

    def astring(self) -> str:
        """Take an atom or a string, as text."""
        return _text(self.astring_bytes())

    def mailbox(self) -> str:
        """Take a mailbox name and decode it. (RFC 3501 section 5.1.3)

        Raises:
            CommandError: NO for a name that no mailbox can have.
        """
        return self.mailbox_as_given()[0]

    def mailbox_as_given(self) -> tuple[str, str]:
        """Do the same; also return how the client wrote it, if that is not in NFC.

        Raises:
            CommandError: NO for a name that no mailbox can have.
        """
        raw = self.astring_bytes()
        try:
            name = decode_name(raw, utf8=self.utf8)
        except BadMailboxName as error:
            raise BadSyntax(Completion("NO", str(error), code="CANNOT")) from None
        given = raw.decode("utf-8", "replace") if self.utf8 else ""
        return name, "" if is_normalized("NFC", given) else given

    def list_pattern(self) -> bytes:
        """Take a pattern of LIST, as it stands on the wire."""
        if self.peek() in (b'"', b"{"):
            return self.string_bytes()
        return self.match(_LIST_ATOM, "pattern")[0]


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise bad("string is not UTF-8") from None
