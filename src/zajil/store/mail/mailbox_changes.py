"""Units of work on mailboxes: create, rename, delete.

Laws:
- Every unit takes the account that acts, and changes no mailbox of another one without a right of
  this account on it (``store.mail.access``).
- Names are in their one form already, as the account that acts sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import AlreadyExists, Refused
from zajil.core.ids import AccountId, MailboxId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import mailbox_topic, time_of, touch
from zajil.store.engine.rows import portions
from zajil.store.mail.access import (
    NamePlace,
    NoRight,
    delete_rights_on,
    inherit_rights,
    locate,
    rights_on,
    touch_names,
)
from zajil.store.mail.annotations import copy_annotations, delete_annotations_on
from zajil.store.mail.append import NoSuchMailbox, lock_mailboxes
from zajil.store.mail.blob_rows import release_blobs
from zajil.store.mail.caps import Caps
from zajil.store.mail.deleted import count_deleted, keep_deleted, keeps_deleted
from zajil.store.mail.kept_blocks import forget_blocks_of
from zajil.store.mail.mailboxes import FIRST_NAMES, INBOX, Mailbox, find_mailbox, list_mailboxes
from zajil.store.mail.subscriptions import subscribe_new_name
from zajil.store.schema import NUMBER, expunged, mailbox, message

MAX_NAME = 255
"""Characters of a name."""


class MailboxExists(AlreadyExists):
    """The name is taken."""


class MailboxIsFixed(Refused):
    """INBOX and the mailboxes with a role cannot be deleted: mail is filed into them."""


class BelowItself(Refused):
    """A mailbox cannot move below itself."""


class NameTooLong(Refused):
    """Renaming what lies above would make a name longer than ``MAX_NAME``."""


class TooManyMailboxes(Refused):
    """The account has as many as it may."""


@value_class(frozen=True, slots=True)
class NewMailbox:
    """What ``create_mailbox`` takes."""

    account_id: AccountId
    name: str
    created_ms: int
    most: int = Caps.mailboxes
    """Mailboxes that the owner may have; 0: as many as it wants."""
    role: str | None = None
    """Taken from the mailbox that has it."""


def create_mailbox(tx: Connection, items: Sequence[NewMailbox]) -> list[MailboxId]:
    """Make mailboxes, and those above them that do not exist yet. (RFC 3501 section 6.3.3)

    A new one has the rights of the one above it (RFC 4314 section 4).

    Unit of work: not idempotent; locks the counter of UIDVALIDITY.

    Raises:
        MailboxExists: the name is taken.
        NoRight: below another account's mailbox, and not allowed there.
        TooManyMailboxes: the owner has as many as it may.
    """
    ids: list[MailboxId] = []
    for item in items:
        place = _place_for_new(tx, item.account_id, item.name)
        own = replace(item, account_id=place.owner_id, name=place.name)
        if find_mailbox(tx, own.account_id, own.name) is not None:
            raise MailboxExists(item.name)
        _create_above(tx, own)
        ids.append(_insert(tx, own))
        if item.role is not None:
            take_role(tx, own.account_id, ids[-1], item.role)
    return ids


def take_role(tx: Connection, account_id: AccountId, mailbox_id: MailboxId, role: str) -> None:
    """Give a mailbox a role that another one has; part of the caller's unit."""
    holds = (mailbox.c.account_id == account_id, mailbox.c.role == role)
    tx.execute(sa.update(mailbox).where(*holds).values(role=None))
    tx.execute(sa.update(mailbox).where(mailbox.c.id == mailbox_id).values(role=role))


