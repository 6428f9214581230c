"""What a backup has of one account: rows in a database of their own, and the bytes of messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId
from zajil.core.value_class import value_class
from zajil.store.people.accounts import AccountRow, get_account
from zajil.store.schema import mailbox, message

OpenBlobs = Callable[[Iterable[BlobId]], Mapping[BlobId, Callable[[], Iterator[bytes]]]]
"""Returns for each of some blobs that the backup has a function that reads it in pieces, and may
raise ``DamagedBackup``."""


@value_class(frozen=True, slots=True)
class AccountSource:
    """One account as a backup has it."""

    conn: Connection
    """Of a database with the tables of this version; rows of other accounts may be missing."""
    account_id: AccountId
    """Its id in the backup."""
    open_blobs: OpenBlobs

    @property
    def account(self) -> AccountRow:
        """Its row."""
        row = get_account(self.conn, self.account_id)
        if row is None:
            raise LookupError(f"account {self.account_id} is not in the source")
        return row


@value_class(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which messages are meant; ``None``: all."""

    mailbox: str | None = None
    """A mailbox as it was called in the backup, with those below it."""
    since_ms: int | None = None
    """Received at this time (INTERNALDATE) or later."""
    until_ms: int | None = None
    """Received before this time."""

    @property
    def has_days(self) -> bool:
        """Whether messages of some days only are meant."""
        return self.since_ms is not None or self.until_ms is not None

    def includes(self, row: Mapping[str, Any]) -> bool:
        """Check whether a row of table ``message`` is of the days that are meant."""
        at_ms = row["received_at_ms"]
        return (self.since_ms is None or at_ms >= self.since_ms) and (
            self.until_ms is None or at_ms < self.until_ms
        )


def is_below(name: str, above: str) -> bool:
    """Check whether a name is that of a mailbox or of one below it."""
    return name == above or name.startswith(f"{above}/")


def chosen_mailboxes(source: AccountSource, choice: Choice) -> list[Any]:
    """Return the rows of the mailboxes that are meant, by name: those above before those below."""
    mine = sa.select(mailbox).where(mailbox.c.account_id == source.account_id)
    rows = source.conn.execute(mine.order_by(mailbox.c.name)).all()
    name = choice.mailbox
    return [row for row in rows if name is None or is_below(row.name, name)]


def blobs_of(
    source: AccountSource, mailbox_id: MailboxId, choice: Choice, portion: int
) -> Iterator[list[Any]]:
    """Yield blob and size of the chosen messages of a mailbox by their UIDs, in portions."""
    after = 0
    while True:
        search = (
            sa.select(message.c.uid, message.c.blob_id, message.c.size)
            .where(message.c.mailbox_id == mailbox_id, message.c.uid > after, *_days(choice))
            .order_by(message.c.uid)
            .limit(portion)
        )
        rows = source.conn.execute(search).all()
        if not rows:
            return
        after = rows[-1].uid
        yield list(rows)


def messages_with(
    source: AccountSource, mailbox_ids: list[int], choice: Choice, blob_ids: list[BlobId]
) -> list[Any]:
    """Return the rows of all chosen messages that have one of these blobs, by mailbox and UID."""
    search = sa.select(message).where(
        message.c.mailbox_id.in_(mailbox_ids), message.c.blob_id.in_(blob_ids), *_days(choice)
    )
    return list(source.conn.execute(search.order_by(message.c.mailbox_id, message.c.uid)))


def _days(choice: Choice) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if choice.since_ms is not None:
        conditions.append(message.c.received_at_ms >= choice.since_ms)
    if choice.until_ms is not None:
        conditions.append(message.c.received_at_ms < choice.until_ms)
    return conditions
