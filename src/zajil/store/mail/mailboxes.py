"""Mailboxes of an account: list, find, count.

Law: every query here takes the account that acts, and touches no mailbox of another one
without a right of this account on it (``store.mail.access``).
Names are in their one form already (NFC, levels divided by ``/``, INBOX in capitals), as the
account that acts sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId
from zajil.core.value_class import value_class
from zajil.imap.mailbox_name import SHARED
from zajil.store.engine.errors import NotOnReplica
from zajil.store.engine.rows import execute_text, mark_of
from zajil.store.mail.access import (
    OWNER,
    NamePlace,
    NoRight,
    locate,
    rights_on,
    shared_ids,
)
from zajil.store.mail.flags import FLAG_BITS
from zajil.store.schema import account, mailbox, message

INBOX = "INBOX"

FIRST_MAILBOXES = (
    (INBOX, "inbox"),
    ("Drafts", "drafts"),
    ("Sent", "sent"),
    ("Junk", "junk"),
    ("Trash", "trash"),
    ("Archive", "archive"),
)
"""Name and role (RFC 6154 section 2) of what each account starts with."""
FIRST_NAMES = {role: name for name, role in FIRST_MAILBOXES}

MAX_NAME = 255
"""Characters of a name."""

_AT_ONCE = 1000
"""Rows named in one statement: below SQLite's 32,766 parameters."""


