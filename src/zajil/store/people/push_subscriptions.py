"""Browsers that are told of new mail by their push services (RFC 8030).

Laws:
- A subscription belongs to a log-in: nothing is sent to a browser that was logged out.
- An endpoint belongs to one log-in, and a log-in has one endpoint.
- ``told_uid`` only grows; a message is told of once, unless a worker dies while it tells of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import NotFound, Refused
from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.batch import PUSH, touch
from zajil.store.schema import (
    account,
    account_setting,
    mailbox,
    push_subscription,
    secret,
    web_session,
)

MOST_OF_ONE_ACCOUNT = 20
"""Browsers of one account that are told."""
SETTING = "notifications"
"""Name of the setting that says how browsers are told."""


class TooManyBrowsers(Refused):
    """The account has ``MOST_OF_ONE_ACCOUNT`` browsers that are told already."""


class NoSuchBrowser(NotFound):
    """The account has no such browser that is told."""


@value_class(frozen=True, slots=True, kw_only=True)
class PushSubscription:
    """One browser, and where its push service takes messages for it."""

    account_id: AccountId
    token_hash: str
    """Of its log-in."""
    endpoint: str
    """URL; anything may be in it."""
    public_key: bytes
    """Of the browser: a point of P-256, uncompressed, 65 bytes."""
    auth: bytes
    """Authentication secret of the browser, 16 bytes."""
    language: str
    """Code of the language of its page when it was added."""

    @property
    def id(self) -> str:
        """Return the key of its row."""
        return hashlib.sha256(self.endpoint.encode()).hexdigest()


@value_class(frozen=True, slots=True, kw_only=True)
class PushTarget:
    """A subscription whose log-in holds, and the mailbox that it is told of."""

    subscription: PushSubscription
    inbox: MailboxId
    uid_next: Uid
    told_uid: Uid
    failures: int
    choice: str
    """Value of ``SETTING``; ``""``: never chosen."""


@value_class(frozen=True, slots=True)
class NamedBrowser:
    """A browser that is told, as its owner knows it."""

    id: str
    token_hash: str
    agent: str
    """The field User-Agent of its log-in."""


@value_class(frozen=True, slots=True)
class PushOf:
    """What ``remove_push`` takes."""

    account_id: AccountId
    id: str


@value_class(frozen=True, slots=True)
class PushResult:
    """What ``record_push`` takes."""

    id: str
    told_uid: Uid
    """The first UID that the browser was not told of."""
    failed: bool


def read_push_key(conn: Connection) -> bytes:
    """Return the 32 random bytes that the key of this server is made from."""
    found: bytes = conn.execute(
        sa.select(secret.c.value).where(secret.c.name == "push")
    ).scalar_one()
    return found


def list_browsers(conn: Connection, account_id: AccountId, now_ms: int) -> list[NamedBrowser]:
    """Return the browsers of an account that are told, the one used last first."""
    rows = conn.execute(
        sa.select(push_subscription.c.id, push_subscription.c.token_hash, web_session.c.agent)
        .join(web_session, _of_session())
        .where(push_subscription.c.account_id == account_id, web_session.c.expires_ms > now_ms)
        .order_by(web_session.c.used_ms.desc(), push_subscription.c.id)
    )
    return [NamedBrowser(row.id, row.token_hash, row.agent) for row in rows]


def list_push_targets(conn: Connection, now_ms: int) -> list[PushTarget]:
    """Return all browsers that are told, in the order of their ids."""
    chosen = sa.and_(
        account_setting.c.account_id == push_subscription.c.account_id,
        account_setting.c.name == SETTING,
    )
    rows = conn.execute(
        sa.select(push_subscription, mailbox.c.id.label("inbox"), mailbox.c.uid_next)
        .add_columns(account_setting.c.value)
        .join(web_session, _of_session())
        .join(mailbox, mailbox.c.account_id == push_subscription.c.account_id)
        .outerjoin(account_setting, chosen)
        .where(mailbox.c.role == "inbox", web_session.c.expires_ms > now_ms)
        .order_by(push_subscription.c.id)
    )
    return [_target(row) for row in rows]


def add_push(tx: Connection, items: Sequence[PushSubscription]) -> list[bool]:
    """Keep subscriptions, in the place of those of the same log-in or endpoint.

    Unit of work: idempotent; locks the row of the account, so that its browsers are counted
    correctly.

    Returns:
        Whether each was not there before in the same form.

    Raises:
        TooManyBrowsers: the account has too many.
        NotFound: the account was removed meanwhile.
    """
    return [_add(tx, item) for item in items]


def remove_push(tx: Connection, items: Sequence[PushOf]) -> list[None]:
    """Remove subscriptions of their owners. Unit of work: idempotent but for its error.

    Raises:
        NoSuchBrowser: there is none; it may be removed already.
    """
    for item in items:
        mine = sa.delete(push_subscription).where(
            push_subscription.c.account_id == item.account_id, push_subscription.c.id == item.id
        )
        if tx.execute(mine).rowcount == 0:
            raise NoSuchBrowser("this browser is not notified")
    return [None] * len(items)


def drop_push(tx: Connection, ids: Sequence[str]) -> list[None]:
    """Forget subscriptions that their push services do not know any more.

    Unit of work: idempotent.
    """
    tx.execute(sa.delete(push_subscription).where(push_subscription.c.id.in_(ids)))
    return [None] * len(ids)


def record_push(tx: Connection, items: Sequence[PushResult]) -> list[None]:
    """Keep what browsers were told. Unit of work: not idempotent: failures are counted."""
    for item in items:
        failures = push_subscription.c.failures + 1 if item.failed else 0
        tx.execute(
            sa.update(push_subscription)
            .where(push_subscription.c.id == item.id)
            .values(told_uid=item.told_uid, failures=failures)
        )
    return [None] * len(items)


def prune_push(tx: Connection, times_ms: Sequence[int]) -> list[int]:
    """Forget subscriptions whose log-ins are over; return how many. Unit of work: idempotent."""
    holds = sa.select(web_session.c.token_hash).where(web_session.c.expires_ms > max(times_ms))
    gone = sa.delete(push_subscription).where(push_subscription.c.token_hash.not_in(holds))
    return [tx.execute(gone).rowcount] * len(times_ms)


def skip_push(tx: Connection, mailbox_id: MailboxId, first: int, next_: int) -> None:
    """Tell no browser of messages that came into a mailbox and are not new.

    Part of the unit that puts them there. A browser that was not told of earlier ones yet is told
    of all.

    Args:
        tx: the transaction.
        mailbox_id: only INBOX matters.
        first: UID of the first of them.
        next_: UID behind the last of them.
    """
    owner = sa.select(mailbox.c.account_id).where(
        mailbox.c.id == mailbox_id, mailbox.c.role == "inbox"
    )
    told = push_subscription.c.account_id == owner.scalar_subquery()
    tx.execute(
        sa.update(push_subscription)
        .where(told, push_subscription.c.told_uid == first)
        .values(told_uid=next_)
    )


def delete_push_of(tx: Connection, account_ids: Sequence[AccountId]) -> list[None]:
    """Forget all browsers of accounts. Unit of work: idempotent."""
    tx.execute(sa.delete(push_subscription).where(push_subscription.c.account_id.in_(account_ids)))
    return [None] * len(account_ids)


def _add(tx: Connection, item: PushSubscription) -> bool:
    owner = sa.select(account.c.id).where(account.c.id == item.account_id)
    if tx.execute(owner.with_for_update()).first() is None:
        raise NotFound(f"account does not exist: {item.account_id}")
    row = {
        "id": item.id,
        "account_id": item.account_id,
        "token_hash": item.token_hash,
        "endpoint": item.endpoint,
        "public_key": item.public_key,
        "auth": item.auth,
        "language": item.language,
    }
    same = [push_subscription.c[name] == value for name, value in row.items()]
    if tx.execute(sa.select(push_subscription.c.id).where(*same)).first() is not None:
        return False
    tx.execute(
        sa.delete(push_subscription).where(
            (push_subscription.c.id == item.id)
            | (push_subscription.c.token_hash == item.token_hash)
        )
    )
    count = sa.select(sa.func.count()).where(push_subscription.c.account_id == item.account_id)
    if (tx.scalar(count) or 0) >= MOST_OF_ONE_ACCOUNT:
        raise TooManyBrowsers(f"an account can have at most {MOST_OF_ONE_ACCOUNT} browsers")
    inbox = sa.select(mailbox.c.uid_next).where(
        mailbox.c.account_id == item.account_id, mailbox.c.role == "inbox"
    )
    told_uid = tx.scalar(inbox) or 1
    tx.execute(sa.insert(push_subscription).values(**row, told_uid=told_uid, failures=0))
    touch(tx, PUSH)
    return True


def _of_session() -> sa.ColumnElement[bool]:
    return sa.and_(
        web_session.c.token_hash == push_subscription.c.token_hash,
        web_session.c.account_id == push_subscription.c.account_id,
    )


def _target(row: sa.Row[Any]) -> PushTarget:
    return PushTarget(
        subscription=PushSubscription(
            account_id=row.account_id,
            token_hash=row.token_hash,
            endpoint=row.endpoint,
            public_key=row.public_key,
            auth=row.auth,
            language=row.language,
        ),
        inbox=row.inbox,
        uid_next=row.uid_next,
        told_uid=row.told_uid,
        failures=row.failures,
        choice=row.value or "",
    )
