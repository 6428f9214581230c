"""Threads: which messages of an account belong together.

Laws:
- A thread id never changes: a message that connects two threads joins the older one.
- A message without a thread is one that the indexer has to look at; each gets one, whatever it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId, ThreadId
from zajil.store.engine.rows import AT_ONCE, execute_text, insert_rows, portions, values
from zajil.store.mail.append import lock_mailboxes
from zajil.store.schema import account, mailbox, message, thread_link


def prune_threads(tx: Connection, account_ids: Sequence[AccountId]) -> list[int]:
    """Forget the links of threads that have no message left; return how many each account had.

    Unit of work: idempotent; locks the account.
    """
    counts = []
    for account_id in account_ids:
        _lock_accounts(tx, [account_id])
        living = (
            sa.select(message.c.thread_id)
            .join(mailbox, mailbox.c.id == message.c.mailbox_id)
            .where(mailbox.c.account_id == account_id, message.c.thread_id.is_not(None))
        )
        gone = sa.delete(thread_link).where(
            thread_link.c.account_id == account_id, thread_link.c.thread_id.not_in(living)
        )
        counts.append(tx.execute(gone).rowcount)
    return counts


def delete_threads_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Forget the threads of accounts that are removed."""
    tx.execute(sa.delete(thread_link).where(thread_link.c.account_id.in_(account_ids)))


_THREADLESS = (
    sa.select(
        message.c.mailbox_id,
        message.c.uid,
        message.c.blob_id,
        sa.func.coalesce(mailbox.c.account_id, 0).label("account_id"),  # 0: the mailbox is missing
    )
    .select_from(message.outerjoin(mailbox, mailbox.c.id == message.c.mailbox_id))
    .where(
        message.c.blob_id.in_(sa.bindparam("ids_", expanding=True)), message.c.thread_id.is_(None)
    )
)
_LINKS = sa.select(thread_link.c.key, thread_link.c.thread_id).where(
    thread_link.c.account_id == sa.bindparam("account_"),
    thread_link.c.key.in_(sa.bindparam("keys_", expanding=True)),
)


def give_threads(tx: Connection, keys: Mapping[BlobId, tuple[int, ...]]) -> None:
    """Assign threads to the messages of these blobs, oldest blob first.

    Unit of work: idempotent; locks accounts and mailboxes.

    Args:
        tx: the transaction.
        keys: of each blob, what connects it with others (``message.summary.thread_keys``).
    """
    waiting: dict[AccountId, dict[BlobId, list[tuple[int, int]]]] = {}
    for some in portions(list(keys)):
        for row in tx.execute(_THREADLESS, {"ids_": some}):
            places = waiting.setdefault(row.account_id, defaultdict(list))
            places[row.blob_id].append((row.mailbox_id, row.uid))
    if not waiting:
        return
    _lock_accounts(tx, list(waiting))
    mailboxes = {box for places in waiting.values() for some in places.values() for box, _ in some}
    lock_mailboxes(tx, sorted(MailboxId(box) for box in mailboxes))
    placed: list[tuple[int, int, ThreadId]] = []
    for account_id, places in sorted(waiting.items()):
        threads = _choose_threads(tx, account_id, {one: keys[one] for one in sorted(places)})
        placed += [(box, uid, threads[one]) for one, found in places.items() for box, uid in found]
    for start in range(0, len(placed), AT_ONCE):
        marks, parameters = values(tx, placed[start : start + AT_ONCE])
        execute_text(
            tx,
            "UPDATE message SET thread_id = placed.column3"  # noqa: S608
            f" FROM ({marks}) AS placed WHERE message.mailbox_id = placed.column1"
            " AND message.uid = placed.column2 AND message.thread_id IS NULL",
            parameters,
        )


def _choose_threads(
    tx: Connection, account_id: AccountId, by_blob: Mapping[BlobId, tuple[int, ...]]
) -> dict[BlobId, ThreadId]:
    every = list({key for keys in by_blob.values() for key in keys})
    links: dict[int, ThreadId] = {}
    for some in portions(every):
        given = {"account_": account_id, "keys_": some}
        links.update((row.key, row.thread_id) for row in tx.execute(_LINKS, given))
    new: list[tuple[int, int, str]] = []
    threads: dict[BlobId, ThreadId] = {}
    for blob_id, keys in by_blob.items():
        joined = [links[key] for key in keys if key in links]
        # A thread has the id of the blob that began it, so the smallest is the oldest.
        thread = min(joined, default=ThreadId(blob_id))
        threads[blob_id] = thread
        for key in keys:
            if key not in links:
                links[key] = thread
                new.append((account_id, key, thread))
    columns = (thread_link.c.account_id, thread_link.c.key, thread_link.c.thread_id)
    insert_rows(tx, columns, sorted(new), keep_old=True)
    return threads


def _lock_accounts(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Lock accounts, so that one transaction at a time gives them threads.

    SQLite has one writer at a time, and nothing to lock.
    """
    if tx.dialect.name == "postgresql":
        tx.execute(
            sa.select(account.c.id)
            .where(account.c.id.in_(account_ids))
            .order_by(account.c.id)
            .with_for_update(key_share=True)
        )
