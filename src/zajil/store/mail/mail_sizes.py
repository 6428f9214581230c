"""How much mail accounts have."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId
from zajil.store.schema import mailbox, message


@dataclass(frozen=True, slots=True)
class MailSize:
    """The mail of one account, in all its mailboxes."""

    messages: int = 0
    size: int = 0
    """Bytes, as IMAP counts them; copies that share their bytes count each."""


def load_mail_sizes(
    conn: Connection, account_id: AccountId | None = None
) -> dict[AccountId, MailSize]:
    """Return the mail of each account that has some, or of one.

    It reads every row of a message once: a million of them take about a second.
    """
    of_mailbox = sa.select(
        message.c.mailbox_id,
        sa.func.count().label("messages"),
        sa.func.sum(message.c.size).label("size"),
    ).group_by(message.c.mailbox_id)
    if account_id is not None:
        own = sa.select(mailbox.c.id).where(mailbox.c.account_id == account_id)
        of_mailbox = of_mailbox.where(message.c.mailbox_id.in_(own))
    counted = of_mailbox.subquery()
    rows = conn.execute(
        sa.select(
            mailbox.c.account_id,
            sa.func.sum(counted.c.messages),
            sa.func.sum(counted.c.size),
        )
        .join(counted, counted.c.mailbox_id == mailbox.c.id)
        .group_by(mailbox.c.account_id)
    )
    return {AccountId(owner): MailSize(int(messages), int(size)) for owner, messages, size in rows}
