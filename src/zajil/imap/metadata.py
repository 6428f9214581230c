"""GETMETADATA and SETMETADATA: values and syntax. (RFC 5464)"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from zajil.core.value_class import value_class
from zajil.imap.grammar import Scanner, bad

MAX_ENTRIES = 100
"""Entries that one command names: protects the work per mailbox."""
_MAX_ENTRY = 255
# RFC 5464 section 3.2: 7-bit, no empty component, no wildcard; the first one says who sees it.
_NAME = re.compile(r"/(?:private|shared)(?:/[!-$&-)+-.0-~]+)*\Z")
_ROOTS = ("/private", "/shared")
"""They hold no value; with a depth, what lies below them is asked for."""
INFINITY = 1 << 16


@value_class(frozen=True, slots=True)
class GetMetadata:
    """``GETMETADATA [(options)] mailbox entries``."""

    mailbox: str
    """``""``: the server."""
    entries: tuple[str, ...]
    """Lower case."""
    depth: int = 0
    """How many levels below each entry; ``INFINITY``: all."""
    max_size: int | None = None
    """Leave larger values out."""


@value_class(frozen=True, slots=True)
class SetMetadata:
    """``SETMETADATA mailbox (entry value ...)``."""

    mailbox: str
    """``""``: the server."""
    values: tuple[tuple[str, bytes | None], ...]
    """Each entry once, in lower case; ``None`` removes it."""


MetadataCommand = GetMetadata | SetMetadata


def parse_entries(scanner: Scanner) -> tuple[str, ...]:
    """Take one entry name, or several in parentheses.

    Raises:
        BadSyntax: BAD, not the name of an entry, or too many.
    """
    if scanner.peek() != b"(":
        return (_entry(scanner),)
    scanner.expect(b"(")
    return _rest_of_entries(scanner)


def _rest_of_entries(scanner: Scanner) -> tuple[str, ...]:
    entries = {_entry(scanner): None}
    while scanner.skip(b" "):
        entries[_entry(scanner)] = None
        if len(entries) > MAX_ENTRIES:
            raise bad("too many entries")
    scanner.expect(b")")
    return tuple(entries)


def _entry(scanner: Scanner) -> str:
    name = scanner.astring().lower()
    if len(name) > _MAX_ENTRY or not _NAME.match(name):
        raise bad("bad name of an entry")
    return name


def _parse_get(scanner: Scanner) -> MetadataCommand:
    scanner.space()
    options: dict[str, int] = {}
    if scanner.skip(b"("):
        options = _options(scanner)
        scanner.space()
    mailbox = _mailbox(scanner)
    scanner.space()
    # The grammar of RFC 5464 section 5 has the options first, its examples have them here.
    if not options and scanner.skip(b"("):
        if scanner.peek() in (b"/", b'"', b"{"):
            return GetMetadata(mailbox, _rest_of_entries(scanner))
        options = _options(scanner)
        scanner.space()
    entries = parse_entries(scanner)
    return GetMetadata(mailbox, entries, options.get("DEPTH", 0), options.get("MAXSIZE"))


def _options(scanner: Scanner) -> dict[str, int]:
    options: dict[str, int] = {}
    while True:
        word = scanner.keyword()
        if word in options:
            raise bad("an option stands twice")
        scanner.space()
        if word == "MAXSIZE":
            options[word] = scanner.number()
        elif word == "DEPTH":
            options[word] = _depth(scanner)
        else:
            raise bad("unknown option")
        if scanner.skip(b")"):
            return options
        scanner.space()


def _depth(scanner: Scanner) -> int:
    depths = {"0": 0, "1": 1, "INFINITY": INFINITY}
    depth = depths.get(scanner.keyword())
    if depth is None:
        raise bad("unknown depth")
    return depth


def _parse_set(scanner: Scanner) -> MetadataCommand:
    scanner.space()
    mailbox = _mailbox(scanner)
    scanner.space()
    scanner.expect(b"(")
    values: dict[str, bytes | None] = {}
    while True:
        entry = _entry(scanner)
        if entry in values or len(values) == MAX_ENTRIES:
            raise bad("an entry stands twice, or there are too many")
        if entry in _ROOTS:
            raise bad("bad name of an entry")
        scanner.space()
        values[entry] = None if scanner.skip(b"NIL") else scanner.any_bytes()
        if scanner.skip(b")"):
            return SetMetadata(mailbox, tuple(values.items()))
        scanner.space()


def _mailbox(scanner: Scanner) -> str:
    """Take a mailbox name; ``""`` stands for the server."""
    if scanner.skip(b'""'):
        return ""
    return scanner.mailbox()


METADATA_PARSERS: Mapping[str, Callable[[Scanner], MetadataCommand]] = {
    "GETMETADATA": _parse_get,
    "SETMETADATA": _parse_set,
}
