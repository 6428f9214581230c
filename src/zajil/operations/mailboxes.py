"""Mailboxes: who may use them beside their owner."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.actor import Actor
from zajil.imap.mailbox_name import normal_name
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_owner
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.mail.access import Entry, list_entries
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.mailboxes import Mailbox, MailboxCounts, count_messages, list_mailboxes
from zajil.store.mail.right_changes import ChangeRights, Grant, RightsChange, change_rights
from zajil.store.people.sharing import describe_sharing


async def share_mailbox(
    context: OperationContext, actor: Actor, login_or_address: str, mailbox: str, grant: Grant
) -> RightsChange | None:
    """Change what an account may do with a mailbox of another one.

    Returns:
        What is different now; ``None``: nothing.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such owner.
        BadMailboxName: not a name that a mailbox can have.
        NoSuchMailbox: the owner has no such mailbox.
        NoSuchIdentifier: the rights are for an account that does not exist.
        NoRight: the rights are for the owner, who has all.
        TooManyRights: the mailbox is shared with too many accounts.
    """
    row = await context.read(lambda conn: find_account(conn, login_or_address))
    require_owner(actor, row.account_id)
    by, item = context.stamp(actor), ChangeRights(row.account_id, normal_name(mailbox), grant)

    def work(tx: Transaction) -> Recorded[RightsChange | None]:
        try:
            (change,) = change_rights(tx, [item])
        except NoSuchMailbox:
            raise NoSuchMailbox(f"{row.login} has no mailbox {mailbox}") from None
        return change, [] if change is None else [describe_sharing(by, change)]

    return await context.change(work)


@dataclass(frozen=True, slots=True)
class MailboxUse:
    """A mailbox, how full it is, and who may use it."""

    box: Mailbox
    counts: MailboxCounts
    shared_with: tuple[Entry, ...]


def show_mailboxes(conn: Snapshot, login_or_address: str) -> list[MailboxUse]:
    """Return the mailboxes of an account, INBOX first, the others by name.

    Raises:
        NoSuchAccount: there is no such account.
    """
    boxes = list_mailboxes(conn, find_account(conn, login_or_address).account_id)
    counts = count_messages(conn, [box.mailbox_id for box in boxes])
    return [
        MailboxUse(box, counts[box.mailbox_id], tuple(list_entries(conn, box.mailbox_id)))
        for box in boxes
    ]
