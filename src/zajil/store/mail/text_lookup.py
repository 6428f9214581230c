"""Look-up in the index of words: which messages have to be read for a term, which have some words.

``text_index`` writes the index.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId, Uid
from zajil.message.normal_form import search_form
from zajil.message.word_blocks import BlockNumbers, WordZone, find_places, open_words, span_of
from zajil.message.word_query import WordQuery
from zajil.message.words import Clue, find_clues
from zajil.store.engine.rows import AT_ONCE, execute_text, mark_of, portions
from zajil.store.mail.text_index import is_unindexed, unpack_ids
from zajil.store.schema import mailbox, message, text_block, text_segment

MAX_FITTING = 10_000
"""Words that fit a piece of a term; with more of them, it says nothing about a message."""


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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class TextHits:
    """Which messages of a mailbox may hold a term; UIDs, ascending."""

    possible: array[int]
    """All that hold it are among these."""
    sure: array[int]
    """Those of them that hold it; the others have to be read."""


@dataclass(frozen=True, slots=True)
class _Blobs:
    """What the index says of blobs."""

    possible: set[BlobId]
    """Those that may hold a term."""
    sure: set[BlobId] = field(default_factory=set)
    """Those of them that hold it, if all their words are in the index."""
    certain: set[BlobId] = field(default_factory=set)
    """Those of them that hold it."""


def _find_blobs_with(
    conn: Connection, account_id: AccountId, term: str, scope: SearchScope
) -> _Blobs | None:
    """Return the blobs of indexed messages that may hold a term; all that do are among them.

    The term is a piece of the text, as SEARCH means it, and not a word. ``None``: the index cannot
    tell, because most messages hold the like.
    """
    wanted_text = search_form(term)
    clues = find_clues(wanted_text)
    if len(clues) == 1 and clues[0].letters == wanted_text:
        return _find_within_words(conn, account_id, clues[0], _PARTS[scope])
    wanted = [Wanted(clue, zones_of(scope)) for clue in clues]
    if not wanted:
        return None
    fitting = [one for one in find_fitting(conn, account_id, wanted) if one.count <= MAX_FITTING]
    return _Blobs(_with_all(conn, fitting)) if fitting else None


def _find_within_words(
    conn: Connection, account_id: AccountId, clue: Clue, zones: _Zones
) -> _Blobs | None:
    """Return the same for a term that is within one word: each word that fits holds it."""
    kinds = (zones.sure, zones.rest, zones.doubt, zones.certain)
    parts = [some for some in kinds if some]
    wanted = [Wanted(clue, some) for some in parts]
    found = dict(zip(parts, find_fitting(conn, account_id, wanted), strict=True))
    hits, rest, doubt, documents = (found.get(some) for some in kinds)
    if any(one is not None and one.count > MAX_FITTING for one in (hits, rest)):
        return None
    sure = set() if hits is None else find_blobs(conn, hits)
    possible = sure if rest is None else sure | find_blobs(conn, rest)
    if doubt is not None:
        sure = sure - find_blobs(conn, doubt) if doubt.count <= MAX_FITTING else set()
    # All of these words are among those of ``sure``, so there are no more of them.
    certain = set() if documents is None else find_blobs(conn, documents)
    return _Blobs(possible, sure | certain, certain)


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
    return _with_all(conn, find_fitting(conn, account_id, wanted)) if wanted else set()


def _with_all(conn: Connection, fitting: list[Fitting]) -> set[BlobId]:
    fitting.sort(key=lambda one: one.count)
    blobs = find_blobs(conn, fitting[0])
    for one in fitting[1:]:
        if not blobs:
            break
        blobs &= find_blobs(conn, one)
    return blobs


def find_unindexed(conn: Connection, mailbox_id: MailboxId) -> list[Uid]:
    """Return the messages whose words are not all in the index, ascending."""
    query = (
        sa.select(message.c.uid)
        .where(message.c.mailbox_id == mailbox_id, is_unindexed())
        .order_by(message.c.uid)
    )
    return list(conn.scalars(query))


def find_hits(
    conn: Connection,
    account_id: AccountId,
    mailbox_id: MailboxId,
    term: str,
    scope: SearchScope = SearchScope.TEXT,
) -> TextHits | None:
    """Return the messages of a mailbox that may hold a term.

    All others do not hold it: those that are not indexed are possible.

    Args:
        conn: a snapshot.
        account_id: whose mailbox it is.
        mailbox_id: the mailbox.
        term: in any form.
        scope: where the term may stand.

    Returns:
        ``None``: any message may hold it. So it is where the mailbox is not the account's, because
        another index has its words.
    """
    if conn.scalar(sa.select(mailbox.c.account_id).where(mailbox.c.id == mailbox_id)) != account_id:
        return None
    found = _find_blobs_with(conn, account_id, term, scope)
    if found is None:
        return None
    unindexed = set(find_unindexed(conn, mailbox_id))
    pairs = _find_pairs(conn, mailbox_id, found.possible)
    sure = [
        uid
        for uid, blob_id in pairs
        if blob_id in (found.certain if uid in unindexed else found.sure)
    ]
    possible = {*unindexed, *[uid for uid, _ in pairs]}
    return TextHits(array("I", sorted(possible)), array("I", sorted(sure)))


def find_with_words(
    conn: Connection, account_id: AccountId, mailbox_id: MailboxId, query: WordQuery
) -> array[int]:
    """Return the indexed messages of a mailbox that have all words of a query, in any form.

    Args:
        conn: a snapshot.
        account_id: whose mailbox it is.
        mailbox_id: the mailbox.
        query: without phrases.
    """
    blobs = find_words(conn, account_id, query)
    return array("I", sorted([uid for uid, _ in _find_pairs(conn, mailbox_id, blobs)]))


def _find_pairs(
    conn: Connection, mailbox_id: MailboxId, blobs: set[BlobId]
) -> list[tuple[Uid, BlobId]]:
    """Return the messages of a mailbox whose bytes are in these blobs, with the blob of each."""
    if len(blobs) <= AT_ONCE:
        query = sa.select(message.c.uid, message.c.blob_id).where(
            message.c.blob_id.in_(blobs), message.c.mailbox_id == mailbox_id
        )
        return [(uid, blob_id) for uid, blob_id in conn.execute(query)]
    rows = execute_text(
        conn,
        f"SELECT uid, blob_id FROM message WHERE mailbox_id = {mark_of(conn)}",  # noqa: S608
        (mailbox_id,),
    )
    return [(uid, blob_id) for uid, blob_id in rows if blob_id in blobs]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Words that are looked up."""

    clue: Clue
    zones: tuple[WordZone, ...]
    """Where in a message they may stand."""
    accept: Callable[[bytes], bool] | None = None
    """Which of the keys that fit count; ``None``: all."""


