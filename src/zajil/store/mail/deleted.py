"""Deleted messages that can be taken back, until they are too old or must make room.

Laws:
- A message that is expunged, or whose mailbox is deleted, is kept here with all it had, and keeps
  its blob. Moving a message deletes nothing.
- The counts in the row of the account change in the same transaction.
- What is removed from here is gone for good. The oldest goes first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.batch import caps_of, time_of
from zajil.store.engine.rows import execute_text, mark_of, portions
from zajil.store.mail.blob_rows import release_blobs
from zajil.store.schema import account, deleted_message, mail, summary


@value_class(frozen=True, slots=True, kw_only=True)
class DeletedMessage:
    """One message that can be taken back."""

    deleted_id: int
    account_id: AccountId
    mailbox_id: MailboxId
    mailbox: str
    """Its name when the message was deleted."""
    uid: Uid
    """That it had there."""
    deleted_ms: int
    received_at_ms: int
    size: int
    subject: str
    """"": not known, or none."""


@value_class(frozen=True, slots=True, kw_only=True)
class DeletedQuery:
    """Which deleted messages of an account are meant; ``None``: whatever it is."""

    account_id: AccountId
    since_ms: int | None = None
    """Deleted at this time or later."""
    mailbox: str | None = None
    mailbox_id: MailboxId | None = None
    uids: frozenset[int] | None = None
    subject: str | None = None
    """A part of it, in any case."""


# ---- for units that expunge ---------------------------------------------------------------------


def keeps_deleted(tx: Connection) -> bool:
    """Check whether deleted messages can be taken back on this server."""
    return caps_of(tx).undelete_ms > 0


def keep_deleted(
    tx: Connection, mailbox_id: MailboxId, which: str = "TRUE", numbers: Sequence[int] = ()
) -> None:
    """Keep messages that the caller deletes afterwards in the same transaction.

    The caller has locked the mailbox, and leaves the blobs alone.

    Args:
        tx: an open transaction.
        mailbox_id: of the mailbox.
        which: a condition on table ``message``; all by default.
        numbers: its parameters.
    """
    mark, taken = mark_of(tx), ", ".join(_TAKEN_ALONG)
    of_message = ", ".join([f"message.{name}" for name in _TAKEN_ALONG])
    # The names are constants.
    execute_text(
        tx,
        f"INSERT INTO deleted_message (account_id, mailbox, mailbox_id, deleted_ms, {taken})"  # noqa: S608
        f" SELECT mailbox.account_id, mailbox.name, mailbox.id, {mark}, {of_message}"
        " FROM mailbox JOIN message ON message.mailbox_id = mailbox.id"
        f" WHERE mailbox.id = {mark} AND {which} ORDER BY uid",
        (time_of(tx), mailbox_id, *numbers),
    )


def count_deleted(tx: Connection, account_id: AccountId, messages: int, size: int) -> None:
    """Add to what an account has deleted, or take away."""
    tx.execute(
        sa.update(account)
        .where(account.c.id == account_id)
        .values(
            deleted_messages=account.c.deleted_messages + messages,
            deleted_size=account.c.deleted_size + size,
        )
    )


# ---- queries ------------------------------------------------------------------------------------


def find_deleted(conn: Connection, query: DeletedQuery, limit: int) -> list[DeletedMessage]:
    """Return deleted messages of an account, the last deleted first."""
    rows = deleted_message.c
    chosen = (
        # A message that was deleted at once has no summary yet.
        sa.select(
            deleted_message,
            sa.func.coalesce(summary.c.subject, mail.c.subject, "").label("subject"),
        )
        .outerjoin(summary, summary.c.blob_id == rows.blob_id)
        .outerjoin(mail, mail.c.id == rows.mail_id)
        .where(rows.account_id == query.account_id)
        .order_by(rows.id.desc())
    )
    if query.since_ms is not None:
        chosen = chosen.where(rows.deleted_ms >= query.since_ms)
    if query.mailbox is not None:
        chosen = chosen.where(rows.mailbox == query.mailbox)
    if query.mailbox_id is not None:
        chosen = chosen.where(rows.mailbox_id == query.mailbox_id)
    wanted = None if query.subject is None else query.subject.casefold()
    found: list[DeletedMessage] = []
    for row in conn.execute(chosen):
        if query.uids is not None and row.uid not in query.uids:
            continue
        if wanted is not None and wanted not in row.subject.casefold():
            continue
        found.append(_row(row))
        if len(found) == limit:
            break
    return found


# ---- units of work ------------------------------------------------------------------------------


@value_class(frozen=True, slots=True)
class Chosen:
    """Some deleted messages of an account."""

    account_id: AccountId
    deleted_ids: tuple[int, ...]


def purge_deleted(tx: Connection, items: Sequence[Chosen]) -> list[int]:
    """Remove deleted messages for good; those that are gone are passed over.

    Unit of work: idempotent; locks the blobs and the account.

    Returns:
        For each item how many were removed.
    """
    return [len(take_deleted(tx, item, release=True)) for item in items]


def purge_old(tx: Connection, limits: Sequence[int]) -> list[int]:
    """Remove the oldest messages that were deleted before a time (ms since 1970), for good.

    Unit of work: idempotent; locks the blobs and the accounts.

    Returns:
        For each item how many were removed; fewer than ``PORTION``: there are no others.
    """
    counts: list[int] = []
    for before_ms in limits:
        oldest = sa.select(deleted_message.c.id, deleted_message.c.deleted_ms)
        rows = tx.execute(oldest.order_by(deleted_message.c.id).limit(PORTION)).all()
        ids = [row.id for row in rows if row.deleted_ms < before_ms]
        counts.append(len(_remove(tx, deleted_message.c.id.in_(ids), release=True)) if ids else 0)
    return counts


@value_class(frozen=True, slots=True)
class MakeRoom:
    """What ``make_room`` takes."""

    account_id: AccountId
    messages: int
    """So many at least; or"""
    size: int
    """so many bytes at least."""


def make_room(tx: Connection, items: Sequence[MakeRoom]) -> list[int]:
    """Remove the oldest deleted messages of accounts for good, until enough are gone.

    Unit of work: not idempotent; locks the blobs and the accounts.

    Returns:
        For each item how many were removed, at most ``PORTION``.
    """
    counts: list[int] = []
    for item in items:
        mine = deleted_message.c.account_id == item.account_id
        oldest = sa.select(deleted_message.c.id, deleted_message.c.size).where(mine)
        ids: list[int] = []
        size = 0
        for row in tx.execute(oldest.order_by(deleted_message.c.id).limit(PORTION)).all():
            if len(ids) >= item.messages and size >= item.size:
                break
            ids.append(row.id)
            size += row.size
        counts.append(len(_remove(tx, deleted_message.c.id.in_(ids), release=True)) if ids else 0)
    return counts


def take_deleted(tx: Connection, item: Chosen, *, release: bool) -> list[Any]:
    """Remove rows of an account and count them; return them.

    Args:
        tx: an open transaction.
        item: which; those that are gone are passed over.
        release: let go of their blobs as well.
    """
    taken: list[Any] = []
    for some in portions(item.deleted_ids):
        # Security: an id is never enough; it must be the account's own.
        mine = deleted_message.c.account_id == item.account_id
        taken += _remove(tx, sa.and_(mine, deleted_message.c.id.in_(some)), release=release)
    return taken


def delete_deleted_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Remove everything that accounts have deleted, for good, when the accounts go."""
    _remove(tx, deleted_message.c.account_id.in_(account_ids), release=True)


