"""How many messages an account may keep: caps on a mailbox and on all mailboxes together."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId
from zajil.store.schema import mailbox, message


@dataclass(frozen=True)
class Caps:
    """What one account may have; 0: as much as it wants."""

    mailbox_messages: int = 500_000
    """Messages of one mailbox."""
    account_messages: int = 1_000_000
    """Messages of all its mailboxes."""
    mailboxes: int = 2_000


def find_obstacle(
    conn: Connection,
    caps: Caps,
    account_id: AccountId,
    mailbox_id: MailboxId,
    count: int,
    *,
    moved: bool = False,
) -> str | None:
    """Return why a mailbox may not take so many messages more; ``None``: it may.

    Who writes at the same time may be told the same, so caps are passed by a few messages.

    Args:
        conn: a snapshot.
        caps: of this installation.
        account_id: whose mailbox it is.
        mailbox_id: where they shall go.
        count: how many.
        moved: they are the account's already.
    """
    most = caps.mailbox_messages
    if most and _count(conn, mailbox.c.id == mailbox_id, most - count) > most - count:
        return f"a mailbox has at most {most} messages"
    most = caps.account_messages
    if (
        most
        and not moved
        and _count(conn, mailbox.c.account_id == account_id, most - count) > (most - count)
    ):
        return f"an account has at most {most} messages"
    return None


def is_full(conn: Connection, mailbox_id: MailboxId, most: int) -> bool:
    """Whether a mailbox has so many messages already; 0: it never has."""
    return bool(most) and _count(conn, mailbox.c.id == mailbox_id, most - 1) >= most


def _count(conn: Connection, condition: sa.ColumnElement[bool], enough: int) -> int:
    """Count messages; a number up to ``enough`` may be too large."""
    # No mailbox has more messages than it has given UIDs, and their number needs no counting.
    given = conn.scalar(sa.select(sa.func.sum(mailbox.c.uid_next - 1)).where(condition))
    if given is None or given <= enough:
        return int(given or 0)
    ids = sa.select(mailbox.c.id).where(condition)
    count = sa.select(sa.func.count()).select_from(message).where(message.c.mailbox_id.in_(ids))
    return conn.execute(count).scalar_one()