@value_class(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One mailbox, as a snapshot has it."""

    mailbox_id: MailboxId
    account_id: AccountId
    """Who found it, and acts on it: units check its rights."""
    owner_id: AccountId
    """Whose it is: whose quota counts its messages."""
    name: str
    """As the account that found it sees it."""
    rights: frozenset[str] = OWNER
    """What the account may do with it; all if it is its own."""
    role: str | None
    """``inbox``, ``drafts``, ``sent``, ``junk``, ``trash``, ``archive`` (RFC 6154 section 2)."""
    uid_validity: int
    uid_next: int
    modseq: int
    recent_from: int
    """UIDs from here on are recent to no session yet (``store.mail.recent``)."""

    @property
    def is_shared(self) -> bool:
        """Whether it is another account's."""
        return self.owner_id != self.account_id


@value_class(frozen=True, slots=True)
class MailboxCounts:
    """How full a mailbox is."""

    messages: int
    unseen: int
    size: int
    """Bytes of all messages."""
    deleted: int = 0
    """Messages with ``\\Deleted``."""
    deleted_size: int = 0
    """Bytes of these."""


# ---- queries ------------------------------------------------------------------------------------


def list_mailboxes(conn: Connection, account_id: AccountId) -> list[Mailbox]:
    """Return an account's own mailboxes: INBOX first, the others by name."""
    rows = conn.execute(sa.select(mailbox).where(mailbox.c.account_id == account_id))
    boxes = [_row(row) for row in rows]
    return sorted(boxes, key=lambda box: (box.name != INBOX, box.name))


def list_shared(conn: Connection, account_id: AccountId) -> list[Mailbox]:
    """Return the mailboxes of others that an account may see, by name."""
    shared = shared_ids(conn, account_id)
    ids = [mailbox_id for mailbox_id, rights in shared.items() if "l" in rights]
    boxes: list[Mailbox] = []
    for start in range(0, len(ids), _AT_ONCE):
        rows = conn.execute(
            sa.select(mailbox, account.c.login)
            .join(account, account.c.id == mailbox.c.account_id)
            .where(mailbox.c.id.in_(ids[start : start + _AT_ONCE]))
        )
        for row in rows:
            place = NamePlace(row.account_id, row.name, f"{SHARED}/{row.login}/")
            boxes.append(_row(row, account_id, place, shared[row.id]))
    return sorted(boxes, key=lambda box: box.name)


def find_mailbox(
    conn: Connection, account_id: AccountId, name: str, needed: str = "r"
) -> Mailbox | None:
    """Return the mailbox that an account means by a name, its own or a shared one.

    Args:
        conn: a snapshot.
        account_id: who looks.
        name: as the account sees it.
        needed: rights for what is to be done (RFC 4314 section 4); ``""``: the caller checks.

    Returns:
        ``None``: there is none, or the account may not know of it.

    Raises:
        NoRight: the account may see it, and not use it so.
    """
    place = locate(conn, account_id, name)
    if place is None:
        return None
    rows = execute_text(conn, _by_name(mark_of(conn)), (place.owner_id, place.name))
    if not rows:
        return None
    row = _Found(*rows[0])
    if place.owner_id == account_id:
        return _row(row)
    rights = rights_on(conn, account_id, [row.id]).get(row.id)
    if rights is None or not rights.issuperset(needed):
        if rights is not None and "l" in rights:
            raise NoRight(name)
        return None
    return _row(row, account_id, place, rights)


def get_mailbox(conn: Connection, account_id: AccountId, mailbox_id: MailboxId) -> Mailbox | None:
    """Return the mailbox of this id; ``None``: it is gone, or another account's."""
    row = conn.execute(_BY_ID, {"account_": account_id, "id_": mailbox_id}).one_or_none()
    return None if row is None else _row(row)


def require_uid(conn: Connection, mailbox_id: MailboxId, uid: int) -> None:
    """See that a snapshot has all messages of a mailbox up to one.

    Raises:
        NotOnReplica: it has not: a standby has not replayed the commit that brought it.
    """
    next_uid = conn.scalar(sa.select(mailbox.c.uid_next).where(mailbox.c.id == mailbox_id))
    if next_uid is None or next_uid <= uid:
        raise NotOnReplica("the standby does not have all messages yet")


def may_read(conn: Connection, account_id: AccountId, mailbox_id: MailboxId) -> bool:
    """Check whether an account may read a mailbox: its own, or one that is shared with it."""
    if get_mailbox(conn, account_id, mailbox_id) is not None:
        return True
    return "r" in rights_on(conn, account_id, [mailbox_id]).get(mailbox_id, frozenset())


def find_role(conn: Connection, account_id: AccountId, role: str) -> Mailbox | None:
    """Return the mailbox that has this role; ``None``: there is none."""
    row = conn.execute(
        sa.select(mailbox).where(mailbox.c.account_id == account_id, mailbox.c.role == role)
    ).one_or_none()
    return None if row is None else _row(row)


def count_messages(
    conn: Connection, mailbox_ids: Sequence[MailboxId]
) -> dict[MailboxId, MailboxCounts]:
    """Count messages; every id asked for has an answer, an empty or unknown one zeros."""
    unseen = sa.func.sum(sa.case((message.c.flags.op("&")(FLAG_BITS["\\Seen"]) == 0, 1), else_=0))
    has_deleted = message.c.flags.op("&")(FLAG_BITS["\\Deleted"]) != 0
    deleted = sa.func.sum(sa.case((has_deleted, 1), else_=0))
    deleted_size = sa.func.sum(sa.case((has_deleted, message.c.size), else_=0))
    counts = dict.fromkeys(mailbox_ids, MailboxCounts(0, 0, 0))
    for start in range(0, len(mailbox_ids), _AT_ONCE):
        rows = conn.execute(
            sa.select(
                message.c.mailbox_id,
                sa.func.count(),
                unseen,
                sa.func.sum(message.c.size),
                deleted,
                deleted_size,
            )
            .where(message.c.mailbox_id.in_(mailbox_ids[start : start + _AT_ONCE]))
            .group_by(message.c.mailbox_id)
        )
        for mailbox_id, *numbers in rows:
            counts[mailbox_id] = MailboxCounts(*map(int, numbers))
    return counts


# ---- inside -------------------------------------------------------------------------------------


class _Found(NamedTuple):
    """Columns of a mailbox."""

    id: MailboxId
    account_id: AccountId
    name: str
    role: str | None
    uid_validity: int
    uid_next: int
    modseq: int
    recent_from: int


@cache
def _by_name(mark: str) -> str:
    # Not by SQLAlchemy, which takes longer than the database. The names are constants.
    names = ", ".join(_Found._fields)
    return f"SELECT {names} FROM mailbox WHERE account_id = {mark} AND name = {mark}"  # noqa: S608


_BY_ID = sa.select(mailbox).where(
    mailbox.c.account_id == sa.bindparam("account_"), mailbox.c.id == sa.bindparam("id_")
)


def _row(
    row: sa.Row[Any] | _Found,
    account_id: AccountId | None = None,
    place: NamePlace | None = None,
    rights: frozenset[str] = OWNER,
) -> Mailbox:
    return Mailbox(
        mailbox_id=row.id,
        account_id=row.account_id if account_id is None else account_id,
        owner_id=row.account_id,
        name=row.name if place is None else place.prefix + row.name,
        rights=rights,
        role=row.role,
        uid_validity=row.uid_validity,
        uid_next=row.uid_next,
        modseq=row.modseq,
        recent_from=row.recent_from,
    )
