"""Summaries of messages, written after the commit that accepts.

Laws:
- A summary belongs to a blob: copies share it, and it goes with the blob.
- Whoever writes a summary writes the threads and the words of its messages in the same commit: a
  message that has none of the three waits for the indexer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import BlobId, MailboxId, Uid
from zajil.core.value_class import value_class
from zajil.message.header_view import Person
from zajil.message.index_words import IndexWords
from zajil.message.summary import Summary
from zajil.store.engine.rows import AT_ONCE, execute_text, insert_rows, mark_of, portions, values
from zajil.store.mail.messages import Message, read_message_row
from zajil.store.mail.text_index import (
    is_unindexed,
    is_waiting,
    let_wait,
    write_words,
)
from zajil.store.mail.threads import choose_threads
from zajil.store.schema import blob, message, summary

VERSION = 1
"""Of what a summary holds; one of another version is as good as none."""
MAX_TRIES = 3
"""Deaths of the program while it read one message, after which it is left alone."""


@value_class(frozen=True, slots=True, kw_only=True)
class NewSummary:
    """What ``write_summaries`` writes of one blob."""

    blob_id: BlobId
    summary: Summary
    thread_keys: tuple[int, ...]
    """``message.summary.thread_keys``."""
    envelope: bytes | None
    """ENVELOPE as FETCH sends it; ``None``: it has to be read from the message."""
    body: bytes | None
    """BODY, which is BODYSTRUCTURE without extension data."""
    body_structure: bytes | None
    words: IndexWords
    """For the index (``store.mail.text_index``)."""


@value_class(frozen=True, slots=True)
class WaitingBlob:
    """A blob with messages that the indexer has to look at."""

    blob_id: BlobId
    size: int
    """0 also where its bytes are missing."""
    tries: int
    """That ended with the death of the program."""


# ---- queries ------------------------------------------------------------------------------------


def newest_summaries(
    conn: Connection,
    mailbox_id: MailboxId,
    limit: int,
    *,
    before: Uid | None = None,
    after: Uid | None = None,
) -> list[tuple[Message, Summary | None]]:
    """Return messages with their summaries, newest first: one page of a list.

    Args:
        conn: a snapshot.
        mailbox_id: of a mailbox that the caller found under its account.
        limit: most that are returned.
        before: only those with a smaller UID; ``None``: from the end.
        after: the oldest of those with a larger UID, instead of the newest.
    """
    newest = sa.select(message).where(message.c.mailbox_id == mailbox_id)
    if before is not None:
        newest = newest.where(message.c.uid < before)
    order = message.c.uid.desc()
    if after is not None:
        newest, order = newest.where(message.c.uid > after), message.c.uid.asc()
    page = newest.order_by(order).limit(limit).subquery()
    rows = conn.execute(
        sa.select(page, *_LISTED)
        .select_from(page.outerjoin(summary, _is_current(page.c.blob_id)))
        .order_by(page.c.uid.desc())
    )
    return [
        (read_message_row(row), None if row.fault is None else _read_summary(row)) for row in rows
    ]


def find_summaries(conn: Connection, blob_ids: Sequence[BlobId]) -> dict[BlobId, Summary]:
    """Return the summaries of those blobs that have one."""
    found: dict[BlobId, Summary] = {}
    for some in portions(blob_ids):
        query = sa.select(summary.c.blob_id, *_LISTED).where(
            summary.c.blob_id.in_(some), summary.c.version == VERSION
        )
        found.update((row.blob_id, _read_summary(row)) for row in conn.execute(query))
    return found


def find_waiting(conn: Connection, limit: int) -> list[WaitingBlob]:
    """Return blobs whose messages wait for the indexer, the oldest first."""
    ids = (
        sa.select(message.c.blob_id)
        .where(is_waiting())
        .distinct()
        .order_by(message.c.blob_id)
        .limit(limit)
    )
    return _waiting(conn, list(conn.scalars(ids)))


def has_threadless(conn: Connection, mailbox_id: MailboxId) -> bool:
    """Return whether a message of a mailbox has no thread yet."""
    mark = mark_of(conn)
    query = (
        f"SELECT 1 FROM message WHERE mailbox_id = {mark} AND thread_id IS NULL AND uid IN"  # noqa: S608
        # A mailbox is large, and few of its messages wait.
        f" (SELECT uid FROM message WHERE mailbox_id = {mark} AND indexed <> 1) LIMIT 1"
    )
    return bool(execute_text(conn, query, (mailbox_id, mailbox_id)))


def find_threadless(
    conn: Connection, mailbox_id: MailboxId, after: str, limit: int
) -> list[WaitingBlob]:
    """Return blobs of messages of one mailbox that have no thread yet, beginning after one."""
    here = message.c.mailbox_id == mailbox_id
    unindexed = sa.select(message.c.uid).where(here, is_unindexed())
    ids = (
        sa.select(message.c.blob_id)
        .where(
            here,
            # A mailbox is large, and few of its messages wait.
            message.c.uid.in_(unindexed),
            message.c.thread_id.is_(None),
            message.c.blob_id > after,
        )
        .distinct()
        .order_by(message.c.blob_id)
        .limit(limit)
    )
    return _waiting(conn, list(conn.scalars(ids)))


def find_after(conn: Connection, after: str, limit: int) -> list[WaitingBlob]:
    """Return blobs of messages in the order of their ids, beginning after one: to index all."""
    ids = (
        sa.select(message.c.blob_id)
        .where(message.c.blob_id > after)
        .distinct()
        .order_by(message.c.blob_id)
        .limit(limit)
    )
    return _waiting(conn, list(conn.scalars(ids)))


def count_blobs(conn: Connection) -> int:
    """Return how many blobs of messages there are: what ``find_after`` returns in all."""
    return conn.scalar(sa.select(sa.func.count(message.c.blob_id.distinct()))) or 0


def count_waiting(conn: Connection) -> int:
    """Return how many messages wait for the indexer."""
    query = sa.select(sa.func.count()).select_from(message).where(is_waiting())
    return conn.scalar(query) or 0


def differing_summaries(conn: Connection, new: Sequence[NewSummary]) -> list[BlobId]:
    """Return the blobs that have a summary of this version, without a fault, which is another."""
    wanted = {one.blob_id: _row(one, 0)[_CONTENT] for one in new}
    found: list[BlobId] = []
    for some in portions(list(wanted)):
        query = sa.select(*_COLUMNS).where(
            summary.c.blob_id.in_(some), summary.c.version == VERSION, summary.c.fault == ""
        )
        for row in conn.execute(query):
            kept = [bytes(one) if isinstance(one, memoryview) else one for one in row]
            if tuple(kept)[_CONTENT] != wanted[row.blob_id]:
                found.append(row.blob_id)
    return found


# ---- units of work ------------------------------------------------------------------------------


def write_summaries(tx: Connection, items: Sequence[Sequence[NewSummary]]) -> list[int]:
    """Write summaries of blobs, and what their messages wait for: threads, words in the index.

    A blob that is gone meanwhile gets no summary; a message whose blob is missing gets a thread all
    the same, or it would be looked at again and again.

    Unit of work: idempotent; locks the blobs, and where
    threads are given the accounts and mailboxes; touches nothing, because no MODSEQ changes.

    Returns:
        For each item how many summaries were written.
    """
    by_blob = {one.blob_id: one for item in items for one in item}
    kept = _hold(tx, by_blob)
    rows = [by_blob[blob_id] for blob_id in sorted(kept)]
    for start in range(0, len(rows), AT_ONCE):
        _upsert(tx, [_row(one, 0) for one in rows[start : start + AT_ONCE]])
    threads = choose_threads(tx, {one.blob_id: one.thread_keys for one in by_blob.values()})
    indexed = write_words(tx, {one.blob_id: one.words for one in by_blob.values()})
    # One statement: on PostgreSQL each writes a row and the entries of its indexes anew.
    # A parameter that is NULL in every row has no type there.
    places = sorted(threads.keys() | indexed.keys())
    for some in portions(
        [(*one, threads.get(one, ""), int(indexed.get(one, -1))) for one in places]
    ):
        marks, parameters = values(tx, some)
        execute_text(tx, _PLACE.format(marks), parameters)
    return [sum(one.blob_id in kept for one in item) for item in items]


_PLACE = (
    "UPDATE message SET thread_id = COALESCE(message.thread_id, NULLIF(placed.column3, '')),"
    " indexed = CASE WHEN message.indexed = 0 AND placed.column4 >= 0"
    " THEN placed.column4 ELSE message.indexed END FROM ({}) AS placed"
    " WHERE message.mailbox_id = placed.column1 AND message.uid = placed.column2"
)


def rewrite_summaries(tx: Connection, items: Sequence[Sequence[NewSummary]]) -> list[int]:
    """Write summaries and words of blobs anew, also where they were written before.

    Unit of work: as ``write_summaries``. The words of before stay in the index until
    ``text_merge.forget_segments``.
    """
    let_wait(tx, [one.blob_id for item in items for one in item])
    return write_summaries(tx, items)


@value_class(frozen=True, slots=True)
class ReadingTry:
    """What ``note_tries`` takes: the indexer is about to read a message."""

    blob_id: BlobId
    tries: int
    """With this one."""


def note_tries(tx: Connection, items: Sequence[ReadingTry]) -> list[None]:
    """Note before a message is read that it is: should the program die of it, the next one knows.

    Of a blob that is gone meanwhile nothing is noted.

    Unit of work: idempotent; locks the blobs. ``write_summaries`` resets the count.
    """
    kept = _hold(tx, {item.blob_id for item in items})
    there = [item for item in items if item.blob_id in kept]
    rows = [(item.blob_id, 0, item.tries, *_NOTHING) for item in there]
    insert_rows(tx, _COLUMNS, rows, keep_old=True)
    for item in there:
        tx.execute(
            sa.update(summary).where(summary.c.blob_id == item.blob_id).values(tries=item.tries)
        )
    return [None] * len(items)


def _hold(tx: Connection, blob_ids: Iterable[BlobId]) -> set[BlobId]:
    """Return those of the blobs that exist; they are not deleted until the commit."""
    kept: set[BlobId] = set()
    for some in portions(sorted(blob_ids)):
        held = sa.select(blob.c.id).where(blob.c.id.in_(some)).order_by(blob.c.id)
        # The lock is PostgreSQL's; with SQLite nothing else writes meanwhile.
        kept.update(tx.scalars(held.with_for_update(key_share=True, read=True)))
    return kept


# ---- rows ---------------------------------------------------------------------------------------

_COLUMNS = (
    summary.c.blob_id,
    summary.c.version,
    summary.c.tries,
    summary.c.fault,
    summary.c.subject,
    summary.c.base_subject,
    summary.c.people,
    summary.c.date_ms,
    summary.c.preview,
    summary.c.has_attachments,
    summary.c.message_id,
    summary.c.reference_ids,
    summary.c.envelope,
    summary.c.body,
    summary.c.body_structure,
)
_CONTENT = slice(3, None)
"""The columns that say something of the message."""
_NOTHING = ("", "", "", "[[],[],[]]", None, "", False, "", "", None, None, None)
_LISTED = (
    summary.c.fault,
    summary.c.subject,
    summary.c.base_subject,
    summary.c.people,
    summary.c.date_ms,
    summary.c.preview,
    summary.c.has_attachments,
    summary.c.message_id,
    summary.c.reference_ids,
)


def _is_current(blob_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(summary.c.blob_id == blob_id, summary.c.version == VERSION)


def _upsert(tx: Connection, rows: Sequence[Sequence[Any]]) -> None:
    names = [column.name for column in _COLUMNS]
    marks, parameters = values(tx, rows)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    # The names are those of ``schema``; every value is a parameter or a constant.
    text = (
        f"INSERT INTO summary ({', '.join(names)}) {marks}"
        f" ON CONFLICT (blob_id) DO UPDATE SET {changes}"
    )
    execute_text(tx, text, parameters)


def _row(one: NewSummary, tries: int) -> tuple[Any, ...]:
    found = one.summary
    people = [
        [[who.written_name, who.address, who.domain] for who in some]
        for some in (found.senders, found.to, found.cc)
    ]
    return (
        one.blob_id,
        VERSION,
        tries,
        found.fault,
        found.subject,
        found.base_subject,
        json.dumps(people, ensure_ascii=False, separators=(",", ":")),
        found.date_ms,
        found.preview,
        found.has_attachments,
        found.message_id,
        # A line end divides the ids of References from those only In-Reply-To has.
        " ".join(found.references[: found.referred])
        + "".join([f"\n{one}" for one in found.references[found.referred :]]),
        one.envelope and bytearray(one.envelope),
        one.body and bytearray(one.body),
        one.body_structure and bytearray(one.body_structure),
    )


def _read_summary(row: Any) -> Summary:
    senders, to, cc = (tuple([Person(*who) for who in some]) for some in json.loads(row.people))
    return Summary(
        subject=row.subject,
        base_subject=row.base_subject,
        senders=senders,
        to=to,
        cc=cc,
        date_ms=row.date_ms,
        preview=row.preview,
        has_attachments=row.has_attachments,
        message_id=row.message_id,
        references=tuple(row.reference_ids.split()),
        referred=len(row.reference_ids.partition("\n")[0].split()),
        fault=row.fault,
    )


def _waiting(conn: Connection, blob_ids: Sequence[BlobId]) -> list[WaitingBlob]:
    found = {blob_id: WaitingBlob(blob_id, 0, 0) for blob_id in blob_ids}
    for some in portions(blob_ids):
        query = (
            sa.select(blob.c.id, blob.c.size, sa.func.coalesce(summary.c.tries, 0).label("tries"))
            .select_from(blob.outerjoin(summary, summary.c.blob_id == blob.c.id))
            .where(blob.c.id.in_(some))
        )
        found.update(
            (row.id, WaitingBlob(row.id, row.size, row.tries)) for row in conn.execute(query)
        )
    return list(found.values())
