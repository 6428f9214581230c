"""Mailboxes of an account: find, count, create, rename, delete.

Law: every unit and query here takes the account, and touches no mailbox of another one.
Names are in their one form already (NFC, levels divided by ``/``, INBOX in capitals).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import AlreadyExists, Refused
from zajil.core.ids import AccountId, MailboxId
from zajil.store.engine.batch import mailbox_topic, time_of, touch
from zajil.store.engine.rows import portions
from zajil.store.mail.append import NoSuchMailbox, lock_mailboxes
from zajil.store.mail.blobs import release_blobs
from zajil.store.mail.caps import Caps
from zajil.store.mail.deleted import count_deleted, keep_deleted, keeps_deleted
from zajil.store.mail.flags import FLAG_BITS
from zajil.store.mail.subscriptions import rename_subscription
from zajil.store.schema import NUMBER, expunged, mailbox, message

INBOX = "INBOX"

MAX_NAME = 255
"""Characters of a name."""

_AT_ONCE = 1000
"""Rows named in one statement: below SQLite's 32,766 parameters."""


class MailboxExists(AlreadyExists):
    """The name is taken."""


class MailboxIsFixed(Refused):
    """INBOX and the mailboxes with a role cannot be deleted: mail is filed into them."""


class NameTooLong(Refused):
    """Renaming what lies above would make a name longer than ``MAX_NAME``."""


class TooManyMailboxes(Refused):
    """The account has as many as it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One mailbox, as a snapshot has it."""

    mailbox_id: MailboxId
    account_id: AccountId
    name: str
    role: str | None
    """``inbox``, ``drafts``, ``sent``, ``junk``, ``trash``, ``archive`` (RFC 6154 section 2)."""
    uid_validity: int
    uid_next: int
    modseq: int
    recent_from: int
    """UIDs from here on are recent to no session yet (``store.mail.recent``)."""


@dataclass(frozen=True, slots=True)
class MailboxCounts:
    """How full a mailbox is."""

    messages: int
    unseen: int
    size: int
    """Bytes of all messages."""


# ---- queries ------------------------------------------------------------------------------------


def list_mailboxes(conn: Connection, account_id: AccountId) -> list[Mailbox]:
    """Return all mailboxes of an account: INBOX first, the others by name."""
    rows = conn.execute(sa.select(mailbox).where(mailbox.c.account_id == account_id))
    boxes = [_row(row) for row in rows]
    return sorted(boxes, key=lambda box: (box.name != INBOX, box.name))


def find_mailbox(conn: Connection, account_id: AccountId, name: str) -> Mailbox | None:
    """Return the mailbox of this name; ``None``: there is none."""
    row = conn.execute(_BY_NAME, {"account_": account_id, "name_": name}).one_or_none()
    return None if row is None else _row(row)


def get_mailbox(conn: Connection, account_id: AccountId, mailbox_id: MailboxId) -> Mailbox | None:
    """Return the mailbox of this id; ``None``: it is gone, or another account's."""
    row = conn.execute(_BY_ID, {"account_": account_id, "id_": mailbox_id}).one_or_none()
    return None if row is None else _row(row)


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
    counts = dict.fromkeys(mailbox_ids, MailboxCounts(0, 0, 0))
    for start in range(0, len(mailbox_ids), _AT_ONCE):
        rows = conn.execute(
            sa.select(message.c.mailbox_id, sa.func.count(), unseen, sa.func.sum(message.c.size))
            .where(message.c.mailbox_id.in_(mailbox_ids[start : start + _AT_ONCE]))
            .group_by(message.c.mailbox_id)
        )
        for mailbox_id, messages, not_seen, size in rows:
            counts[mailbox_id] = MailboxCounts(messages, int(not_seen), int(size))
    return counts


# ---- units of work ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewMailbox:
    """What ``create_mailbox`` takes."""

    account_id: AccountId
    name: str
    created_ms: int
    most: int = Caps.mailboxes
    """Mailboxes that the account may have; 0: as many as it wants."""


def create_mailbox(tx: Connection, items: Sequence[NewMailbox]) -> list[MailboxId]:
    """Make mailboxes, and those above them that do not exist yet. (RFC 3501 section 6.3.3)

    Unit of work: not idempotent; locks the counter of UIDVALIDITY.

    Raises:
        MailboxExists: the name is taken.
        TooManyMailboxes: the account has as many as it may.
    """
    ids: list[MailboxId] = []
    for item in items:
        if find_mailbox(tx, item.account_id, item.name) is not None:
            raise MailboxExists(item.name)
        _create_above(tx, item)
        ids.append(_insert(tx, item))
    return ids


