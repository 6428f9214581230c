"""Parameters of SELECT, modifiers of FETCH and STORE. (RFC 4466 section 2, RFC 7162 section 7)

Deviation: RFC 7162 section 7 has no 0 in QRESYNC and CHANGEDSINCE. Clients that know nothing yet
send it (2026-11-28); it means all changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from zajil.imap.command import KnownState
from zajil.imap.grammar import Scanner, bad
from zajil.imap.sequence_set import SequenceSet, parse_partial, parse_sequence_set


def parse_select_parameters(scanner: Scanner) -> tuple[bool, KnownState | None]:
    """Take ``(CONDSTORE QRESYNC (...))``; say whether CONDSTORE stands there, and what QRESYNC has.

    Raises:
        BadSyntax: BAD.
    """
    condstore, known = False, None
    for word in _words(scanner):
        if word == "CONDSTORE" and not condstore:
            condstore = True
        elif word == "QRESYNC" and known is None:
            scanner.space()
            known = _parse_known(scanner)
        else:
            raise bad("unknown parameter")
    return condstore, known


@dataclass(slots=True)
class FetchModifiers:
    """What stands behind the items of FETCH."""

    changed_since: int | None = None
    vanished: bool = False
    partial: tuple[int, int] | None = None


def parse_fetch_modifiers(scanner: Scanner, *, uid: bool) -> FetchModifiers:
    """Take ``(CHANGEDSINCE 12345 VANISHED PARTIAL 1:100)``.

    Raises:
        BadSyntax: BAD; also for VANISHED without UID or without CHANGEDSINCE (RFC 7162 section
            3.2.6), and for PARTIAL without UID (RFC 9394 section 3.3).
    """
    found = FetchModifiers()
    for word in _words(scanner):
        if word == "CHANGEDSINCE" and found.changed_since is None:
            scanner.space()
            found.changed_since = scanner.modseq()
        elif word == "VANISHED" and uid and not found.vanished:
            found.vanished = True
        elif word == "PARTIAL" and uid and found.partial is None:
            scanner.space()
            found.partial = parse_partial(scanner)
        else:
            raise bad("unknown modifier")
    if found.vanished and found.changed_since is None:
        raise bad("VANISHED needs CHANGEDSINCE")
    return found


def parse_store_modifiers(scanner: Scanner) -> int | None:
    """Take ``(UNCHANGEDSINCE 12345)`` and give its mod-sequence.

    Raises:
        BadSyntax: BAD.
    """
    unchanged_since = None
    for word in _words(scanner):
        if word != "UNCHANGEDSINCE" or unchanged_since is not None:
            raise bad("unknown modifier")
        scanner.space()
        unchanged_since = scanner.modseq()
    return unchanged_since


# ---- inside -------------------------------------------------------------------------------------


def _words(scanner: Scanner) -> Iterator[str]:
    """Yield the words of a list in parentheses; the caller takes what belongs to each."""
    scanner.expect(b"(")
    yield scanner.keyword()
    while not scanner.skip(b")"):
        scanner.space()
        yield scanner.keyword()


def _parse_known(scanner: Scanner) -> KnownState:
    scanner.expect(b"(")
    uid_validity = scanner.number()
    if not uid_validity:
        raise bad("UIDVALIDITY is not 0")
    scanner.space()
    modseq = scanner.modseq()
    uids, sample = None, None
    more = scanner.skip(b" ")
    if more and scanner.peek() != b"(":
        uids = _parse_known_set(scanner)
        more = scanner.skip(b" ")
    if more:
        scanner.expect(b"(")
        numbers = _parse_known_set(scanner)
        scanner.space()
        sample = (numbers, _parse_known_set(scanner))
        if not all(map(_is_ascending, sample)) or len({_count(one) for one in sample}) > 1:
            raise bad("message numbers and UIDs do not match")
        scanner.expect(b")")
    scanner.expect(b")")
    return KnownState(uid_validity, modseq, uids, sample)


def _parse_known_set(scanner: Scanner) -> SequenceSet:
    numbers = parse_sequence_set(scanner)
    if numbers.has_star or numbers.saved:
        raise bad("neither * nor $ is allowed here")
    return numbers


def _is_ascending(numbers: SequenceSet) -> bool:
    ends = [end for pair in numbers.ranges for end in dict.fromkeys(pair)]
    return all(one < two for one, two in pairwise(ends))


def _count(numbers: SequenceSet) -> int:
    return sum(last - first + 1 for first, last in numbers.ranges)