@dataclass(slots=True)
class Fitting:
    """The words of an index that are wanted."""

    count: int
    places: dict[int, list[int]]
    """Places of words in each block, by its id."""


def find_fitting(
    conn: Connection, account_id: AccountId, wanted: Sequence[Wanted]
) -> list[Fitting]:
    """Return for each item the words that fit it, in one pass over the index of an account.

    Of more than ``MAX_FITTING`` not all are returned.

    Args:
        conn: a snapshot.
        account_id: whose index.
        wanted: at least one.
    """
    spans = [[span_of(one.clue, zone) for zone in one.zones] for one in wanted]
    given = {
        "account_": account_id,
        "first_": min(first for some in spans for first, _ in some),
        "last_": max(last for some in spans for _, last in some),
    }
    found = [Fitting(0, {}) for _ in wanted]
    for block_id, low, high, packed in conn.execute(_BLOCKS, given):
        words: bytes | None = None
        for fitting, one, near in zip(found, wanted, spans, strict=True):
            is_near = any(low <= last and high >= first for first, last in near)
            if not is_near or fitting.count > MAX_FITTING:
                continue
            words = open_words(packed) if words is None else words
            keys = find_places(words, one.clue, one.zones)
            places = [at for at, key in keys if one.accept is None or one.accept(key)]
            if places:
                fitting.count += len(places)
                fitting.places[block_id] = places
    return found


def find_blobs(conn: Connection, fitting: Fitting) -> set[BlobId]:
    """Return the blobs that have one of the words."""
    by_segment: dict[int, set[int]] = defaultdict(set)
    for some in portions(sorted(fitting.places)):
        for block_id, segment_id, packed in conn.execute(_NUMBERS, {"ids_": some}):
            numbers = BlockNumbers(packed)
            for place in fitting.places[block_id]:
                by_segment[segment_id].update(numbers.of(place))
    found: set[BlobId] = set()
    for some in portions(sorted(by_segment)):
        for segment_id, packed in conn.execute(_SEGMENTS, {"ids_": some}):
            ids = unpack_ids(packed)
            found.update([ids[number] for number in by_segment[segment_id]])
    return found


_BLOCKS = (
    sa.select(text_block.c.id, text_block.c.first_word, text_block.c.last_word, text_block.c.words)
    .join(text_segment, text_segment.c.id == text_block.c.segment_id)
    .where(
        text_segment.c.account_id == sa.bindparam("account_"),
        text_block.c.first_word <= sa.bindparam("last_"),
        text_block.c.last_word >= sa.bindparam("first_"),
    )
)
_NUMBERS = sa.select(text_block.c.id, text_block.c.segment_id, text_block.c.numbers).where(
    text_block.c.id.in_(sa.bindparam("ids_", expanding=True))
)
_SEGMENTS = sa.select(text_segment.c.id, text_segment.c.blob_ids).where(
    text_segment.c.id.in_(sa.bindparam("ids_", expanding=True))
)