@dataclass(frozen=True, slots=True)
class RenameMailbox:
    """What ``rename_mailbox`` takes."""

    account_id: AccountId
    name: str
    new_name: str
    now_ms: int
    most: int = Caps.mailboxes
    """Mailboxes that the account may have; 0: as many as it wants."""


def rename_mailbox(tx: Connection, items: Sequence[RenameMailbox]) -> list[None]:
    """Rename mailboxes with all below them. (RFC 3501 section 6.3.5)

    Renaming INBOX moves its messages into a new mailbox and leaves INBOX empty. What is renamed
    gets a new UIDVALIDITY: a client that knew another mailbox by the new name must notice.

    Unit of work: not idempotent; locks the mailboxes; touches their topics.

    Raises:
        NoSuchMailbox: there is none of this name, nor any below it.
        MailboxExists: a new name is taken, or lies below the old one.
        NameTooLong: one below would get too long a name.
        TooManyMailboxes: the account has as many as it may.
    """
    for item in items:
        if item.name == INBOX:
            _empty_inbox_into(tx, item)
            continue
        below = item.name + "/"
        boxes = [
            box
            for box in list_mailboxes(tx, item.account_id)
            if box.name == item.name or box.name.startswith(below)
        ]
        if not boxes:
            raise NoSuchMailbox(item.name)
        if item.new_name == item.name or item.new_name.startswith(below):
            raise MailboxExists(item.new_name)
        _create_above(tx, NewMailbox(item.account_id, item.new_name, item.now_ms, item.most))
        lock_mailboxes(tx, [box.mailbox_id for box in boxes])
        for box in boxes:
            name = item.new_name + box.name[len(item.name) :]
            if len(name) > MAX_NAME:
                raise NameTooLong(name)
            if find_mailbox(tx, item.account_id, name) is not None:
                raise MailboxExists(name)
            rename_subscription(tx, item.account_id, box.name, name)
            _change(tx, box, name=name, uid_validity=_next_uid_validity(tx, item.now_ms))
    return [None] * len(items)


@dataclass(frozen=True, slots=True)
class DeleteMailbox:
    """What ``delete_mailbox`` takes."""

    account_id: AccountId
    name: str


def delete_mailbox(tx: Connection, items: Sequence[DeleteMailbox]) -> list[MailboxId]:
    """Remove mailboxes with their messages; those below stay. (RFC 3501 section 6.3.4)

    The messages can be taken back (``store.mail.undelete``).

    Subscriptions stay as well (RFC 3501 section 6.3.6).

    Unit of work: not idempotent; locks the mailboxes; touches their topics.

    Returns:
        The ids they had; no mailbox gets one of them again.

    Raises:
        NoSuchMailbox: there is none of this name.
        MailboxIsFixed: INBOX, or one with a role.
    """
    ids: list[MailboxId] = []
    for item in items:
        box = find_mailbox(tx, item.account_id, item.name)
        if box is None:
            raise NoSuchMailbox(item.name)
        if box.role is not None or box.name == INBOX:
            raise MailboxIsFixed(item.name)
        lock_mailboxes(tx, [box.mailbox_id])
        mine = message.c.mailbox_id == box.mailbox_id
        keeps = keeps_deleted(tx)
        if keeps:
            keep_deleted(tx, box.mailbox_id, mine)
        gone = tx.execute(
            sa.delete(message).where(mine).returning(message.c.blob_id, message.c.size)
        ).all()
        if keeps:
            count_deleted(tx, box.account_id, len(gone), sum([row.size for row in gone]))
        else:
            for some in portions([row.blob_id for row in gone]):
                release_blobs(tx, some)
        tx.execute(sa.delete(expunged).where(expunged.c.mailbox_id == box.mailbox_id))
        tx.execute(sa.delete(mailbox).where(mailbox.c.id == box.mailbox_id))
        touch(tx, mailbox_topic(box.mailbox_id))
        ids.append(box.mailbox_id)
    return ids


# ---- inside -------------------------------------------------------------------------------------

_BY_NAME = sa.select(mailbox).where(
    mailbox.c.account_id == sa.bindparam("account_"), mailbox.c.name == sa.bindparam("name_")
)
_BY_ID = sa.select(mailbox).where(
    mailbox.c.account_id == sa.bindparam("account_"), mailbox.c.id == sa.bindparam("id_")
)


