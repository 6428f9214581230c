"""SEARCH, SORT, THREAD and ESEARCH with their options: values and grammar.

RFC 4466 section 2.6.1 (RETURN), RFC 5256 (SORT, THREAD), RFC 7377 (ESEARCH), RFC 9394 (PARTIAL).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from zajil.core.value_class import value_class
from zajil.imap.grammar import Scanner, bad
from zajil.imap.search_key import SearchKey, has_fuzzy
from zajil.imap.search_parse import CHARSETS, parse_in_charset, parse_search
from zajil.imap.sequence_set import parse_partial

MAX_CRITERIA = 20
"""Criteria of one SORT: protects the work per message."""
MAX_MAILBOXES = 100
"""Names in one ESEARCH."""


class Result(Enum):
    """What RETURN may ask for. (RFC 4731 section 3.1)"""

    MIN = "MIN"
    MAX = "MAX"
    ALL = "ALL"
    COUNT = "COUNT"
    SAVE = "SAVE"
    """Keep the messages for ``$``. (RFC 5182)"""
    RELEVANCY = "RELEVANCY"
    """How well each message fits a FUZZY key. (RFC 6203)"""


@value_class(frozen=True, slots=True)
class Returns:
    """``RETURN (options)``."""

    results: frozenset[Result]
    partial: tuple[int, int] | None = None
    """First and last place among the results, from 1 on; negative: from the end. (RFC 9394)"""


@value_class(frozen=True, slots=True)
class Search:
    """``SEARCH``, ``UID SEARCH``."""

    key: SearchKey
    uid: bool
    returns: Returns | None = None
    """``None``: no RETURN stands there."""
    charset: str = ""
    """Upper case; ``""``: none is named. One that is not in ``CHARSETS`` is to be refused."""


class SortKey(Enum):
    """What SORT orders by. (RFC 5256 section 3, RFC 5957)"""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    FROM = "FROM"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"
    DISPLAY_FROM = "DISPLAYFROM"
    DISPLAY_TO = "DISPLAYTO"
    RELEVANCY = "RELEVANCY"
    """The most relevant message comes first. (RFC 6203 section 6)"""


@value_class(frozen=True, slots=True)
class Criterion:
    """One criterion of SORT."""

    key: SortKey
    reverse: bool


@value_class(frozen=True, slots=True)
class Sort:
    """``SORT``, ``UID SORT``."""

    criteria: tuple[Criterion, ...]
    key: SearchKey
    uid: bool
    returns: Returns | None = None
    charset: str = ""


class ThreadAlgorithm(Enum):
    """How THREAD finds what belongs together. (RFC 5256 section 3)"""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"


@value_class(frozen=True, slots=True)
class Thread:
    """``THREAD``, ``UID THREAD``."""

    algorithm: ThreadAlgorithm
    key: SearchKey
    uid: bool
    charset: str = ""


class Range(Enum):
    """Which mailboxes ESEARCH looks into. (RFC 5465 section 8, RFC 7377 section 2.2)"""

    SELECTED = "SELECTED"
    INBOXES = "INBOXES"
    """Those to which mail is delivered."""
    PERSONAL = "PERSONAL"
    SUBSCRIBED = "SUBSCRIBED"
    SUBTREE = "SUBTREE"
    """These and all below."""
    SUBTREE_ONE = "SUBTREE-ONE"
    """These and those directly below."""
    MAILBOXES = "MAILBOXES"


@value_class(frozen=True, slots=True)
class SearchSource:
    """One item of ``IN``."""

    range: Range
    mailboxes: tuple[str, ...] = ()
    """For ``SUBTREE``, ``SUBTREE_ONE`` and ``MAILBOXES``."""


@value_class(frozen=True, slots=True)
class MultiSearch:
    """``ESEARCH``; numbers in its answers are UIDs."""

    sources: tuple[SearchSource, ...]
    key: SearchKey
    returns: Returns | None = None
    charset: str = ""
    """Upper case; ``""``: none is named. One that is not in ``CHARSETS`` is to be refused."""


def search_parser(*, uid: bool) -> Callable[[Scanner], Search]:
    """Return what takes the arguments of SEARCH."""

    def parse(scanner: Scanner) -> Search:
        scanner.space()
        returns = _parse_returns(scanner)
        key, charset = parse_search(scanner)
        _check_relevancy(returns, (), key, charset)
        return Search(key, uid, returns, charset)

    return parse


def sort_parser(*, uid: bool) -> Callable[[Scanner], Sort]:
    """Return what takes the arguments of SORT."""

    def parse(scanner: Scanner) -> Sort:
        scanner.space()
        returns = _parse_returns(scanner)
        scanner.expect(b"(")
        criteria = [_parse_criterion(scanner)]
        while scanner.skip(b" "):
            criteria.append(_parse_criterion(scanner))
            if len(criteria) > MAX_CRITERIA:
                raise bad("too many criteria")
        scanner.expect(b")")
        scanner.space()
        key, charset = parse_in_charset(scanner)
        _check_relevancy(returns, criteria, key, charset)
        return Sort(tuple(criteria), key, uid, returns, charset)

    return parse


def thread_parser(*, uid: bool) -> Callable[[Scanner], Thread]:
    """Return what takes the arguments of THREAD."""

    def parse(scanner: Scanner) -> Thread:
        scanner.space()
        algorithm = _ALGORITHMS.get(scanner.keyword())
        if algorithm is None:
            raise bad("unknown thread algorithm")
        scanner.space()
        key, charset = parse_in_charset(scanner)
        return Thread(algorithm, key, uid, charset)

    return parse


def parse_multi_search(scanner: Scanner) -> MultiSearch:
    """Take the arguments of ESEARCH."""
    scanner.space()
    sources: tuple[SearchSource, ...] = (SearchSource(Range.SELECTED),)
    if scanner.skip(b"IN "):
        sources = _parse_sources(scanner)
        scanner.space()
    returns = _parse_returns(scanner)
    key, charset = parse_search(scanner)
    _check_relevancy(returns, (), key, charset)
    return MultiSearch(sources, key, returns, charset)


# ---- inside -------------------------------------------------------------------------------------

_RESULTS = {one.value: one for one in Result}
_SORT_KEYS = {one.value: one for one in SortKey}
_ALGORITHMS = {one.value: one for one in ThreadAlgorithm}
_RANGES = {one.value: one for one in Range}
_NAMED = (Range.SUBTREE, Range.SUBTREE_ONE, Range.MAILBOXES)


def _parse_returns(scanner: Scanner) -> Returns | None:
    if not scanner.skip(b"RETURN "):
        return None
    scanner.expect(b"(")
    results: set[Result] = set()
    partial: tuple[int, int] | None = None
    empty = True
    while not scanner.skip(b")"):
        if not empty:
            scanner.space()
        empty = False
        word = scanner.keyword()
        if word == "PARTIAL":
            if partial is not None:
                raise bad("PARTIAL stands there twice")
            scanner.space()
            partial = parse_partial(scanner)
            continue
        result = _RESULTS.get(word)
        if result is None:
            raise bad("unknown return option")
        results.add(result)
    if partial is not None and Result.ALL in results:  # RFC 9394 section 3.1
        raise bad("PARTIAL and ALL do not go together")
    scanner.space()
    # RFC 4731 section 3.1: an empty list is ALL.
    return Returns(frozenset({Result.ALL}) if empty else frozenset(results), partial)


def _check_relevancy(
    returns: Returns | None, criteria: Sequence[Criterion], key: SearchKey, charset: str
) -> None:
    """Refuse RELEVANCY without FUZZY. (RFC 6203 section 4)

    Raises:
        BadSyntax: BAD.
    """
    asked = returns is not None and Result.RELEVANCY in returns.results
    asked = asked or any(one.key is SortKey.RELEVANCY for one in criteria)
    # Keys in a charset that is not known were not read: the caller refuses them.
    is_read = not charset or charset in CHARSETS
    if asked and is_read and not has_fuzzy(key):
        raise bad("RELEVANCY is only for a FUZZY search")


def _parse_criterion(scanner: Scanner) -> Criterion:
    word = scanner.keyword()
    reverse = word == "REVERSE"
    if reverse:
        scanner.space()
        word = scanner.keyword()
    key = _SORT_KEYS.get(word)
    if key is None:
        raise bad("unknown sort criterion")
    return Criterion(key, reverse)


def _parse_sources(scanner: Scanner) -> tuple[SearchSource, ...]:
    scanner.expect(b"(")
    sources: list[SearchSource] = []
    names = 0
    while True:
        found = _RANGES.get(scanner.keyword())
        if found is None:
            raise bad("unknown source of mailboxes")
        mailboxes: tuple[str, ...] = ()
        if found in _NAMED:
            scanner.space()
            mailboxes = _parse_mailboxes(scanner)
        names += 1 + len(mailboxes)
        if names > MAX_MAILBOXES:
            raise bad("too many mailboxes")
        sources.append(SearchSource(found, mailboxes))
        if scanner.skip(b")"):
            return tuple(sources)
        scanner.space()


def _parse_mailboxes(scanner: Scanner) -> tuple[str, ...]:
    if not scanner.skip(b"("):
        return (scanner.mailbox(),)
    names = [scanner.mailbox()]
    while not scanner.skip(b")"):
        scanner.space()
        names.append(scanner.mailbox())
        if len(names) > MAX_MAILBOXES:
            raise bad("too many mailboxes")
    return tuple(names)
