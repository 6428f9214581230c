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
from zajil.store.engine.rows import execute_text, insert_rows, portions, values
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


def choose_threads(
    tx: Connection, keys: Mapping[BlobId, tuple[int, ...]]
) -> dict[tuple[int, int], ThreadId]:
    """Choose threads for the messages of these blobs that have none, oldest blob first.

    A part of a unit of work: idempotent; locks accounts and mailboxes.

    Args:
        tx: the transaction.
        keys: of each blob, what connects it with others (``message.summary.thread_keys``).

    Returns:
        The thread of each message, by mailbox and UID; the caller writes it into its row.
    """
    waiting: dict[AccountId, dict[BlobId, list[tuple[int, int]]]] = {}
    for some in portions(list(keys)):
        for row in tx.execute(_THREADLESS, {"ids_": some}):
            places = waiting.setdefault(row.account_id, defaultdict(list))
            places[row.blob_id].append((row.mailbox_id, row.uid))
    if not waiting:
        return {}
    _lock_accounts(tx, list(waiting))
    mailboxes = {box for places in waiting.values() for some in places.values() for box, _ in some}
    lock_mailboxes(tx, sorted(MailboxId(box) for box in mailboxes))
    threads = _choose_threads(
        tx,
        {
            (account_id, blob_id): keys[blob_id]
            for account_id, places in sorted(waiting.items())
            for blob_id in sorted(places)
        },
    )
    return {
        place: threads[account_id, blob_id]
        for account_id, places in waiting.items()
        for blob_id, found in places.items()
        for place in found
    }


def _choose_threads(
    tx: Connection, keys: Mapping[tuple[AccountId, BlobId], tuple[int, ...]]
) -> dict[tuple[AccountId, BlobId], ThreadId]:
    """Return the thread of each blob in each account, and link what connects new messages to it.

    Args:
        tx: the transaction, which has locked the accounts.
        keys: what connects each with others; of one account, the oldest blob first.
    """
    every = sorted({(owner, key) for (owner, _), some in keys.items() for key in some})
    links: dict[tuple[int, int], ThreadId] = {}
    for some in portions(every):
        wanted, parameters = values(tx, some)
        # One statement for all accounts; the names are constants.
        found = execute_text(
            tx,
            # SQLite takes the sides of a CROSS JOIN in their order.
            f"SELECT account_id, key, thread_id FROM ({wanted}) AS wanted CROSS JOIN thread_link"  # noqa: S608
            " WHERE account_id = wanted.column1 AND key = wanted.column2",
            parameters,
        )
        links.update(((owner, key), ThreadId(thread)) for owner, key, thread in found)
    new: list[tuple[int, int, str]] = []
    threads: dict[tuple[AccountId, BlobId], ThreadId] = {}
    for (owner, blob_id), own_keys in keys.items():
        joined = [links[owner, key] for key in own_keys if (owner, key) in links]
        # A thread has the id of the blob that began it, so the smallest is the oldest.
        thread = min(joined, default=ThreadId(blob_id))
        threads[owner, blob_id] = thread
        for key in own_keys:
            if (owner, key) not in links:
                links[owner, key] = thread
                new.append((owner, key, thread))
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