def _row(row: sa.Row[Any]) -> Mailbox:
    return Mailbox(
        mailbox_id=row.id,
        account_id=row.account_id,
        name=row.name,
        role=row.role,
        uid_validity=row.uid_validity,
        uid_next=row.uid_next,
        modseq=row.modseq,
        recent_from=row.recent_from,
    )


def _create_above(tx: Connection, item: NewMailbox) -> None:
    levels = item.name.split("/")[:-1]
    for depth in range(1, len(levels) + 1):
        above = "/".join(levels[:depth])
        if find_mailbox(tx, item.account_id, above) is None:
            _insert(tx, replace(item, name=above))


def _insert(tx: Connection, item: NewMailbox) -> MailboxId:
    mine = sa.select(sa.func.count()).where(mailbox.c.account_id == item.account_id)
    if item.most and tx.execute(mine).scalar_one() >= item.most:
        raise TooManyMailboxes(item.name)
    row = {
        "account_id": item.account_id,
        "name": item.name,
        "role": None,
        "uid_validity": _next_uid_validity(tx, item.created_ms),
        "uid_next": 1,
        "modseq": 1,
    }
    try:
        made = tx.execute(sa.insert(mailbox).returning(mailbox.c.id), row)
    except sa.exc.IntegrityError:  # another node was quicker
        raise MailboxExists(item.name) from None
    return MailboxId(made.scalar_one())


def _change(tx: Connection, box: Mailbox, **values: object) -> None:
    tx.execute(sa.update(mailbox).where(mailbox.c.id == box.mailbox_id).values(**values))
    touch(tx, mailbox_topic(box.mailbox_id))


def _next_uid_validity(tx: Connection, now_ms: int) -> int:
    """Return a UIDVALIDITY that no mailbox of any name had before. (RFC 9051 section 2.3.1.1)

    A time in seconds alone repeats when a mailbox is deleted and made again within one second.
    """
    given = {"name": "uid_validity", "value": now_ms // 1000}
    return int(tx.execute(_NEXT_UID_VALIDITY, given).scalar_one())


# Either database has this form of it; SQLAlchemy has one construct for each.
_NEXT_UID_VALIDITY = sa.text(
    "INSERT INTO counter (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE "
    "SET value = CASE WHEN counter.value < excluded.value THEN excluded.value "
    "ELSE counter.value + 1 END RETURNING value"
)


def _empty_inbox_into(tx: Connection, item: RenameMailbox) -> None:
    inbox = find_mailbox(tx, item.account_id, INBOX)
    if inbox is None:
        raise NoSuchMailbox(INBOX)
    new = NewMailbox(item.account_id, item.new_name, item.now_ms, item.most)
    (new_id,) = create_mailbox(tx, [new])
    lock_mailboxes(tx, sorted([inbox.mailbox_id, new_id]))
    # Invariant: the new mailbox is empty, so the messages keep their UIDs there.
    held = tx.execute(
        sa.select(mailbox.c.messages, mailbox.c.size).where(mailbox.c.id == inbox.mailbox_id)
    ).one()
    modseq = tx.execute(
        sa.update(mailbox)
        .where(mailbox.c.id == inbox.mailbox_id)
        .values(modseq=mailbox.c.modseq + 1, messages=0, size=0)
        .returning(mailbox.c.modseq, mailbox.c.uid_next, mailbox.c.recent_from)
    ).one()
    tx.execute(
        sa.insert(expunged).from_select(
            ["mailbox_id", "modseq", "uid", "at_ms"],
            sa.select(
                message.c.mailbox_id,
                sa.literal(modseq.modseq),
                message.c.uid,
                sa.literal(time_of(tx), NUMBER),
            ).where(message.c.mailbox_id == inbox.mailbox_id),
        )
    )
    tx.execute(
        sa.update(message).where(message.c.mailbox_id == inbox.mailbox_id).values(mailbox_id=new_id)
    )
    tx.execute(
        sa.update(mailbox)
        .where(mailbox.c.id == new_id)
        .values(
            uid_next=modseq.uid_next,
            modseq=modseq.modseq,
            recent_from=modseq.recent_from,
            messages=held.messages,
            size=held.size,
        )
    )
    touch(tx, mailbox_topic(inbox.mailbox_id), mailbox_topic(new_id))
