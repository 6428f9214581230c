"""What the units of one commit leave behind beside their rows.

The writer puts a ``Batch`` into the connection's ``info`` for the time of one transaction; units
reach it through the functions here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NewType

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId
from zajil.store.mail.caps import Caps
from zajil.store.schema import counter

Topic = NewType("Topic", str)
"""What a commit changed: a mailbox, the queue, the directory. It has no space in it."""

QUEUE = Topic("queue")
"""A recipient row began to wait, or its time changed."""
DIRECTORY = Topic("directory")
"""A domain, account, address or alias changed. Its commits are counted in table ``counter``, so
that a worker that missed the hint finds out."""
CERTIFICATES = Topic("certificates")
"""A certificate, key or challenge changed: all workers load them. Counted as ``DIRECTORY``."""
NEW_MESSAGES = Topic("messages")
"""A message came into some mailbox: the indexer looks at it."""

PROGRESS = Topic("progress")
"""Something came of mail in the queue: whoever looks at a journey looks again."""
PUSH = Topic("push")
"""A browser wants to be told of new mail, or another way: ``read.push_sender`` looks at it."""


def mailbox_topic(mailbox_id: MailboxId) -> Topic:
    """Name the topic of one mailbox: anything that gives it a new MODSEQ."""
    return Topic(f"mailbox:{mailbox_id}")


def names_topic(account_id: AccountId) -> Topic:
    """Name the topic of the mailboxes that an account sees: their names, its subscriptions and
    annotations. That of account 0 concerns what everybody sees."""
    return Topic(f"names:{account_id}")


@dataclass(slots=True)
class Batch:
    """One transaction of the writer."""

    require_space: Callable[[], None]
    now_ms: int
    """When it began, by the clock of the store."""
    caps: Caps
    """How much an account may keep."""
    touched: set[Topic] = field(default_factory=set)
    """Topics to announce once the commit is on disk."""
    released_files: list[str] = field(default_factory=list)
    """Locations of blobs without a reference, to be unlinked after the commit."""
    notes: list[Any] = field(default_factory=list)
    """What an observer of the store is told after the commit (``store.mail.tracking``)."""


_KEY = "zajil.batch"


def begin_batch(tx: Connection, batch: Batch) -> None:
    """Make ``batch`` the one that units on this connection write to."""
    tx.info[_KEY] = batch


def seal_batch(tx: Connection, batch: Batch) -> None:
    """Write what follows from all units together; the last act before COMMIT."""
    for topic in (DIRECTORY, CERTIFICATES):
        if topic not in batch.touched:
            continue
        count = sa.update(counter).where(counter.c.name == topic)
        if tx.execute(count.values(value=counter.c.value + 1)).rowcount == 0:
            tx.execute(sa.insert(counter).values(name=topic, value=1))


def touch(tx: Connection, *topics: Topic) -> None:
    """Mark these topics as changed; subscribers are notified after the commit."""
    _batch(tx).touched.update(topics)


def require_space(tx: Connection) -> None:
    """Demand the reserve of free space, before new mail is written.

    Raises:
        ReserveReached: less is free than ``store.free_space_reserve``.
    """
    _batch(tx).require_space()


def time_of(tx: Connection) -> int:
    """Return when this transaction began, in milliseconds since 1970."""
    return _batch(tx).now_ms


def caps_of(tx: Connection) -> Caps:
    """Return how much an account may keep."""
    return _batch(tx).caps


def release_files(tx: Connection, locations: list[str]) -> None:
    """Unlink these files of blobs once the transaction is committed."""
    _batch(tx).released_files.extend(locations)


def note(tx: Connection, notes: Iterable[object]) -> None:
    """Have the observers of the store told of this once the transaction is committed."""
    _batch(tx).notes.extend(notes)


def _batch(tx: Connection) -> Batch:
    batch: Batch = tx.info[_KEY]
    return batch