PORTION = 1000
"""Messages that one unit removes."""


# ---- inside -------------------------------------------------------------------------------------

_TAKEN_ALONG = (
    "uid",
    "flags",
    "keywords",
    "received_at_ms",
    "size",
    "blob_id",
    "mail_id",
    "prefix",
    "thread_id",
)
"""Columns that both tables have."""


def _remove(tx: Connection, which: sa.ColumnElement[bool], *, release: bool) -> list[Any]:
    """Remove rows and count them; ``release``: also let go of their blobs."""
    rows = list(tx.execute(sa.delete(deleted_message).where(which).returning(deleted_message)))
    if release:
        release_blobs(tx, [row.blob_id for row in rows])
    for account_id, (messages, size) in sorted(_sums(rows).items()):
        count_deleted(tx, account_id, -messages, -size)
    return rows


def _sums(rows: Iterable[Any]) -> dict[AccountId, tuple[int, int]]:
    sums: dict[AccountId, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in rows:
        messages, size = sums[AccountId(row.account_id)]
        sums[AccountId(row.account_id)] = (messages + 1, size + row.size)
    return sums


def _row(row: Any) -> DeletedMessage:
    return DeletedMessage(
        deleted_id=row.id,
        account_id=AccountId(row.account_id),
        mailbox_id=MailboxId(row.mailbox_id),
        mailbox=row.mailbox,
        uid=Uid(row.uid),
        deleted_ms=row.deleted_ms,
        received_at_ms=row.received_at_ms,
        size=row.size,
        subject=row.subject,
    )
