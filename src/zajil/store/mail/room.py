"""What an account has of what it may have: bytes, messages, mailboxes.

Laws:
- What a mailbox holds is counted in its row, what an account has deleted in the account's, each in
  the transaction that changes it. So usage is exact, and costs one query over the mailboxes.
- A limit holds for what is in mailboxes. Deleted mail that is kept counts as well, and gives way:
  the oldest is removed for good when both together pass a limit (``store.mail.deleted``).
- Accepting mail asks at RCPT, by the directory. What was promised a 250 is kept, so a limit may be
  passed by what is under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import Refused
from zajil.core.ids import AccountId, MailboxId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, caps_of, touch
from zajil.store.engine.rows import execute_text, marks_of
from zajil.store.mail.caps import Caps
from zajil.store.schema import account, mailbox


class OverQuota(Refused):
    """An account would have more bytes or messages than it may. (RFC 9208 section 4.3)"""


@value_class(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one account has, and its limits; 0 as a limit: none."""

    account_id: AccountId
    messages: int = 0
    """In all its mailboxes."""
    size: int = 0
    """Bytes of these, as IMAP counts them; copies that share their bytes count each."""
    mailboxes: int = 0
    deleted_messages: int = 0
    """That can still be taken back."""
    deleted_size: int = 0
    most_messages: int = 0
    most_size: int = 0
    most_mailboxes: int = 0
    told: int = 0
    """Percent that its owner was told of last (``accept.quota_notice``); 0: none."""

    @property
    def excess(self) -> tuple[int, int]:
        """Messages and bytes by which it and what it has deleted pass its limits together."""
        messages = self.messages + self.deleted_messages - self.most_messages
        size = self.size + self.deleted_size - self.most_size
        return (
            max(0, messages) if self.most_messages else 0,
            max(0, size) if self.most_size else 0,
        )

    @property
    def free_size(self) -> int | None:
        """Bytes that it may still get, below 0 when it has too many; ``None``: no limit."""
        return self.most_size - self.size if self.most_size else None

    @property
    def free_messages(self) -> int | None:
        """Messages that it may still get; as ``free_size``."""
        return self.most_messages - self.messages if self.most_messages else None

    @property
    def percent(self) -> int:
        """How full it is, by the limit that is nearest; 0 without limits."""
        shares = [
            used * 100 // most
            for used, most in ((self.size, self.most_size), (self.messages, self.most_messages))
            if most
        ]
        return max(shares, default=0)


@value_class(frozen=True, slots=True)
class Obstacle:
    """Why a mailbox takes no more messages."""

    reason: str
    is_quota: bool
    """It is a limit of the account, not of the mailbox."""


def load_usage(conn: Connection, caps: Caps, account_id: AccountId) -> Usage | None:
    """Return what an account has; ``None``: there is no such account.

    Args:
        conn: a snapshot.
        caps: limits of accounts that have none of their own.
        account_id: of the account.
    """
    row = conn.execute(_USAGE_OF, {"account_": account_id}).one_or_none()
    return None if row is None else _usage(row, caps)


def list_usage(conn: Connection, caps: Caps) -> dict[AccountId, Usage]:
    """Return what each account has."""
    found = [_usage(row, caps) for row in conn.execute(_USAGE)]
    return {usage.account_id: usage for usage in found}


def find_obstacle(
    conn: Connection,
    caps: Caps,
    account_id: AccountId,
    mailbox_id: MailboxId,
    count: int,
    *,
    size: int = 0,
    moved: bool = False,
) -> Obstacle | None:
    """Return why a mailbox may not take so many messages more; ``None``: it may.

    A client learns it before it sends them; ``require_room`` decides in the transaction.

    Args:
        conn: a snapshot.
        caps: of this installation.
        account_id: whose mailbox it is.
        mailbox_id: where they shall go.
        count: how many.
        size: their bytes, as far as they are known.
        moved: they are the account's already.
    """
    most = caps.mailbox_messages
    if most:
        there = conn.scalar(sa.select(mailbox.c.messages).where(mailbox.c.id == mailbox_id)) or 0
        if there + count > most:
            return Obstacle(f"a mailbox has at most {most} messages", is_quota=False)
    usage = None if moved else load_usage(conn, caps, account_id)
    reason = None if usage is None else excess_of(usage, count, size)
    return None if reason is None else Obstacle(reason, is_quota=True)


