"""LIST, LSUB and STATUS, as a client writes them. (RFC 9051 section 6.3.9, RFC 5258, RFC 5819)"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zajil.core.value_class import value_class
from zajil.imap import command as c
from zajil.imap.grammar import Scanner, bad
from zajil.imap.metadata import parse_entries

MAX_PATTERNS = 32
"""Patterns of one LIST: protects the work per mailbox."""


def _parse_list(scanner: Scanner) -> c.Command:
    scanner.space()
    select: frozenset[str] = frozenset()
    extended = scanner.peek() == b"("
    if extended:
        select = _parse_options(scanner, _LIST_SELECT).words
        # RFC 5258 section 3.1: RECURSIVEMATCH only changes what another option selects.
        if select & {"RECURSIVEMATCH"} and not select & {"SUBSCRIBED", "SPECIAL-USE"}:
            raise bad("RECURSIVEMATCH needs another option")
        scanner.space()
    reference = scanner.astring_bytes()
    scanner.space()
    if scanner.skip(b"("):
        extended = True
        patterns = [scanner.list_pattern()]
        while scanner.skip(b" "):
            patterns.append(scanner.list_pattern())
            if len(patterns) > MAX_PATTERNS:
                raise bad("too many patterns")
        scanner.expect(b")")
    else:
        patterns = [scanner.list_pattern()]
    returns = _ListOptions()
    if scanner.skip(b" RETURN "):
        extended = True
        returns = _parse_options(scanner, _LIST_RETURN)
    return c.List(
        reference=reference,
        patterns=tuple(patterns),
        select=select,
        returns=returns.words,
        status=returns.status,
        entries=returns.entries,
        extended=extended,
    )


_LIST_SELECT = frozenset({"SUBSCRIBED", "SPECIAL-USE", "RECURSIVEMATCH", "REMOTE"})
_LIST_RETURN = frozenset(
    {"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS", "MYRIGHTS", "METADATA"}
)


@value_class(frozen=True, slots=True)
class _ListOptions:
    words: frozenset[str] = frozenset()
    status: tuple[c.StatusItem, ...] = ()
    entries: tuple[str, ...] = ()


def _parse_options(scanner: Scanner, known: frozenset[str]) -> _ListOptions:
    scanner.expect(b"(")
    words: list[str] = []
    status: tuple[c.StatusItem, ...] = ()
    entries: tuple[str, ...] = ()
    while not scanner.skip(b")"):
        if words:
            scanner.space()
        words.append(scanner.keyword())
        if words[-1] not in known or len(words) > 16:
            raise bad("unknown option")
        if words[-1] == "STATUS":
            scanner.space()
            status = _parse_status_items(scanner)
        if words[-1] == "METADATA":
            scanner.space()
            entries = parse_entries(scanner)
    return _ListOptions(frozenset(words), status, entries)


def _parse_lsub(scanner: Scanner) -> c.Command:
    scanner.space()
    reference = scanner.astring_bytes()
    scanner.space()
    return c.Lsub(reference, scanner.list_pattern())


def _parse_status(scanner: Scanner) -> c.Command:
    scanner.space()
    mailbox = scanner.mailbox()
    scanner.space()
    return c.StatusCommand(mailbox, _parse_status_items(scanner))


_STATUS_ITEMS: Mapping[str, c.StatusItem] = {item.value: item for item in c.StatusItem}


def _parse_status_items(scanner: Scanner) -> tuple[c.StatusItem, ...]:
    scanner.expect(b"(")
    items: dict[c.StatusItem, None] = {}
    while True:
        item = _STATUS_ITEMS.get(scanner.keyword())
        if item is None:
            raise bad("unknown status item")
        items[item] = None
        if scanner.skip(b")"):
            return tuple(items)
        scanner.space()


LIST_PARSERS: Mapping[str, Callable[[Scanner], c.Command]] = {
    "LIST": _parse_list,
    "LSUB": _parse_lsub,
    "STATUS": _parse_status,
}
