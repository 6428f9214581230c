"""Mailboxes that a unit of work is about to change: locked, and the rights checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId
from zajil.core.mailbox_rights import changeable
from zajil.store.mail.access import OWNER, require_rights
from zajil.store.mail.append import lock_mailboxes
from zajil.store.schema import mailbox


@dataclass(frozen=True, slots=True)
class OpenMailbox:
    """A mailbox, and what an account may do with it."""

    uid_validity: int
    role: str | None
    owner_id: AccountId
    rights: frozenset[str]

    def settable(self, flags: frozenset[str]) -> frozenset[str]:
        """Return those of the flags that the account may set and clear."""
        return flags if self.rights == OWNER else changeable(flags, self.rights)


def open_mailboxes(
    tx: Connection, wanted: Iterable[tuple[AccountId, MailboxId, str]]
) -> dict[tuple[AccountId, MailboxId], OpenMailbox]:
    """Lock mailboxes and return what is known of them; refuse what an account may not do.

    Args:
        tx: the transaction.
        wanted: account, mailbox, and the rights it needs.
    """
    needs = set(wanted)
    ids = sorted({mailbox_id for _, mailbox_id, _ in needs})
    lock_mailboxes(tx, ids)
    columns = mailbox.c
    query = sa.select(columns.id, columns.account_id, columns.uid_validity, columns.role)
    rows = {row.id: row for row in tx.execute(query.where(columns.id.in_(ids)))}
    owners = {mailbox_id: row.account_id for mailbox_id, row in rows.items()}
    held = require_rights(tx, owners, needs)
    return {
        (account_id, mailbox_id): OpenMailbox(
            rows[mailbox_id].uid_validity,
            rows[mailbox_id].role,
            rows[mailbox_id].account_id,
            rights,
        )
        for (account_id, mailbox_id), rights in held.items()
    }