def excess_of(usage: Usage, count: int = 0, size: int = 0) -> str | None:
    """Return which limit an account would pass with so much more; ``None``: none."""
    if usage.free_size is not None and size > usage.free_size:
        return f"an account has at most {usage.most_size} bytes"
    if usage.free_messages is not None and count > usage.free_messages:
        return f"an account has at most {usage.most_messages} messages"
    return None


def require_room(tx: Connection, mailbox_ids: Iterable[MailboxId]) -> None:
    """Check, after messages were put into mailboxes, that their owners have no more than they may.

    Locks the accounts until the commit: who puts messages into another mailbox of the same account
    at the same time waits, and is counted.

    Raises:
        OverQuota: nothing of this batch will be committed.
    """
    ids = tuple(set(mailbox_ids))
    # The names are constants.
    of_boxes = f"(SELECT account_id FROM mailbox WHERE id IN {marks_of(tx, ids)})"  # noqa: S608
    if tx.dialect.name == "postgresql":
        chosen = f"SELECT id FROM account WHERE id IN {of_boxes} ORDER BY id FOR UPDATE"  # noqa: S608
        execute_text(tx, chosen, ids)
    caps = caps_of(tx)
    for row in execute_text(tx, f"{_HELD} WHERE account.id IN {of_boxes} GROUP BY account.id", ids):
        account_id, quota_size, quota_messages, messages, size = row
        held = Usage(
            account_id=AccountId(account_id),
            messages=int(messages),
            size=int(size),
            most_messages=caps.account_messages if quota_messages is None else quota_messages,
            most_size=caps.account_size if quota_size is None else quota_size,
        )
        reason = excess_of(held)
        if reason is not None:
            raise OverQuota(reason)


@value_class(frozen=True, slots=True)
class NewQuota:
    """What ``set_quota`` takes; ``None`` as a limit: that of the configuration; 0: none."""

    account_id: AccountId
    size: int | None
    messages: int | None


def set_quota(tx: Connection, items: Sequence[NewQuota]) -> list[None]:
    """Set the limits of accounts.

    Unit of work: idempotent; touches the directory. An account that is gone is passed over.
    """
    touch(tx, DIRECTORY)
    for item in items:
        tx.execute(
            sa.update(account)
            .where(account.c.id == item.account_id)
            .values(quota_size=item.size, quota_messages=item.messages)
        )
    return [None] * len(items)


# ---- inside -------------------------------------------------------------------------------------

_USAGE = (
    sa.select(
        account.c.id,
        account.c.quota_size,
        account.c.quota_messages,
        account.c.deleted_messages,
        account.c.deleted_size,
        account.c.quota_told,
        sa.func.count(mailbox.c.id).label("mailboxes"),
        sa.func.coalesce(sa.func.sum(mailbox.c.messages), 0).label("messages"),
        sa.func.coalesce(sa.func.sum(mailbox.c.size), 0).label("size"),
    )
    .select_from(account.outerjoin(mailbox, mailbox.c.account_id == account.c.id))
    .group_by(account.c.id)
)
_HELD = (
    "SELECT account.id, account.quota_size, account.quota_messages, SUM(mailbox.messages),"
    " SUM(mailbox.size) FROM account JOIN mailbox ON mailbox.account_id = account.id"
)
_USAGE_OF = _USAGE.where(account.c.id == sa.bindparam("account_"))


def _usage(row: Any, caps: Caps) -> Usage:
    own_size, own_messages = row.quota_size, row.quota_messages
    return Usage(
        account_id=AccountId(row.id),
        messages=int(row.messages),
        size=int(row.size),
        mailboxes=row.mailboxes,
        deleted_messages=row.deleted_messages,
        deleted_size=row.deleted_size,
        most_messages=caps.account_messages if own_messages is None else own_messages,
        most_size=caps.account_size if own_size is None else own_size,
        most_mailboxes=caps.mailboxes,
        told=row.quota_told,
    )
