"""Writes summaries and words of messages in the background, after the commit that accepted them.

One worker of all nodes runs it (``app.upkeep``). What it has to do is in the store: messages that
wait (``store.mail.text_index``). So it may be killed at any instruction, and an upgraded store is
indexed by it as well.

A message that cannot be read gets a summary that says so. One that kills the program is found by
what is noted before it is read: after each start the first messages are noted, because one of them
may be what ended the program before, and those that were noted already are read one at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from zajil.core.ids import AccountId, BlobId, MailboxId, Uid
from zajil.core.value_class import value_class
from zajil.imap.body_structure import body_structure
from zajil.imap.envelope import envelope
from zajil.message.fields import MAX_FIELDS
from zajil.message.index_words import NO_WORDS, ReadFile, index_words
from zajil.message.large_data import Data, read_data
from zajil.message.parse import parse_message
from zajil.message.summary import Summary, faulty_summary, summarize, thread_keys
from zajil.message.view import MessageView
from zajil.net.logger import get_logger
from zajil.read.index_merger import clean_account, merge_account_now, merge_accounts
from zajil.read.index_pace import IndexPace
from zajil.read.pdf_text import pdf_text
from zajil.store.engine.dialect import Progress
from zajil.store.engine.errors import BytesAway, StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.blobs import Blobs, NoSuchBlob
from zajil.store.mail.messages import Message, open_message
from zajil.store.mail.summaries import (
    MAX_TRIES,
    NewSummary,
    ReadingTry,
    WaitingBlob,
    count_blobs,
    find_after,
    find_waiting,
    newest_summaries,
    note_tries,
    rewrite_summaries,
    write_summaries,
)
from zajil.store.mail.text_merge import (
    OldSegments,
    find_crowded,
    forget_segments,
    last_segment,
)
from zajil.store.mail.threads import prune_threads
from zajil.store.people.accounts import list_accounts

BATCH = 64
"""Messages that are written in one commit."""
_BUSY_BATCH = 8
"""The same while mail comes in."""
_BATCH_BYTES = 4 << 20
"""Bytes of them; a longer message is alone."""
_MOST_AWAY = 1000
_ON_DEMAND = 65_536
"""Bytes of a message that is read whole when a list needs it and the indexer was not there yet."""
_HEAD = 32_768
"""Bytes of a longer one that are read: its header section and the first words."""
MAX_FORM = 16_384
"""Bytes of an ENVELOPE or BODYSTRUCTURE that are kept; a longer one is made for each FETCH."""


class Indexer:
    """Writes the summaries of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pace = IndexPace()
        self._careful = BATCH
        """Messages that are still noted before they are read."""
        self._away: set[BlobId] = set()
        """Messages in S3 that could not be read in this round: later ones do not wait for them."""
        self._log = get_logger()

    async def run(self) -> None:
        """Index what is new, again and again; until cancelled."""
        unfollow = self._pace.follow(self._store.changes)
        try:
            while True:
                try:
                    await self.index_waiting()
                except StoreUnavailable as error:
                    self._log.warning("the indexer waits for the store", reason=str(error))
                await self._pace.wait_for_work()
        finally:
            unfollow()

    async def index_waiting(self) -> int:
        """Index all messages that wait; return how many were read.

        Raises:
            StoreUnavailable: the rest still waits.
        """
        count = 0
        self._away.clear()
        while True:
            size = len(self._away) + (_BUSY_BATCH if self._pace.is_busy else BATCH)
            waiting = await self._store.read(lambda conn: find_waiting(conn, size))  # noqa: B023
            waiting = [one for one in waiting if one.blob_id not in self._away]
            if not waiting:
                return count
            if len(self._away) > _MOST_AWAY:
                raise StoreUnavailable("too many messages cannot be read now")
            for some in _batches(waiting):
                began = time.monotonic()
                count += await self._index(some)
                await self._merge(some)
                await self._pace.rest(time.monotonic() - began)

    async def prune(self) -> None:
        """Forget the links of threads without messages, and the words of messages that are gone.

        Raises:
            StoreUnavailable: the rest is left for the next time.
        """
        for one in await self._store.read(list_accounts):
            await self._store.write_large(prune_threads, one.account_id, one.account_id)
            await clean_account(self._store, one.account_id)

    async def _index(self, waiting: Sequence[WaitingBlob]) -> int:
        if self._careful > 0:
            self._careful -= len(waiting)
            groups = [[one] for one in waiting if one.tries]
            if len(groups) < len(waiting):
                groups.append([one for one in waiting if not one.tries])
            for some in groups:
                tries = [ReadingTry(one.blob_id, one.tries + 1) for one in some]
                await asyncio.gather(*[self._store.write(note_tries, one) for one in tries])
                await self._read_and_write(some)
        else:
            await self._read_and_write(waiting)
        return len(waiting)

    async def _merge(self, indexed: Sequence[WaitingBlob]) -> None:
        ids = [one.blob_id for one in indexed]
        await merge_accounts(
            self._store, await self._store.read(lambda conn: find_crowded(conn, ids))
        )

    async def _read_and_write(self, waiting: Sequence[WaitingBlob]) -> None:
        blobs = self._store.blobs
        away: list[WaitingBlob] = []
        new = await self._store.read(lambda conn: read_summaries(conn, blobs, waiting, away))
        await self._store.write(write_summaries, new)
        for one in away:
            self._away.add(one.blob_id)
            # It was not the message that kept it from being read.
            await self._store.write(note_tries, ReadingTry(one.blob_id, one.tries))


