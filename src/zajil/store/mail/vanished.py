"""What was expunged from a mailbox, for clients that come back. (RFC 7162 section 3.2)

Law: table ``expunged`` names every message that was expunged after MODSEQ
``mailbox.forgotten_modseq``. The oldest are forgotten first, and the mark moves in the same commit;
who knows less than the mark has to compare UIDs.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId
from zajil.core.value_class import value_class
from zajil.store.mail.open_mailboxes import open_mailboxes
from zajil.store.schema import expunged, mailbox

_PORTION = 5000
"""UIDs that are read in one turn of a reader thread."""
_MAILBOXES = 500
"""Mailboxes that are looked at in one turn."""


@value_class(frozen=True, slots=True)
class Cursor:
    """How far expunges were read; they come in the order of their MODSEQ."""

    modseq: int
    uid: int = (1 << 32) - 1
    """Of what has this MODSEQ, as far as this UID."""


def expunged_after(
    conn: Connection, mailbox_id: MailboxId, modseq: int, cursor: Cursor
) -> tuple[Sequence[int], Cursor | None] | None:
    """Return some of the UIDs that were expunged after a MODSEQ.

    Args:
        conn: a snapshot.
        mailbox_id: of a mailbox that is there.
        modseq: what the client knows.
        cursor: where the last portion ended; of the first, ``Cursor(modseq)``.

    Returns:
        UIDs, and where to go on, ``None`` at the end; ``None`` alone where it is forgotten what
        was expunged since that MODSEQ.
    """
    forgotten = conn.scalar(_FORGOTTEN, {"mailbox_": mailbox_id})
    if forgotten is None or modseq < forgotten:
        return None
    given = {"mailbox_": mailbox_id, "modseq_": cursor.modseq, "uid_": cursor.uid}
    rows = conn.execute(_EXPUNGED, given).all()
    next_ = Cursor(rows[-1].modseq, rows[-1].uid) if len(rows) == _PORTION else None
    return [row.uid for row in rows], next_


@value_class(frozen=True, slots=True)
class ForgetExpunged:
    """What ``forget_expunged`` takes."""

    account_id: AccountId
    mailbox_id: MailboxId
    most: int
    before_ms: int | None = None
    """Only what was expunged before; ``None``: all."""


def forget_expunged(tx: Connection, items: Sequence[ForgetExpunged]) -> list[int]:
    """Forget which messages were expunged longest ago.

    Unit of work: idempotent; locks the mailboxes; touches nothing.

    Returns:
        For each item how many were forgotten: 0, there are none left. What was expunged together
        is forgotten together, so they may be more than ``most``.

    Raises:
        NoSuchMailbox: it is gone, or the account may not delete it.
    """
    open_mailboxes(tx, [(item.account_id, item.mailbox_id, "x") for item in items])
    counts = []
    for item in items:
        mine = (mailbox.c.id == item.mailbox_id,)
        of_box = expunged.c.mailbox_id == item.mailbox_id
        oldest = (
            sa.select(expunged.c.modseq, expunged.c.at_ms)
            .where(of_box)
            .order_by(expunged.c.modseq)
            .limit(item.most)
        )
        last = None
        for modseq, at_ms in tx.execute(oldest):
            # Times may go back; the order of MODSEQs is what counts.
            if item.before_ms is not None and at_ms >= item.before_ms:
                break
            last = modseq
        if last is None:
            counts.append(0)
            continue
        counts.append(
            tx.execute(sa.delete(expunged).where(of_box, expunged.c.modseq <= last)).rowcount
        )
        higher = mailbox.c.forgotten_modseq < last
        tx.execute(sa.update(mailbox).where(*mine, higher).values(forgotten_modseq=last))
    return counts


def find_forgettable(
    conn: Connection, before_ms: int, after: MailboxId
) -> tuple[list[tuple[AccountId, MailboxId]], MailboxId | None]:
    """Return some of the mailboxes with expunged messages that can be forgotten.

    Args:
        conn: a snapshot.
        before_ms: when they were expunged at the latest.
        after: the last mailbox that was looked at; 0 at first.

    Returns:
        Accounts and mailboxes, and the last mailbox that was looked at; ``None``: no more follow.
    """
    rows = conn.execute(_OLDEST, {"after_": after}).all()
    found = [
        (AccountId(row.account_id), MailboxId(row.id))
        for row in rows
        if row.oldest_ms is not None and row.oldest_ms < before_ms
    ]
    return found, MailboxId(rows[-1].id) if len(rows) == _MAILBOXES else None


# ---- inside -------------------------------------------------------------------------------------

_FORGOTTEN = sa.select(mailbox.c.forgotten_modseq).where(mailbox.c.id == sa.bindparam("mailbox_"))


_EXPUNGED = (
    sa.select(expunged.c.modseq, expunged.c.uid)
    .where(expunged.c.mailbox_id == sa.bindparam("mailbox_"))
    .where(
        sa.tuple_(expunged.c.modseq, expunged.c.uid)
        > sa.tuple_(sa.bindparam("modseq_"), sa.bindparam("uid_"))
    )
    .order_by(expunged.c.modseq, expunged.c.uid)
    .limit(_PORTION)
)
_OLDEST = (
    sa.select(
        mailbox.c.id,
        mailbox.c.account_id,
        sa.select(expunged.c.at_ms)
        .where(expunged.c.mailbox_id == mailbox.c.id)
        .order_by(expunged.c.modseq)
        .limit(1)
        .scalar_subquery()
        .label("oldest_ms"),
    )
    .where(mailbox.c.id > sa.bindparam("after_"))
    .order_by(mailbox.c.id)
    .limit(_MAILBOXES)
)
