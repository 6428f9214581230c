"""Look-up in the index of words: which messages have to be read for a term, which have some words.

``text_index`` writes the index.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import filterfalse

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId, Uid
from zajil.core.value_class import value_class
from zajil.message.normal_form import search_form
from zajil.message.word_blocks import WordZone
from zajil.message.word_query import WordQuery
from zajil.message.words import Clue, find_clues
from zajil.store.mail.text_cache import (
    TextCache,
    list_segment_ids,
    read_numbers,
    read_segment_ids,
)
from zajil.store.mail.text_index import is_unindexed
from zajil.store.mail.text_words import MAX_FITTING, Fitting, OpenedWords, Wanted
from zajil.store.schema import mailbox, message


class SearchScope(Enum):
    """Where in a message a term is looked for."""

    TEXT = "text"
    """Header section and body."""
    BODY = "body"
    SUBJECT = "subject"
    SENDER = "sender"
    """From."""
    RECIPIENT = "recipient"
    """One of To, Cc and Bcc."""
    FIELD = "field"
    """Any other header field."""
    CONTENT = "content"
    """Subject, people, text and attached documents."""
    ANY_RECIPIENT = "any-recipient"
    """To, Cc and Bcc together."""


@value_class(frozen=True, slots=True)
class _Zones:
    """Where the words of a scope stand."""

    sure: tuple[WordZone, ...]
    """A message that has a word here holds what is within this word."""
    rest: tuple[WordZone, ...] = ()
    """It may hold it."""
    doubt: tuple[WordZone, ...] = ()
    """A word that is in one of ``sure`` and here too is not sure."""
    certain: tuple[WordZone, ...] = ()
    """A word here is found, wherever else it is: nothing but the index has it."""


_PARTS = {
    # The words of fields in front of a message are of one copy alone, and in HEADER.
    SearchScope.TEXT: _Zones(
        (WordZone.CONTENT,),
        (WordZone.HEADER,),
        doubt=(WordZone.BESIDE,),
        certain=(WordZone.DOCUMENT,),
    ),
    SearchScope.BODY: _Zones(
        (WordZone.CONTENT,),
        doubt=(WordZone.SUBJECT, WordZone.SENDER, WordZone.RECIPIENT, WordZone.BESIDE),
        certain=(WordZone.DOCUMENT,),
    ),
    SearchScope.SUBJECT: _Zones((WordZone.SUBJECT,)),
    SearchScope.SENDER: _Zones((WordZone.SENDER,)),
    SearchScope.RECIPIENT: _Zones((), (WordZone.RECIPIENT,)),
    SearchScope.CONTENT: _Zones((WordZone.CONTENT,), certain=(WordZone.DOCUMENT,)),
    SearchScope.ANY_RECIPIENT: _Zones((WordZone.RECIPIENT,)),
    SearchScope.FIELD: _Zones((), (WordZone.CONTENT, WordZone.HEADER)),
}


def zones_of(scope: SearchScope) -> tuple[WordZone, ...]:
    """Return which words stand where a term is looked for."""
    zones = _PARTS[scope]
    return zones.sure + zones.rest


def deciding_zones(
    scope: SearchScope,
) -> tuple[tuple[WordZone, ...], tuple[WordZone, ...], tuple[WordZone, ...]]:
    """Return which words decide, which of these do not when they stand there as well, and which
    decide in any case.
    """
    zones = _PARTS[scope]
    return zones.sure, zones.doubt, zones.certain


# ---- look-up ------------------------------------------------------------------------------------


@value_class(frozen=True, slots=True)
class TextHits:
    """Which messages of a mailbox may hold a term; UIDs, ascending; some may be expunged."""

    possible: array[int]
    """All that hold it are among these."""
    sure: array[int]
    """Those of them that hold it; the others have to be read."""


@value_class(frozen=True, slots=True)
class _Found:
    """What the index says of messages."""

    possible: array[int]
    """Those that may hold a term."""
    sure: array[int]
    """Those of them that hold it, if all their words are in the index."""
    certain: array[int]
    """Those of them that hold it."""


_NONE = array("I")


class _Index:
    """The index of an account in one snapshot, and where its messages are in one mailbox."""

    def __init__(
        self, conn: Connection, account_id: AccountId, mailbox_id: MailboxId, cache: TextCache
    ) -> None:
        self._conn = conn
        self._account_id = account_id
        self._cache = cache
        self._segment_ids = list_segment_ids(conn, account_id)
        self._places = cache.places(conn, self._segment_ids, mailbox_id)

    def fitting(self, wanted: Sequence[Wanted]) -> list[Fitting]:
        """Return for each item the words that fit it."""
        found = [None if one.accept else self._cache.find_words(self._key(one)) for one in wanted]
        unknown = [one for one, known in zip(wanted, found, strict=True) if known is None]
        new = iter(self._cache.opened.find(self._conn, self._segment_ids, unknown))
        return [next(new) if known is None else known for known in found]

    def look_up(self, wanted: Sequence[Wanted]) -> None:
        """Keep the words that fit some items, for ``fitting``."""
        for one, found in zip(wanted, self.fitting(wanted), strict=True):
            self._cache.keep_words(self._key(one), found)

    def uids(self, one: Wanted, fitting: Fitting) -> array[int]:
        """Return the messages of the mailbox that have one of the words, ascending."""
        is_new = fitting.numbers is None
        numbers = read_numbers(self._conn, fitting)
        if is_new and one.accept is None:
            self._cache.keep_words(self._key(one), fitting)
        return self._places.uids_of(numbers)

    def with_all(self, pairs: list[tuple[Wanted, Fitting]]) -> array[int]:
        """Return the messages that have a word of each item."""
        pairs.sort(key=lambda pair: pair[1].count)
        uids = self.uids(*pairs[0])
        for one in pairs[1:]:
            if not uids:
                break
            uids = array("I", filter(frozenset(self.uids(*one)).__contains__, uids))
        return uids

    def _key(self, one: Wanted) -> tuple[AccountId, tuple[int, ...], Clue, tuple[WordZone, ...]]:
        return self._account_id, self._segment_ids, one.clue, one.zones


def find_hits(
    conn: Connection,
    mailbox_id: MailboxId,
    term: str,
    scope: SearchScope = SearchScope.TEXT,
    cache: TextCache | None = None,
) -> TextHits | None:
    """Return the messages of a mailbox that may hold a term.

    All others do not hold it: those that are not indexed are possible. The term is a piece of the
    text, as SEARCH means it, and not a word.

    Args:
        conn: a snapshot.
        mailbox_id: one that the caller may read. The index of its owner is looked up, and only
            what is in this mailbox is returned.
        term: in any form.
        scope: where the term may stand.
        cache: of the store.

    Returns:
        ``None``: any message may hold it.
    """
    index = _open_index(conn, mailbox_id, cache)
    if index is None:
        return None
    found = _find_within_text(index, term, scope)
    if found is None:
        return None
    unindexed = frozenset(find_unindexed(conn, mailbox_id))
    if not unindexed:
        return TextHits(found.possible, found.sure)
    known = array("I", [uid for uid in found.sure if uid not in unindexed])
    certain = array("I", filter(unindexed.__contains__, found.certain))
    return TextHits(joined(found.possible, unindexed), joined(known, certain))


def joined(one: array[int], other: Iterable[int]) -> array[int]:
    """Return the messages that are in one of two lists, ascending."""
    return array("I", sorted({*one, *other}))


def look_up_words(
    conn: Connection,
    mailbox_id: MailboxId,
    terms: Sequence[tuple[str, SearchScope]],
    cache: TextCache,
) -> None:
    """Look up what ``find_hits`` needs for each of some terms, in one pass over the index.

    Args:
        conn: a snapshot.
        mailbox_id: one that the caller may read.
        terms: in any form, each with the scope where it may stand.
        cache: of the store: what is found is kept there.
    """
    index = _open_index(conn, mailbox_id, cache)
    wanted = [one for term, scope in terms for one in _wanted_of(term, scope)]
    if index is not None and wanted:
        index.look_up(wanted)


def find_with_words(
    conn: Connection, mailbox_id: MailboxId, query: WordQuery, cache: TextCache | None = None
) -> array[int]:
    """Return the indexed messages of a mailbox that have all words of a query, in any form;
    ascending.

    Args:
        conn: a snapshot.
        mailbox_id: one that the caller may read.
        query: without phrases.
        cache: of the store.
    """
    index = _open_index(conn, mailbox_id, cache)
    wanted = [Wanted(one.clue, (one.zone,), one.accepts) for one in query.words]
    if index is None or not wanted:
        return array("I")
    return index.with_all(list(zip(wanted, index.fitting(wanted), strict=True)))


def find_words(conn: Connection, account_id: AccountId, query: WordQuery) -> set[BlobId]:
    """Return the blobs of indexed messages that have all words of a query, in any form of them.

    Those that are not indexed are not among them. Where the query has phrases, the caller reads
    the messages to see whether they have these, too (``WordQuery.holds``).

    Args:
        conn: a snapshot.
        account_id: whose messages.
        query: see ``message.word_query.parse_query``.
    """
    wanted = [Wanted(one.clue, (one.zone,), one.accepts) for one in query.words]
    blobs: set[BlobId] | None = None
    for one in OpenedWords(0).find(conn, list_segment_ids(conn, account_id), wanted):
        numbers = read_numbers(conn, one)
        there = {
            ids[number]
            for segment_id, ids in read_segment_ids(conn, numbers)
            for number in numbers[segment_id]
        }
        blobs = there if blobs is None else blobs & there
    return blobs or set()


def find_unindexed(conn: Connection, mailbox_id: MailboxId) -> list[Uid]:
    """Return the messages whose words are not all in the index, ascending."""
    query = (
        sa.select(message.c.uid)
        .where(message.c.mailbox_id == mailbox_id, is_unindexed())
        .order_by(message.c.uid)
    )
    return list(conn.scalars(query))


def _open_index(conn: Connection, mailbox_id: MailboxId, cache: TextCache | None) -> _Index | None:
    owner = conn.scalar(sa.select(mailbox.c.account_id).where(mailbox.c.id == mailbox_id))
    if owner is None:
        return None
    return _Index(conn, AccountId(owner), mailbox_id, TextCache() if cache is None else cache)


def _wanted_of(term: str, scope: SearchScope) -> list[Wanted]:
    """Return what ``_find_within_text`` looks up."""
    wanted_text = search_form(term)
    clues = find_clues(wanted_text)
    if len(clues) != 1 or clues[0].letters != wanted_text:
        return [Wanted(clue, zones_of(scope)) for clue in clues]
    zones = _PARTS[scope]
    kinds = (zones.sure, zones.rest, zones.doubt, zones.certain)
    return [Wanted(clues[0], some) for some in kinds if some]


def _find_within_text(index: _Index, term: str, scope: SearchScope) -> _Found | None:
    """Return the messages that may hold a term; ``None``: most hold the like."""
    wanted = _wanted_of(term, scope)
    if not wanted:
        return None
    clue = wanted[0].clue
    if all(one.clue is clue for one in wanted) and clue.letters == search_form(term):
        return _find_within_words(index, clue, _PARTS[scope])
    pairs = zip(wanted, index.fitting(wanted), strict=True)
    fitting = [(one, words) for one, words in pairs if words.count <= MAX_FITTING]
    return _Found(index.with_all(fitting), _NONE, _NONE) if fitting else None


def _find_within_words(index: _Index, clue: Clue, zones: _Zones) -> _Found | None:
    """Return the same for a term that is within one word: each word that fits holds it."""
    kinds = (zones.sure, zones.rest, zones.doubt, zones.certain)
    wanted = {some: Wanted(clue, some) for some in kinds if some}
    fitting = dict(zip(wanted, index.fitting(list(wanted.values())), strict=True))
    hits, rest, doubt = (fitting.get(some) for some in kinds[:3])
    if any(one is not None and one.count > MAX_FITTING for one in (hits, rest)):
        return None

    def uids(some: tuple[WordZone, ...]) -> array[int]:
        return index.uids(wanted[some], fitting[some]) if some else _NONE

    sure = possible = uids(zones.sure)
    if rest is not None and rest.count:
        possible = joined(sure, uids(zones.rest))
    if doubt is not None and doubt.count:
        doubtful = frozenset(uids(zones.doubt)) if doubt.count <= MAX_FITTING else frozenset(sure)
        sure = array("I", filterfalse(doubtful.__contains__, sure))
    # All of these words are among those of ``sure``, so there are no more of them.
    certain = uids(zones.certain)
    return _Found(possible, joined(sure, certain) if certain else sure, certain)
