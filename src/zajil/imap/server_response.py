"""Responses of another server: what a client of ours reads. (RFC 3501 section 7, RFC 9051) Pure.

A response comes as one ``bytes``: its lines and literals in the order of the wire. What it says is
read generously, for servers differ; nothing in it is believed that could make us wait or grow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

from zajil.core.errors import Malformed
from zajil.core.value_class import value_class

MAX_DEPTH = 16
"""Lists within lists; responses to our commands have three."""

Value: TypeAlias = "bytes | list[Value] | None"
"""A string or an atom; a list in parentheses; NIL."""


class BadServerResponse(Malformed):
    """A server wrote what is no response of IMAP."""


@value_class(frozen=True, slots=True)
class ServerStatus:
    """``OK``, ``NO``, ``BAD``, ``BYE`` or ``PREAUTH``, with its code and text."""

    word: str
    code: str
    """Without brackets; ``""``: there is none."""
    text: str


@value_class(frozen=True, slots=True)
class Listed:
    """One mailbox of LIST or LSUB."""

    attributes: frozenset[str]
    """Lower case, with backslash."""
    delimiter: str
    """``""``: there are no levels."""
    name: bytes
    """As the server writes it."""


_ATOM = re.compile(rb'(?:[^()\s"\[{]|\[[^\]]{0,1000}\])+')
_QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\.)*)"')
_ESCAPED = re.compile(rb"\\(.)")
_LITERAL = re.compile(rb"~?\{([0-9]{1,15})\+?\}\r?\n")
_SPACE = re.compile(rb"[ \t\r\n]+")
_STATUS = re.compile(
    rb"(OK|NO|BAD|BYE|PREAUTH)(?: +\[([^\]]{0,2000})\])? ?(.*)", re.DOTALL | re.IGNORECASE
)
_MAX_TEXT = 500


def read_status(data: bytes) -> ServerStatus | None:
    """Read what stands behind a tag or the ``*``; ``None``: it is no status."""
    found = _STATUS.match(data)
    if found is None:
        return None
    word, code, text = (
        (part or b"").decode("utf-8", "replace").strip()[:_MAX_TEXT] for part in found.groups()
    )
    return ServerStatus(word.upper(), code, text)


def read_values(data: bytes) -> list[Value]:
    """Read all values of a response, behind the ``*``.

    Raises:
        BadServerResponse: a list or a string is not closed, or lists are too deep.
    """
    top: list[Value] = []
    open_lists, at = [top], 0
    while at < len(data):
        if found := _SPACE.match(data, at):
            at = found.end()
        elif data[at] == 0x28:
            if len(open_lists) > MAX_DEPTH:
                raise BadServerResponse("too many lists within lists")
            inner: list[Value] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
            at += 1
        elif data[at] == 0x29:
            if len(open_lists) == 1:
                raise BadServerResponse("a list is closed that was not opened")
            open_lists.pop()
            at += 1
        elif found := _QUOTED.match(data, at):
            open_lists[-1].append(_ESCAPED.sub(rb"\1", found[1]))
            at = found.end()
        elif found := _LITERAL.match(data, at):
            at = found.end() + int(found[1])
            if at > len(data):
                raise BadServerResponse("a literal is too short")
            open_lists[-1].append(data[found.end() : at])
        elif found := _ATOM.match(data, at):
            open_lists[-1].append(None if found[0].upper() == b"NIL" else found[0])
            at = found.end()
        else:
            raise BadServerResponse("neither an atom nor a string")
    if len(open_lists) > 1:
        raise BadServerResponse("a list is not closed")
    return top


def read_listed(values: Sequence[Value]) -> Listed | None:
    """Return the mailbox of a LIST or LSUB response; ``None``: it is none."""
    match values:
        case [bytes() as word, list() as attributes, delimiter, bytes() as name, *_] if (
            word.upper() in (b"LIST", b"LSUB")
        ):
            words = [one for one in attributes if isinstance(one, bytes)]
            return Listed(
                frozenset(one.decode("ascii", "replace").lower() for one in words),
                delimiter.decode("latin-1")[:1] if isinstance(delimiter, bytes) else "",
                name,
            )
    return None


def read_fetched(values: Sequence[Value]) -> dict[bytes, Value] | None:
    """Return the items of a FETCH response by their names in capitals; ``None``: it is none."""
    match values:
        case [bytes(), bytes() as word, list() as items] if word.upper() == b"FETCH":
            pairs = zip(items[::2], items[1::2], strict=False)
            return {name.upper(): value for name, value in pairs if isinstance(name, bytes)}
    return None


def read_number(value: Value) -> int | None:
    """Return a number of at most 64 bits; ``None``: it is none."""
    if isinstance(value, bytes) and value.isdigit() and len(value) <= 20:
        return int(value)
    return None


def read_words(value: Value) -> list[str]:
    """Return the atoms of a list, such as flags."""
    if not isinstance(value, list):
        return []
    return [one.decode("utf-8", "replace") for one in value if isinstance(one, bytes)]
