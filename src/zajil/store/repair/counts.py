"""What a store counts beside its rows: messages and bytes of mailboxes, and what was deleted."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.repair.damage import REPAIR, Rule, deleted_name, mailbox_name, no_row
from zajil.store.schema import NUMBER, account, blob, deleted_message, mailbox, message

_HELD = (
    sa.select(
        message.c.mailbox_id.label("id"),
        sa.func.count().label("messages"),
        sa.func.sum(message.c.size).label("size"),
    )
    .group_by(message.c.mailbox_id)
    .subquery()
)
_COUNT = sa.func.coalesce(_HELD.c.messages, 0)
_SIZE = sa.cast(sa.func.coalesce(_HELD.c.size, 0), NUMBER)


_DELETED = (
    sa.select(
        deleted_message.c.account_id.label("id"),
        sa.func.count().label("messages"),
        sa.func.sum(deleted_message.c.size).label("size"),
    )
    .group_by(deleted_message.c.account_id)
    .subquery()
)
_DELETED_COUNT = sa.func.coalesce(_DELETED.c.messages, 0)
_DELETED_SIZE = sa.cast(sa.func.coalesce(_DELETED.c.size, 0), NUMBER)


def _deleted() -> sa.Select[Any]:
    return sa.select(deleted_message.c.id, deleted_message.c.account_id, deleted_message.c.blob_id)


COUNT_RULES = (
    Rule(
        sa.select(
            mailbox.c.id,
            mailbox.c.name,
            mailbox.c.account_id,
            mailbox.c.messages,
            mailbox.c.size,
            _COUNT.label("messages_found"),
            _SIZE.label("size_found"),
        )
        .outerjoin(_HELD, _HELD.c.id == mailbox.c.id)
        .where(sa.or_(mailbox.c.messages != _COUNT, mailbox.c.size != _SIZE)),
        "wrong-count",
        mailbox_name,
        "it has {messages_found} messages of {size_found} bytes, and its row says {messages} "
        "messages of {size} bytes",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        sa.select(
            account.c.login,
            account.c.deleted_messages,
            account.c.deleted_size,
            _DELETED_COUNT.label("messages_found"),
            _DELETED_SIZE.label("size_found"),
        )
        .outerjoin(_DELETED, _DELETED.c.id == account.c.id)
        .where(
            sa.or_(
                account.c.deleted_messages != _DELETED_COUNT,
                account.c.deleted_size != _DELETED_SIZE,
            )
        ),
        "wrong-count",
        lambda row: f"account {row.login}",
        "it has {messages_found} deleted messages of {size_found} bytes, and its row says "
        "{deleted_messages} messages of {deleted_size} bytes",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        _deleted().where(no_row(blob, blob.c.id == deleted_message.c.blob_id)),
        "missing-blob",
        deleted_name,
        "its bytes (blob {blob_id}) are not in the store, so it cannot be taken back",
        REPAIR,
        can_repair=True,
    ),
    Rule(
        _deleted().where(no_row(account, account.c.id == deleted_message.c.account_id)),
        "orphan",
        deleted_name,
        "there is no such account",
        REPAIR,
        can_repair=True,
    ),
)
"""All of them."""


def repair_counts(tx: Connection) -> None:
    """Count anew what is counted wrongly; part of the caller's unit."""
    _count_mailboxes(tx)
    _count_deleted(tx)


def _count_mailboxes(tx: Connection) -> None:
    mine = message.c.mailbox_id == mailbox.c.id
    count = sa.select(sa.func.count()).select_from(message).where(mine).scalar_subquery()
    total = sa.select(sa.func.coalesce(sa.func.sum(message.c.size), 0)).where(mine)
    size = sa.cast(total.scalar_subquery(), NUMBER)
    wrong = sa.or_(mailbox.c.messages != count, mailbox.c.size != size)
    tx.execute(sa.update(mailbox).where(wrong).values(messages=count, size=size))


def _count_deleted(tx: Connection) -> None:
    # What cannot be read cannot be taken back.
    no_blob = ~sa.exists().where(blob.c.id == deleted_message.c.blob_id)
    tx.execute(sa.delete(deleted_message).where(no_blob))
    no_owner = ~sa.exists().where(account.c.id == deleted_message.c.account_id)
    tx.execute(sa.delete(deleted_message).where(no_owner))
    mine = deleted_message.c.account_id == account.c.id
    count = sa.select(sa.func.count()).select_from(deleted_message).where(mine).scalar_subquery()
    total = sa.select(sa.func.coalesce(sa.func.sum(deleted_message.c.size), 0)).where(mine)
    size = sa.cast(total.scalar_subquery(), NUMBER)
    wrong = sa.or_(account.c.deleted_messages != count, account.c.deleted_size != size)
    tx.execute(sa.update(account).where(wrong).values(deleted_messages=count, deleted_size=size))