@value_class(frozen=True, slots=True)
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
        NoRight: it is another account's, and may not be renamed so.
        MailboxExists: a new name is taken.
        BelowItself: the new name lies below the old one.
        NameTooLong: one below would get too long a name.
        TooManyMailboxes: the owner has as many as it may.
    """
    for item in items:
        place = locate(tx, item.account_id, item.name)
        if place is None:
            raise NoSuchMailbox(item.name)
        boxes = _boxes_to_rename(tx, item, place)
        new = _place_for_new(tx, item.account_id, item.new_name)
        if new.owner_id != place.owner_id or (place.prefix and place.name == INBOX):
            raise NoRight(item.new_name)
        own = replace(item, account_id=place.owner_id, name=place.name, new_name=new.name)
        if own.name == INBOX:
            _empty_inbox_into(tx, own)
            continue
        if own.new_name == own.name:
            raise MailboxExists(item.new_name)
        if own.new_name.startswith(own.name + "/"):
            raise BelowItself(item.new_name)
        _create_above(tx, NewMailbox(own.account_id, own.new_name, own.now_ms, own.most))
        lock_mailboxes(tx, [box.mailbox_id for box in boxes])
        for box in boxes:
            name = own.new_name + box.name[len(own.name) :]
            if len(name) > MAX_NAME:
                raise NameTooLong(name)
            if find_mailbox(tx, own.account_id, name) is not None:
                raise MailboxExists(name)
            subscribe_new_name(tx, own.account_id, box.name, name)
            if place.prefix:
                old = place.prefix + box.name
                subscribe_new_name(tx, item.account_id, old, new.prefix + name)
            _change(tx, box, name=name, uid_validity=_next_uid_validity(tx, item.now_ms))
    return [None] * len(items)


def _boxes_to_rename(tx: Connection, item: RenameMailbox, place: NamePlace) -> list[Mailbox]:
    """Return the mailboxes that a RENAME changes, as their owner has them, rights checked."""
    below = place.name + "/"
    boxes = [
        box
        for box in list_mailboxes(tx, place.owner_id)
        if box.name == place.name or box.name.startswith(below)
    ]
    if place.prefix:
        rights = rights_on(tx, item.account_id, [box.mailbox_id for box in boxes])
        if not any("l" in held for held in rights.values()):
            raise NoSuchMailbox(item.name)
        if not all("x" in rights.get(box.mailbox_id, "") for box in boxes):
            raise NoRight(item.name)
    if not boxes:
        raise NoSuchMailbox(item.name)
    return boxes


@value_class(frozen=True, slots=True)
class DeleteMailbox:
    """What ``delete_mailbox`` takes."""

    account_id: AccountId
    name: str


def delete_mailbox(tx: Connection, items: Sequence[DeleteMailbox]) -> list[MailboxId]:
    """Remove mailboxes with their messages; those below stay. (RFC 3501 section 6.3.4)

    The messages can be taken back (``store.mail.undelete``), by the owner.

    Subscriptions stay as well (RFC 3501 section 6.3.6), rights go. A role that CREATE gave it goes
    back to the mailbox that new accounts have for it.

    Unit of work: not idempotent; locks the mailboxes; touches their topics.

    Returns:
        The ids they had; no mailbox gets one of them again.

    Raises:
        NoSuchMailbox: there is none of this name.
        NoRight: it is another account's, and may not be deleted.
        MailboxIsFixed: INBOX, or one with a role.
    """
    ids: list[MailboxId] = []
    for item in items:
        box = find_mailbox(tx, item.account_id, item.name, "x")
        if box is None:
            raise NoSuchMailbox(item.name)
        if box.role is not None:
            _give_role_back(tx, box)
        lock_mailboxes(tx, [box.mailbox_id])
        mine = message.c.mailbox_id == box.mailbox_id
        keeps = keeps_deleted(tx)
        if keeps:
            keep_deleted(tx, box.mailbox_id)
        gone = tx.execute(
            sa.delete(message).where(mine).returning(message.c.blob_id, message.c.size)
        ).all()
        if keeps:
            count_deleted(tx, box.owner_id, len(gone), sum([row.size for row in gone]))
        else:
            for some in portions([row.blob_id for row in gone]):
                release_blobs(tx, some)
        tx.execute(sa.delete(expunged).where(expunged.c.mailbox_id == box.mailbox_id))
        tx.execute(sa.delete(mailbox).where(mailbox.c.id == box.mailbox_id))
        touch_names(tx, box.mailbox_id, box.owner_id)
        delete_rights_on(tx, [box.mailbox_id])
        delete_annotations_on(tx, [box.mailbox_id])
        forget_blocks_of(tx, [box.mailbox_id])
        touch(tx, mailbox_topic(box.mailbox_id))
        ids.append(box.mailbox_id)
    return ids


# ---- inside -------------------------------------------------------------------------------------


def _place_for_new(tx: Connection, account_id: AccountId, name: str) -> NamePlace:
    """Return where a new mailbox of this name would be.

    Raises:
        NoRight: below a mailbox of another account that does not allow it; also where there is no
            such account or mailbox, so that nobody learns which there are.
    """
    place = locate(tx, account_id, name)
    if place is None:
        raise NoRight(name)
    if place.prefix:
        above = place.name.rpartition("/")[0]
        while above and find_mailbox(tx, place.owner_id, above) is None:
            above = above.rpartition("/")[0]
        box = find_mailbox(tx, account_id, place.prefix + above, "k") if above else None
        if box is None:
            raise NoRight(name)
    return place


def _give_role_back(tx: Connection, box: Mailbox) -> None:
    """Let the mailbox that new accounts have for a role hold it again, before ``box`` is deleted.

    Raises:
        MailboxIsFixed: there is none, or ``box`` is it: mail is filed into it.
    """
    usual = None if box.role is None else FIRST_NAMES.get(box.role)
    found = None if usual is None else find_mailbox(tx, box.owner_id, usual)
    if found is None or found.role is not None or box.role is None:
        raise MailboxIsFixed(box.name)
    take_role(tx, box.owner_id, found.mailbox_id, box.role)


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
    mailbox_id = MailboxId(made.scalar_one())
    above = find_mailbox(tx, item.account_id, item.name.rpartition("/")[0])
    if above is not None:
        inherit_rights(tx, mailbox_id, above.mailbox_id)
    touch_names(tx, mailbox_id, item.account_id)
    return mailbox_id


def _change(tx: Connection, box: Mailbox, **values: object) -> None:
    tx.execute(sa.update(mailbox).where(mailbox.c.id == box.mailbox_id).values(**values))
    touch(tx, mailbox_topic(box.mailbox_id))
    touch_names(tx, box.mailbox_id, box.owner_id)


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
    copy_annotations(tx, inbox.mailbox_id, new_id)
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
    forget_blocks_of(tx, [inbox.mailbox_id])
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