async def index_now(store: Store, account_id: AccountId, waiting: Sequence[WaitingBlob]) -> None:
    """Index these messages for somebody who waits for their threads.

    Raises:
        StoreUnavailable: the rest still waits.
    """
    for some in _batches(waiting):
        new = await store.read(lambda conn: read_summaries(conn, store.blobs, some), account_id)  # noqa: B023
        await store.write(write_summaries, new)


def reindex(store: Store, progress: Progress) -> int:
    """Write summaries and words of all messages anew; return how many there are.

    Works beside a running server: each batch is a commit of its own. Threads that messages have
    already stay. What is in the index stays there until all was written anew.

    Args:
        store: opened; not started.
        progress: is called with the number of messages that are done, and that there are.

    Raises:
        StoreUnavailable: the rest was not done.
    """
    total, done, last = store.read_now(count_blobs), 0, ""
    last_old = store.read_now(last_segment)
    progress(0, total)
    while waiting := store.read_now(lambda conn: find_after(conn, last, BATCH)):  # noqa: B023
        last = waiting[-1].blob_id
        for some in _batches([replace(one, tries=0) for one in waiting]):
            new = store.read_now(lambda conn: read_summaries(conn, store.blobs, some))  # noqa: B023
            store.write_now(rewrite_summaries, new)
            done += len(some)
            progress(min(done, total), total)
        ids = [one.blob_id for one in waiting]
        for account_id in store.read_now(lambda conn: find_crowded(conn, ids)):  # noqa: B023
            merge_account_now(store, account_id)
    while store.write_now(forget_segments, OldSegments(last_old, BATCH)):
        continue
    progress(total, total)
    return done


def read_summaries(
    conn: Snapshot,
    blobs: Blobs,
    waiting: Iterable[WaitingBlob],
    away: list[WaitingBlob] | None = None,
) -> tuple[NewSummary, ...]:
    """Read messages and return their summaries; of one that cannot be read, the reason.

    For a reader thread.

    Args:
        conn: a snapshot.
        blobs: of the store.
        waiting: which messages.
        away: takes those whose bytes cannot be read now and perhaps later; they get no summary.

    Raises:
        BytesAway: there is one of these, and ``away`` is ``None``.
    """
    found: list[NewSummary] = []
    waiting = list(waiting)
    opened = blobs.open_all(conn, [one.blob_id for one in waiting if one.tries < MAX_TRIES])
    for one in waiting:
        if one.tries >= MAX_TRIES:
            found.append(_unreadable(one.blob_id, "the program ended when it read the message"))
            continue
        try:
            open_blob = opened.get(one.blob_id)
            if open_blob is None:
                found.append(_unreadable(one.blob_id, "its bytes are missing"))
                continue
            with open_blob() as reader:
                found.append(make_summary(one.blob_id, read_data(reader), pdf_text))
        except BytesAway:
            if away is None:
                raise
            away.append(one)
        except StoreUnavailable as error:
            found.append(_unreadable(one.blob_id, str(error)))
        except Exception as error:  # a fault of ours must not stop the indexer at this message
            log = get_logger()
            log.error("cannot summarize a message", blob=one.blob_id, exc_info=error)
            found.append(_unreadable(one.blob_id, repr(error)))
    return tuple(found)


