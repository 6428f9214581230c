"""Look-up in the index of words: which messages have to be read for a term, which have some words.

``text_index`` writes the index.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId, Uid
from zajil.message.normal_form import normal_form
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
    """Header section and body; also for any header field that has no scope of its own."""
    BODY = "body"
    SUBJECT = "subject"
    SENDER = "sender"
    """From."""
    RECIPIENT = "recipient"
    """To, Cc and Bcc."""


_PARTS = {
    SearchScope.TEXT: (WordZone.CONTENT, WordZone.HEADER),
    SearchScope.BODY: (WordZone.CONTENT,),
    SearchScope.SUBJECT: (WordZone.SUBJECT,),
    SearchScope.SENDER: (WordZone.SENDER,),
    SearchScope.RECIPIENT: (WordZone.RECIPIENT,),
}


def zones_of(scope: SearchScope) -> tuple[WordZone, ...]:
    """Return which words stand where a term is looked for."""
    return _PARTS[scope]


# ---- look-up ------------------------------------------------------------------------------------


def find_candidates(
    conn: Connection, account_id: AccountId, term: str, scope: SearchScope = SearchScope.TEXT
) -> set[BlobId] | None:
    """Return the blobs of indexed messages that may hold a term; all that do are among them.

    The term is a piece of the text, as SEARCH means it, and not a word. Messages that are not
    indexed (``find_unindexed``) may hold it as well.

    Args:
        conn: a snapshot.
        account_id: whose messages.
        term: in any form.
        scope: where the term may stand.

    Returns:
        ``None``: the index cannot tell, because most messages hold the like.
    """
    wanted = [Wanted(clue, _PARTS[scope]) for clue in find_clues(normal_form(term))]
    if not wanted:
        return None
    fitting = [one for one in find_fitting(conn, account_id, wanted) if one.count <= MAX_FITTING]
    return _with_all(conn, fitting) if fitting else None


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


def find_possible(
    conn: Connection,
    account_id: AccountId,
    mailbox_id: MailboxId,
    term: str,
    scope: SearchScope = SearchScope.TEXT,
) -> set[Uid] | None:
    """Return the messages of a mailbox that have to be read to find those with a term.

    All others do not hold it: those that are not indexed are among the returned.

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
    blobs = find_candidates(conn, account_id, term, scope)
    if blobs is None:
        return None
    return {*find_unindexed(conn, mailbox_id), *find_uids_of(conn, mailbox_id, blobs)}


def find_uids_of(conn: Connection, mailbox_id: MailboxId, blobs: set[BlobId]) -> list[Uid]:
    """Return the messages of a mailbox whose bytes are in these blobs."""
    if len(blobs) <= AT_ONCE:
        query = sa.select(message.c.uid).where(
            message.c.blob_id.in_(blobs), message.c.mailbox_id == mailbox_id
        )
        return list(conn.scalars(query))
    rows = execute_text(
        conn,
        f"SELECT uid, blob_id FROM message WHERE mailbox_id = {mark_of(conn)}",  # noqa: S608
        (mailbox_id,),
    )
    return [uid for uid, blob_id in rows if blob_id in blobs]


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
