"""Names that an account is subscribed to. (RFC 3501 section 6.3.6)

Law: a subscription is of a name, not of a mailbox. It stays when the mailbox is deleted, and holds
for the next one of that name; only UNSUBSCRIBE ends it. RENAME adds one to the new name.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import Refused
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import names_topic, touch
from zajil.store.mail.access import has_right
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.schema import subscription

MAX_SUBSCRIPTIONS = 20_000
"""Names of one account, twice as many as it may have mailboxes: protects what lists them all."""


class TooManySubscriptions(Refused):
    """The account has ``MAX_SUBSCRIPTIONS`` already."""


def list_subscriptions(conn: Connection, account_id: AccountId) -> frozenset[str]:
    """Return all names the account is subscribed to, also those that no mailbox has."""
    names = sa.select(subscription.c.name).where(subscription.c.account_id == account_id)
    return frozenset(conn.scalars(names))


@value_class(frozen=True, slots=True)
class Subscription:
    """What ``set_subscribed`` takes."""

    account_id: AccountId
    name: str
    subscribed: bool


def set_subscribed(tx: Connection, items: Sequence[Subscription]) -> list[None]:
    """Subscribe to names or leave them.

    Unit of work: idempotent; locks nothing; touches the names of the accounts.

    Raises:
        NoSuchMailbox: there is no mailbox of this name, and no subscription.
        TooManySubscriptions: the account has as many as it may.
    """
    for item in items:
        touch(tx, names_topic(item.account_id))
        if item.subscribed:
            _subscribe(tx, item)
        elif not _leave(tx, item.account_id, item.name) and not _exists(tx, item):
            raise NoSuchMailbox(item.name)
    return [None] * len(items)


def add_subscriptions(tx: Connection, account_id: AccountId, names: Sequence[str]) -> None:
    """Subscribe to names without a look at what there is; part of the caller's unit."""
    rows = [{"account_id": account_id, "name": name} for name in names]
    tx.execute(_ADD, rows)


def subscribe_new_name(tx: Connection, account_id: AccountId, name: str, new_name: str) -> None:
    """Subscribe to the new name of a mailbox if the old one is; part of the caller's unit.

    The old name stays: only UNSUBSCRIBE removes one (RFC 3501 section 6.3.6). An account that has
    as many as it may gets no other one.
    """
    mine = subscription.c.account_id == account_id
    known = sa.select(subscription.c.name).where(mine, subscription.c.name == name)
    if tx.execute(known).first() is not None and not _is_full(tx, account_id):
        add_subscriptions(tx, account_id, [new_name])


def delete_subscriptions_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Forget all of accounts that are removed; part of the caller's unit."""
    tx.execute(sa.delete(subscription).where(subscription.c.account_id.in_(account_ids)))


# Either database has this form of it; SQLAlchemy has one construct for each.
_ADD = sa.text(
    "INSERT INTO subscription (account_id, name) VALUES (:account_id, :name) ON CONFLICT DO NOTHING"
)


def _subscribe(tx: Connection, item: Subscription) -> None:
    mine = subscription.c.account_id == item.account_id
    known = sa.select(subscription.c.name).where(mine, subscription.c.name == item.name)
    if tx.execute(known).first() is not None:
        return
    if not _exists(tx, item):
        raise NoSuchMailbox(item.name)
    if _is_full(tx, item.account_id):
        raise TooManySubscriptions(item.name)
    add_subscriptions(tx, item.account_id, [item.name])


def _is_full(tx: Connection, account_id: AccountId) -> bool:
    mine = subscription.c.account_id == account_id
    count = sa.select(sa.func.count()).select_from(subscription).where(mine)
    return bool(tx.execute(count).scalar_one() >= MAX_SUBSCRIPTIONS)


def _leave(tx: Connection, account_id: AccountId, name: str) -> bool:
    left = tx.execute(
        sa.delete(subscription).where(
            subscription.c.account_id == account_id, subscription.c.name == name
        )
    )
    return bool(left.rowcount)


def _exists(tx: Connection, item: Subscription) -> bool:
    return has_right(tx, item.account_id, item.name, "l")
