"""Conditions on messages that the database decides: for those that ask it without speaking SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import MailboxId, Uid
from zajil.store.mail.flags import FLAG_BITS
from zajil.store.schema import message

Condition: TypeAlias = sa.ColumnElement[bool]
"""May be joined by ``|`` and turned round by ``~``; ``and_`` joins many."""

LARGEST_UID = (1 << 32) - 1


def find_uids(
    conn: Connection,
    mailbox_id: MailboxId,
    condition: Condition,
    first: int = 1,
    last: int = LARGEST_UID,
) -> list[Uid]:
    """Return the UIDs from ``first`` to ``last`` for which the condition holds, ascending."""
    query = sa.select(message.c.uid).where(
        message.c.mailbox_id == mailbox_id, message.c.uid.between(first, last), condition
    )
    return list(conn.scalars(query.order_by(message.c.uid)))


def has_uid(uids: Sequence[int]) -> sa.ColumnElement[bool]:
    """Return the condition that a message has one of these UIDs: a range, where they are one."""
    wanted = sorted(set(uids))
    if wanted and wanted[-1] - wanted[0] == len(wanted) - 1:
        return message.c.uid.between(wanted[0], wanted[-1])
    return message.c.uid.in_(wanted)


def is_deleted() -> Condition:
    """It is marked ``\\Deleted``."""
    return message.c.flags.op("&")(FLAG_BITS["\\Deleted"]) != 0


def has_flag(flag: str) -> Condition | None:
    """A system flag is set; ``None``: the flag is no bit of the row."""
    bit = FLAG_BITS.get(flag)
    return None if bit is None else message.c.flags.op("&")(bit) != 0


def is_larger(size: int) -> Condition:
    """RFC822.SIZE is above ``size``."""
    return message.c.size > size


def is_smaller(size: int) -> Condition:
    """RFC822.SIZE is below ``size``."""
    return message.c.size < size


def has_modseq_from(modseq: int) -> Condition:
    """Its MODSEQ is ``modseq`` or larger."""
    return message.c.modseq >= modseq


def and_(conditions: Sequence[Condition]) -> Condition:
    """All of them hold; at least one."""
    return sa.and_(*conditions)
