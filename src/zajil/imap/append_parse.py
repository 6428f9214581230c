"""Read APPEND and REPLACE from literal to literal. (RFC 4466 section 6, RFC 4469, RFC 8508)"""

from __future__ import annotations

import re

from zajil.imap.append_command import (
    AppendCommand,
    AppendStep,
    LiteralPart,
    NewMessage,
    Replaced,
    UrlPart,
)
from zajil.imap.date_time import parse_date_time
from zajil.imap.flag import parse_flag_list
from zajil.imap.grammar import Scanner, bad
from zajil.imap.literal import Literal

_NAME = re.compile(rb"(?:APPEND|(?:UID )?REPLACE)(?: |\Z)", re.IGNORECASE)

# A bound for each piece: it is looked for in all that has come.
_PLAIN = re.compile(
    rb"[A-Za-z0-9.]{1,64} APPEND "
    rb'(?:[A-Za-z0-9./_-]{1,200}|"[^"\\\r\n%*]{1,200}") '
    rb"(?:\([A-Za-z\\$ ]{0,200}\) )?"
    rb'(?:"[ 0-9][0-9]-[A-Za-z]{3}-[0-9]{4} [0-9:]{8} [+-][0-9]{4}" )?'
    rb"\{([0-9]{1,5})\+\}\r\n",
    re.IGNORECASE,
)

MAX_STEPS = 1000
"""Messages and parts between two literals: protects memory."""


def has_whole_append(data: bytes, at: int) -> bool:
    """Return whether a command has come whole that looks like an APPEND of one small message.

    Args:
        data: what has come and was not parsed.
        at: where the command begins.
    """
    found = _PLAIN.match(data, at)
    if found is None:
        return False
    end = found.end() + int(found[1])
    return data[end : end + 2] == b"\r\n"


class AppendReader:
    """Reads one command, and remembers what is open at a literal.

    Each text is read whole, up to the literal at its end. Where that is no message, but the name of
    the mailbox or a URL, it belongs to the text: ``None`` is returned, and the text is to be given
    once more with the literal in it.
    """

    def __init__(self) -> None:
        self._is_replace = False
        self._has_message = False
        self._in_catenate = False
        self._in_utf8 = False  # "UTF8 (" was opened before the literal

    def read_head(self, scanner: Scanner, literal: Literal | None) -> AppendCommand | None:
        """Read the command from its name on.

        Args:
            scanner: at the name of the command.
            literal: what its end announces.

        Raises:
            BadSyntax: it is neither APPEND nor REPLACE, or wrong.
        """
        replaced = None
        if scanner.skip(b"UID REPLACE "):
            replaced = _parse_replaced(scanner, uid=True)
        elif scanner.skip(b"REPLACE "):
            replaced = _parse_replaced(scanner, uid=False)
        else:
            scanner.expect(b"APPEND ")
        if literal is not None and _is_at(scanner, literal):
            return None
        mailbox, given = scanner.mailbox_as_given()
        self._is_replace = replaced is not None
        steps = self.read_on(scanner, literal)
        return None if steps is None else AppendCommand(mailbox, replaced, steps, given)

    def read_on(self, scanner: Scanner, literal: Literal | None) -> tuple[AppendStep, ...] | None:
        """Read what follows the mailbox, or a literal that was a message or a part of one.

        Args:
            scanner: at the end of the mailbox, or at the beginning of the text.
            literal: what the end announces; ``None``: the command ends here.

        Raises:
            BadSyntax: it is wrong.
        """
        before = (self._has_message, self._in_catenate, self._in_utf8)
        steps: list[AppendStep] = []
        while True:
            if len(steps) > MAX_STEPS:
                raise bad("too many parts")
            if self._in_utf8:
                scanner.expect(b")")
                self._in_utf8 = False
            if self._in_catenate:
                if not steps or not isinstance(steps[-1], NewMessage):
                    if scanner.skip(b")"):
                        self._in_catenate = False
                        continue
                    scanner.space()
                part = self._read_part(scanner, literal)
                if part is None:
                    self._has_message, self._in_catenate, self._in_utf8 = before
                    return None
                steps.append(part)
            elif scanner.at_end() and self._has_message:
                return tuple(steps)
            else:
                if self._has_message and self._is_replace:
                    raise bad("one message expected")
                if scanner.at_end():
                    raise bad("message literal expected")
                scanner.space()
                steps.append(_parse_options(scanner))
                self._has_message = True
                if scanner.skip(b"CATENATE ("):
                    self._in_catenate = True
                else:
                    steps.append(self._read_literal(scanner, literal))
            if isinstance(steps[-1], LiteralPart):
                return tuple(steps)

    def _read_part(self, scanner: Scanner, literal: Literal | None) -> UrlPart | LiteralPart | None:
        """Read a part of CATENATE; ``None``: the literal belongs to a URL."""
        if scanner.skip(b"URL "):
            if literal is not None and _is_at(scanner, literal):
                return None
            return UrlPart(scanner.astring())
        if scanner.peek() not in (b"U", b"u"):
            scanner.expect(b"TEXT ")
        return self._read_literal(scanner, literal)

    def _read_literal(self, scanner: Scanner, literal: Literal | None) -> LiteralPart:
        # RFC 6855 section 4 has UTF8 around a literal8; RFC 9755 section 4 needs it no more.
        self._in_utf8 = scanner.skip(b"UTF8 (")
        if literal is None or not _is_at(scanner, literal):
            raise bad("message literal expected")
        if self._in_utf8 and not literal.binary:
            raise bad("literal8 expected")
        return LiteralPart(
            literal.size,
            binary=literal.binary and not self._in_utf8,
            waits=literal.waits,
            utf8=self._in_utf8,
        )


def begins_append(data: bytes, position: int) -> bool:
    """Return whether the command whose name begins here is APPEND or REPLACE."""
    return _NAME.match(data, position) is not None


def _is_at(scanner: Scanner, literal: Literal) -> bool:
    return len(scanner.data) - scanner.position == literal.length


def _parse_replaced(scanner: Scanner, *, uid: bool) -> Replaced:
    number = 0
    if not scanner.skip(b"*"):
        number = scanner.number()
        if number == 0:
            raise bad("no message has the number 0")
    scanner.space()
    return Replaced(number, uid)


def _parse_options(scanner: Scanner) -> NewMessage:
    flags: frozenset[str] = frozenset()
    received_at_ms = None
    if scanner.peek() == b"(":
        flags = parse_flag_list(scanner)
        scanner.space()
    if scanner.peek() == b'"':
        received_at_ms = parse_date_time(scanner)
        scanner.space()
    return NewMessage(flags, received_at_ms)
