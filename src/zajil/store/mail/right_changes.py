"""Change who may do what with a mailbox. (RFC 4314 section 3.1)"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import Refused
from zajil.core.ids import AccountId, MailboxId
from zajil.core.mailbox_rights import format_rights
from zajil.core.value_class import value_class
from zajil.store.engine.batch import mailbox_topic, names_topic, touch
from zajil.store.mail.access import ANYONE, Entry, NoRight, find_identifier, find_owner, locate
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.mailboxes import find_mailbox
from zajil.store.schema import mailbox, mailbox_right

MAX_ENTRIES = 1000
"""Accounts with rights on one mailbox."""


class TooManyRights(Refused):
    """The mailbox has ``MAX_ENTRIES`` already."""


@value_class(frozen=True, slots=True)
class Grant:
    """A change of what an account may do with a mailbox."""

    identifier: str
    """Login name or address of the account, or ``anyone``."""
    rights: frozenset[str]
    mode: str = ""
    """``+`` adds, ``-`` removes, ``""`` replaces."""


@value_class(frozen=True, slots=True)
class ChangeRights:
    """What ``change_rights`` takes."""

    account_id: AccountId
    name: str
    grant: Grant


@value_class(frozen=True, slots=True)
class RightsChange:
    """What ``change_rights`` has done."""

    owner_id: AccountId
    owner: str
    """Login name."""
    name: str
    """As the owner has it."""
    entry: Entry


def change_rights(tx: Connection, items: Sequence[ChangeRights]) -> list[RightsChange | None]:
    """Change who may do what with mailboxes. (RFC 4314 section 3.1)

    Unit of work: idempotent; touches the topics of the mailboxes.

    Returns:
        For each item what is different now; ``None``: nothing.

    Raises:
        NoSuchMailbox: it is gone, or the account may not see it.
        NoRight: the account may not administer it, or the rights are the owner's.
        NoSuchIdentifier, TooManyRights: see below.
    """
    changes: list[RightsChange | None] = []
    for item in items:
        place = locate(tx, item.account_id, item.name)
        box = find_mailbox(tx, item.account_id, item.name, "a")
        if box is None or place is None:
            raise NoSuchMailbox(item.name)
        entry = _set_rights(tx, box.mailbox_id, item.grant)
        owner = find_owner(tx, box.owner_id)
        change = None if entry is None else RightsChange(box.owner_id, owner, place.name, entry)
        changes.append(change)
    return changes


def _set_rights(tx: Connection, mailbox_id: MailboxId, grant: Grant) -> Entry | None:
    """Change what an account may do with a mailbox; part of the caller's unit, which checks ``a``.

    Touches the mailbox's topic and gives it a new MODSEQ: sessions that have it selected must
    notice, also in another process.

    Returns:
        What the account may do now; ``None``: nothing has changed.

    Raises:
        NoSuchIdentifier: no account has this login name.
        NoRight: the identifier is the owner, whose rights stay.
        TooManyRights: the mailbox has entries for too many accounts.
    """
    account_id = find_identifier(tx, grant.identifier)
    owner = tx.scalar(sa.select(mailbox.c.account_id).where(mailbox.c.id == mailbox_id))
    if account_id == owner:
        raise NoRight("the owner has all rights")
    of_mailbox = mailbox_right.c.mailbox_id == mailbox_id
    mine = (of_mailbox, mailbox_right.c.account_id == account_id)
    before = frozenset(tx.scalar(sa.select(mailbox_right.c.rights).where(*mine)) or "")
    changes = {"+": before | grant.rights, "-": before - grant.rights}
    after = changes.get(grant.mode, grant.rights)
    if after == before:
        return None
    count = sa.select(sa.func.count()).select_from(mailbox_right).where(of_mailbox)
    if not before and tx.execute(count).scalar_one() >= MAX_ENTRIES:
        raise TooManyRights(f"{MAX_ENTRIES} accounts have rights on the mailbox")
    tx.execute(sa.delete(mailbox_right).where(*mine))
    if after:
        row = {"mailbox_id": mailbox_id, "account_id": account_id}
        tx.execute(sa.insert(mailbox_right), {**row, "rights": format_rights(after)})
    changed = sa.update(mailbox).where(mailbox.c.id == mailbox_id)
    tx.execute(changed.values(modseq=mailbox.c.modseq + 1))
    touch(tx, mailbox_topic(mailbox_id), names_topic(account_id), names_topic(owner or ANYONE))
    name = "anyone" if account_id == ANYONE else find_owner(tx, account_id)
    return Entry(name, after)
