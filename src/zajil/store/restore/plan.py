"""What of a backup an account does not have any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import AlreadyExists, NotFound
from zajil.core.ids import AccountId, BlobId, MailboxId
from zajil.core.value_class import value_class
from zajil.store.engine.rows import AT_ONCE, portions
from zajil.store.mail.mailboxes import Mailbox, find_mailbox, get_mailbox
from zajil.store.people.accounts import AccountRow, find_by_login, get_account
from zajil.store.restore.source import (
    AccountSource,
    Choice,
    blobs_of,
    chosen_mailboxes,
)
from zajil.store.schema import address, mailbox, message


class AddressTaken(AlreadyExists):
    """An account of the backup is gone, and somebody else has its address or login name."""


class NotInBackup(NotFound):
    """The backup has no such mailbox."""


@value_class(frozen=True, slots=True, kw_only=True)
class MailboxPlan:
    """One mailbox of the backup."""

    source_id: MailboxId
    """Its id in the backup."""
    name: str
    """Its name in the backup."""
    target: Mailbox | None
    """Where its messages go; ``None``: it is created again."""
    in_backup: int
    """Messages of it that are meant."""
    missing: int
    """Of these, those that the account does not have any more."""
    missing_size: int
    """Bytes of these, as quotas count them."""


@value_class(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """What would be restored."""

    source: AccountRow
    """As the backup has it."""
    target: AccountRow | None
    """As it is now; ``None``: it is gone, and is created again."""
    mailboxes: tuple[MailboxPlan, ...]

    @property
    def missing(self) -> int:
        """Messages."""
        return sum(one.missing for one in self.mailboxes)

    @property
    def missing_size(self) -> int:
        """Bytes of these."""
        return sum(one.missing_size for one in self.mailboxes)

    @property
    def new_mailboxes(self) -> tuple[str, ...]:
        """Names of those that are created again."""
        return tuple(one.name for one in self.mailboxes if one.target is None)


def find_target(conn: Connection, was: AccountRow) -> AccountRow | None:
    """Return the account of a backup as it is now; ``None``: it is gone.

    It is the same one if it was created at the same time and has kept its id, address or login
    name: an id alone may be another account's, after the store was restored from an older backup.

    Raises:
        AddressTaken: it is gone, and another account or an alias has its address or login name.
    """
    found = get_account(conn, was.account_id)
    for one in (found, find_by_login(conn, str(was.address)), find_by_login(conn, was.login)):
        if one is not None and one.created_ms == was.created_ms:
            return one
    for name, what in ((str(was.address), "address"), (was.login, "login name")):
        other = find_by_login(conn, name)
        if other is not None:
            raise AddressTaken(
                f"the account {was.login} of the backup is gone, and the account {other.login} "
                f"({other.address.unicode}) has its {what} now; to restore the mail into that "
                f"account, use --into {other.login}"
            )
    taken = sa.select(address.c.targets).where(address.c.key == was.address.key)
    if conn.execute(taken).first() is not None:
        raise AddressTaken(
            f"the account {was.login} of the backup is gone, and {was.address.unicode} is an alias "
            "now; remove the alias first, or use --into ACCOUNT"
        )
    return None


def plan_restore(
    conn: Connection, source: AccountSource, target: AccountRow | None, choice: Choice
) -> RestorePlan:
    """Compare a backup with what there is.

    Args:
        conn: a snapshot of the store.
        source: the account in the backup.
        target: where it goes; ``None``: the account is gone.
        choice: which messages are meant.

    Raises:
        NotInBackup: there is no mailbox of that name.
    """
    boxes = chosen_mailboxes(source, choice)
    if not boxes:
        raise NotInBackup(f"the backup has no mailbox {choice.mailbox} of {source.account.login}")
    account_id = None if target is None else target.account_id
    plans = [_plan_mailbox(conn, source, account_id, box, choice) for box in boxes]
    if choice.has_days:
        # Empty mailboxes say nothing about a day.
        plans = [one for one in plans if one.target is not None or one.missing]
    return RestorePlan(source=source.account, target=target, mailboxes=tuple(plans))


def _plan_mailbox(
    conn: Connection, source: AccountSource, account_id: AccountId | None, box: Any, choice: Choice
) -> MailboxPlan:
    in_backup = missing = size = 0
    for rows in blobs_of(source, MailboxId(box.id), choice, AT_ONCE):
        in_backup += len(rows)
        gone = set(missing_blobs(conn, account_id, [row.blob_id for row in rows]))
        missing += sum(row.blob_id in gone for row in rows)
        size += sum(row.size for row in rows if row.blob_id in gone)
    return MailboxPlan(
        source_id=MailboxId(box.id),
        name=box.name,
        target=None if account_id is None else find_place(conn, account_id, box),
        in_backup=in_backup,
        missing=missing,
        missing_size=size,
    )


def find_place(conn: Connection, account_id: AccountId, box: Any) -> Mailbox | None:
    """Return where messages of a mailbox of the backup go; ``None``: it is gone.

    Args:
        conn: a snapshot or a transaction.
        account_id: whose account it is now.
        box: the row of the backup; the mailbox may have got another name since.
    """
    found = get_mailbox(conn, account_id, MailboxId(box.id))
    return found if found is not None else find_mailbox(conn, account_id, box.name)


def missing_blobs(
    conn: Connection, account_id: AccountId | None, blob_ids: Sequence[BlobId]
) -> list[BlobId]:
    """Return those of the blobs that no message in a mailbox of the account has, in their order."""
    wanted = list(dict.fromkeys(blob_ids))
    if account_id is None:
        return wanted
    held: set[str] = set()
    for some in portions(wanted):
        mine = (
            sa.select(message.c.blob_id)
            .join(mailbox, mailbox.c.id == message.c.mailbox_id)
            .where(mailbox.c.account_id == account_id, message.c.blob_id.in_(some))
        )
        held.update(conn.scalars(mine))
    return [one for one in wanted if one not in held]
