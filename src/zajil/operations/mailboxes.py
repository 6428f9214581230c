"""Mailboxes: who may use them beside their owner."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.actor import Actor
from zajil.core.ids import AccountId, MailboxId
from zajil.imap.mailbox_name import normal_name
from zajil.operations.accounts import find_account
from zajil.operations.context import NotAllowed, OperationContext, Recorded, require_owner
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.mail.access import Entry, list_entries
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.mailbox_changes import (
    DeleteMailbox,
    NewMailbox,
    RenameMailbox,
    create_mailbox,
    delete_mailbox,
    rename_mailbox,
)
from zajil.store.mail.mailboxes import Mailbox, MailboxCounts, count_messages, list_mailboxes
from zajil.store.mail.right_changes import ChangeRights, Grant, RightsChange, change_rights
from zajil.store.mail.subscriptions import Subscription, add_subscriptions, set_subscribed
from zajil.store.people.sharing import describe_sharing

# ---- changes of an account's own mailboxes: as by IMAP, they leave no audit event ----------------


async def make_mailbox(context: OperationContext, actor: Actor, name: str) -> MailboxId:
    """Make a mailbox and subscribe to it, so that mail programs show it.

    Args:
        context: the store and what belongs to it.
        actor: the account.
        name: levels divided by ``/``; those above it are made as well.

    Raises:
        NotAllowed: the actor is not an account.
        BadMailboxName: not a name that a mailbox can have.
        MailboxExists: the name is taken.
        NoRight: below a mailbox of another account that does not allow it.
        TooManyMailboxes: the account has as many as it may.
    """
    new = NewMailbox(
        _account(actor), normal_name(name), context.clock.now_ms(), context.store.caps.mailboxes
    )

    def work(tx: Transaction) -> Recorded[MailboxId]:
        (made,) = create_mailbox(tx, [new])
        add_subscriptions(tx, new.account_id, [new.name])
        return made, []

    return await context.change(work)


async def rename(context: OperationContext, actor: Actor, name: str, new_name: str) -> None:
    """Rename a mailbox with all below it.

    Raises:
        NotAllowed: the actor is not an account.
        BadMailboxName: not a name that a mailbox can have.
        NoSuchMailbox: there is none of this name.
        MailboxExists, BelowItself, NameTooLong, NoRight, TooManyMailboxes: as ``rename_mailbox``.
    """
    names = normal_name(name), normal_name(new_name)
    most = context.store.caps.mailboxes
    item = RenameMailbox(_account(actor), *names, context.clock.now_ms(), most)
    await context.write(rename_mailbox, item)


async def delete(context: OperationContext, actor: Actor, name: str) -> None:
    """Delete a mailbox; its messages can be taken back (``operations.undelete``).

    Raises:
        NotAllowed: the actor is not an account.
        NoSuchMailbox: there is none of this name.
        NoRight: it is another account's, and may not be deleted.
        MailboxIsFixed: INBOX, or one with a role.
    """
    await context.write(delete_mailbox, DeleteMailbox(_account(actor), normal_name(name)))


async def subscribe(
    context: OperationContext, actor: Actor, name: str, *, subscribed: bool
) -> None:
    """Show a mailbox in mail programs, or hide it.

    Raises:
        NotAllowed: the actor is not an account.
        NoSuchMailbox: there is none of this name.
        TooManySubscriptions: the account has as many as it may.
    """
    item = Subscription(_account(actor), normal_name(name), subscribed)
    await context.write(set_subscribed, item)


def _account(actor: Actor) -> AccountId:
    if actor.account_id is None:
        raise NotAllowed(f"{actor.name} is not an account")
    return actor.account_id


# ---- sharing ------------------------------------------------------------------------------------


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