@value_class(frozen=True, slots=True)
class ListPage:
    """One page of a list of messages, the newest first."""

    lines: tuple[tuple[Message, Summary], ...]
    new: tuple[NewSummary, ...]
    """Summaries that were missing, for ``keep_new``."""


def read_page(
    conn: Snapshot,
    blobs: Blobs,
    mailbox_id: MailboxId,
    limit: int,
    *,
    before: Uid | None = None,
    after: Uid | None = None,
) -> ListPage:
    """Read one page of a list; messages without a summary are read.

    For a reader thread.

    Args:
        conn: a snapshot.
        blobs: of the store.
        mailbox_id: of a mailbox that the caller found under its account.
        limit: most messages.
        before: only those with a smaller UID; ``None``: from the end.
        after: the oldest of those with a larger UID, instead of the newest.
    """
    return complete_page(
        conn, blobs, newest_summaries(conn, mailbox_id, limit, before=before, after=after)
    )


def complete_page(
    conn: Snapshot, blobs: Blobs, found: Iterable[tuple[Message, Summary | None]]
) -> ListPage:
    """Return messages as a page of a list, in their order; those without a summary are read."""
    lines: list[tuple[Message, Summary]] = []
    new: list[NewSummary] = []
    for row, known in found:
        if known is not None and not known.fault:
            lines.append((row, known))
            continue
        if row.size > _ON_DEMAND:
            lines.append((row, _read_head(conn, blobs, row)))
            continue
        try:
            (made,) = read_summaries(conn, blobs, [WaitingBlob(row.blob_id, row.size, 0)])
        except BytesAway as error:
            made = _unreadable(row.blob_id, str(error))
        lines.append((row, made.summary))
        if not made.summary.fault:
            new.append(made)
    return ListPage(tuple(lines), tuple(new))


def keep_new(store: Store, page: ListPage) -> None:
    """Write the summaries that were missing, with the next commit; nobody waits for it."""
    if page.new:
        store.write_later(write_summaries, page.new)


async def keep_now(store: Store, page: ListPage) -> bool:
    """Write the summaries that were missing, and with them the threads of their messages.

    Returns:
        Whether something was written that the page does not show yet.
    """
    if not page.new:
        return False
    try:
        await store.write(write_summaries, page.new)
    except StoreUnavailable:  # the indexer will
        return False
    return True


def _read_head(conn: Snapshot, blobs: Blobs, row: Message) -> Summary:
    try:
        with open_message(conn, blobs, row) as reader:
            return summarize(MessageView.from_bytes(reader.read_at(0, _HEAD)))
    except (NoSuchBlob, StoreUnavailable) as error:
        return faulty_summary(str(error))


def make_summary(blob_id: BlobId, data: Data, read_pdf: ReadFile | None = None) -> NewSummary:
    """Return the summary of a message. Pure, but for reading a large one."""
    view = MessageView.from_data(data)
    found = summarize(view)
    root = view.root if isinstance(data, bytes) else parse_message(data)
    # With header fields in front of it a message that begins otherwise would be read otherwise.
    is_alike = bool(view.fields and view.fields[0].name) and len(view.fields) < MAX_FIELDS - 10
    return NewSummary(
        blob_id=blob_id,
        summary=found,
        thread_keys=thread_keys(found),
        envelope=_kept(envelope(root)) if is_alike else None,
        body=_kept(body_structure(root, data, extended=False)) if is_alike else None,
        body_structure=_kept(body_structure(root, data, extended=True)) if is_alike else None,
        words=index_words(view.fields, root, data, read_pdf),
    )


def _kept(form: bytes) -> bytes | None:
    return form if len(form) <= MAX_FORM else None


def _unreadable(blob_id: BlobId, reason: str) -> NewSummary:
    return NewSummary(
        blob_id=blob_id,
        summary=faulty_summary(reason),
        thread_keys=(),
        envelope=None,
        body=None,
        body_structure=None,
        words=NO_WORDS,
    )


def _batches(waiting: Sequence[WaitingBlob]) -> list[list[WaitingBlob]]:
    """Divide into what is read in one turn of a reader thread."""
    batches: list[list[WaitingBlob]] = []
    size = 0
    for one in waiting:
        size += one.size
        if not batches or size > _BATCH_BYTES:
            batches.append([])
            size = one.size
        batches[-1].append(one)
    return batches
