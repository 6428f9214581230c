"""Reads responses as strictly as the grammar is: what a client would stumble at is a fault."""

from __future__ import annotations

import re

Value = None | int | bytes | list["Value"]
"""NIL, a number, a string or an atom, a list in parentheses."""

_STRING = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_LITERAL = re.compile(rb"~?\{(\d+)\}\r\n")
_SECTION = re.compile(rb"(?:BODY|BINARY|BINARY\.SIZE)\[[^\]\r\n]*\](?:<\d+>)?")
_ATOM = re.compile(rb'[^\x00-\x20(){"\x7f-\xff]+')


class Malformed(Exception):
    """What no client can read."""


def read_fetch(response: bytes, *, utf8: bool = False) -> dict[bytes, Value]:
    """Return the items of a FETCH response by their names.

    Args:
        response: one whole response, its literals inside.
        utf8: UTF-8 is allowed in quoted strings.

    Raises:
        Malformed: it does not follow RFC 3501 section 9.
    """
    values = _Reader(response, utf8=utf8).all()
    if len(values) != 4 or values[2] != b"FETCH" or not isinstance(values[3], list):
        raise Malformed(response[:200])
    items = values[3]
    if len(items) % 2:
        raise Malformed(response[:200])
    return {
        name: value
        for name, value in zip(items[::2], items[1::2], strict=True)
        if isinstance(name, bytes)
    }


class _Reader:
    def __init__(self, data: bytes, *, utf8: bool) -> None:
        self._data, self._at, self._utf8 = data, 0, utf8

    def all(self) -> list[Value]:
        """Read to the end. A list within a list is read without recursion."""
        open_lists: list[list[Value]] = [[]]
        while self._at < len(self._data):
            char = self._data[self._at : self._at + 1]
            if char == b")":
                if len(open_lists) == 1:
                    raise self._fault("nothing is open")
                self._at += 1
                done = open_lists.pop()
                open_lists[-1].append(done)
                continue
            if open_lists[-1]:
                if char == b" ":
                    self._at += 1
                    char = self._data[self._at : self._at + 1]
                elif not (char == b"(" and isinstance(open_lists[-1][-1], list)):
                    raise self._fault("a space is missing")
            if char == b"(":
                self._at += 1
                open_lists.append([])
            else:
                open_lists[-1].append(self._value())
        if len(open_lists) != 1:
            raise self._fault("a list is open")
        return open_lists[0]

    def _value(self) -> Value:
        data = self._data
        if match := _STRING.match(data, self._at):
            self._at = match.end()
            if not match[1].isascii() and not self._utf8:
                raise self._fault("8-bit in a quoted string")
            return re.sub(rb"\\(.)", rb"\1", match[1])
        if match := _LITERAL.match(data, self._at):
            self._at = match.end() + int(match[1])
            literal = data[match.end() : self._at]
            if len(literal) != int(match[1]) or (b"\0" in literal and match[0][:1] != b"~"):
                raise self._fault("bad literal")
            return literal
        match = _SECTION.match(data, self._at) or _ATOM.match(data, self._at)
        if match is None:
            raise self._fault("no value")
        self._at = match.end()
        if match[0] == b"NIL":
            return None
        return int(match[0]) if match[0].isdigit() else match[0]

    def _fault(self, text: str) -> Malformed:
        return Malformed(text, self._data[max(0, self._at - 80) : self._at + 40])
