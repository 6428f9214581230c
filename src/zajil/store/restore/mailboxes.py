"""Create mailboxes of a backup again that an account does not have any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import caps_of, time_of
from zajil.store.mail.access import touch_names
from zajil.store.mail.mailbox_changes import NewMailbox, create_mailbox, take_role
from zajil.store.mail.subscriptions import add_subscriptions
from zajil.store.restore.plan import find_place
from zajil.store.restore.rows import insert_kept, rows_of
from zajil.store.restore.source import AccountSource
from zajil.store.schema import account, annotation, mailbox, mailbox_right, subscription


@value_class(frozen=True, slots=True)
class RestoreMailboxes:
    """What ``restore_mailboxes`` takes."""

    source: AccountSource
    account_id: AccountId
    """Whose they become."""
    boxes: tuple[Any, ...]
    """Of table ``mailbox`` in the backup, by name."""
    ignores_limit: bool = False
    """Of the number of mailboxes."""


def restore_mailboxes(
    tx: Connection, items: Sequence[RestoreMailboxes]
) -> list[dict[MailboxId, MailboxId]]:
    """Create mailboxes that are gone, each with its role, subscription, annotations and rights.

    A new one has a new UIDVALIDITY. One that has got another name is found by its id. A role that
    another mailbox has now stays there.

    Unit of work: idempotent; locks the counter of UIDVALIDITY; touches the names of the account.

    Returns:
        For each item, its mailboxes of the backup and those of the store.

    Raises:
        TooManyMailboxes: the account has as many as it may.
    """
    return [{MailboxId(box.id): _restore(tx, item, box) for box in item.boxes} for item in items]


def _restore(tx: Connection, item: RestoreMailboxes, box: Any) -> MailboxId:
    found = find_place(tx, item.account_id, box)
    if found is not None:
        return found.mailbox_id
    most = 0 if item.ignores_limit else caps_of(tx).mailboxes
    (made,) = create_mailbox(tx, [NewMailbox(item.account_id, box.name, time_of(tx), most)])
    own_role = (mailbox.c.account_id == item.account_id, mailbox.c.role == box.role)
    if (
        box.role is not None
        and tx.execute(sa.select(mailbox.c.id).where(*own_role)).first() is None
    ):
        take_role(tx, item.account_id, made, box.role)
    _restore_around(tx, item, MailboxId(box.id), made)
    subscribed = sa.select(subscription.c.name).where(
        subscription.c.account_id == item.source.account_id, subscription.c.name == box.name
    )
    if item.source.conn.execute(subscribed).first() is not None:
        add_subscriptions(tx, item.account_id, [box.name])
    touch_names(tx, made, item.account_id)
    return made


def _restore_around(
    tx: Connection, item: RestoreMailboxes, old: MailboxId, made: MailboxId
) -> None:
    """Restore annotations of a mailbox and rights on it, of accounts that are still there."""
    for table in (annotation, mailbox_right):
        rows = rows_of(item.source, table, table.c.mailbox_id == old)
        for row in rows:
            if row["account_id"] == item.source.account_id:
                row["account_id"] = item.account_id
            row["mailbox_id"] = made
        people = {row["account_id"] for row in rows} - {0}
        there = sa.select(account.c.id).where(account.c.id.in_(people))
        known = {0, *tx.scalars(there)}
        insert_kept(tx, table, [row for row in rows if row["account_id"] in known])
