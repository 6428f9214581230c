"""CREATE, DELETE, RENAME, SUBSCRIBE, STATUS. (RFC 3501 section 6.3)"""

from __future__ import annotations

from collections.abc import Sequence

from zajil.core.ids import MailboxId
from zajil.imap.command import Create, Delete, Rename, Status, StatusItem, Subscribe
from zajil.imap.response import Completion, mailbox, parenthesized, untagged
from zajil.read.imap.context import NO_MAILBOX, Context
from zajil.read.imap.select import leave
from zajil.store.append import NoSuchMailbox
from zajil.store.mailboxes import (
    Counts,
    DeleteMailbox,
    Mailbox,
    MailboxExists,
    MailboxIsFixed,
    NameTooLong,
    NewMailbox,
    RenameMailbox,
    TooManyMailboxes,
    count_messages,
    create_mailbox,
    delete_mailbox,
    find_mailbox,
    rename_mailbox,
)
from zajil.store.recent import count_recent
from zajil.store.subscriptions import Subscription, TooManySubscriptions, set_subscribed

_EXISTS = Completion("NO", "there is a mailbox of this name", "ALREADYEXISTS")
_TOO_MANY = Completion("NO", "there are too many mailboxes", "LIMIT")


async def create(context: Context, command: Create) -> Completion:
    """Make a mailbox, and those above it."""
    item = NewMailbox(context.account.account_id, command.mailbox, context.clock.now_ms())
    try:
        await context.store.write(create_mailbox, item)
    except MailboxExists:
        return _EXISTS
    except TooManyMailboxes:
        return _TOO_MANY
    return Completion("OK", "mailbox is made")


async def delete(context: Context, command: Delete) -> Completion:
    """Remove a mailbox with its messages; if it is the selected one, none is from then on.

    Other sessions that have it selected are told BYE (``select.report``).
    """
    try:
        deleted = await context.store.write(
            delete_mailbox, DeleteMailbox(context.account.account_id, command.mailbox)
        )
    except NoSuchMailbox:
        return NO_MAILBOX
    except MailboxIsFixed:
        return Completion("NO", "this mailbox cannot be deleted", "CANNOT")
    if context.view is not None and context.view.mailbox.mailbox_id == deleted:
        # RFC 3501 section 2.2.2: the command has its tagged answer, whatever it did to us.
        leave(context)
        context.engine.leave_mailbox()
    return Completion("OK", "mailbox is deleted")


async def rename(context: Context, command: Rename) -> Completion:
    """Rename a mailbox with all below it."""
    item = RenameMailbox(
        context.account.account_id, command.mailbox, command.new_name, context.clock.now_ms()
    )
    try:
        await context.store.write(rename_mailbox, item)
    except NoSuchMailbox:
        return NO_MAILBOX
    except MailboxExists:
        return _EXISTS
    except TooManyMailboxes:
        return _TOO_MANY
    except NameTooLong:
        return Completion("NO", "a mailbox name would be too long", "CANNOT")
    return Completion("OK", "mailbox is renamed")


async def subscribe(context: Context, command: Subscribe) -> Completion:
    """Subscribe to a mailbox, or leave it."""
    item = Subscription(context.account.account_id, command.mailbox, command.subscribed)
    try:
        await context.store.write(set_subscribed, item)
    except NoSuchMailbox:
        return NO_MAILBOX
    except TooManySubscriptions:
        return Completion("NO", "there are too many subscriptions", "LIMIT")
    return Completion("OK", "done")


async def status(context: Context, command: Status) -> Completion:
    """Count a mailbox without selecting it."""
    account_id = context.account.account_id
    box = await context.read(lambda conn: find_mailbox(conn, account_id, command.mailbox))
    if box is None:
        return NO_MAILBOX
    lines = await status_lines(context, [box], command.items)
    context.engine.untagged(lines[box.mailbox_id])
    return Completion("OK", "status is sent")


async def status_lines(
    context: Context, boxes: Sequence[Mailbox], items: tuple[StatusItem, ...]
) -> dict[MailboxId, bytes]:
    """Write a STATUS response for each mailbox. (RFC 3501 section 7.2.4)"""
    ids = [box.mailbox_id for box in boxes]
    wanted = ids if StatusItem.RECENT in items else []
    counts, recent = await context.read(
        lambda conn: (count_messages(conn, ids), count_recent(conn, wanted))
    )
    view = context.view
    if view is not None and view.mailbox.mailbox_id in recent:
        # Those of this session are recent as well as those of none yet.
        recent[view.mailbox.mailbox_id] += len(view.recent)
    return {
        box.mailbox_id: _status_line(
            box, counts[box.mailbox_id], recent.get(box.mailbox_id, 0), items
        )
        for box in boxes
    }


def _status_line(box: Mailbox, counts: Counts, recent: int, items: tuple[StatusItem, ...]) -> bytes:
    values = {
        StatusItem.MESSAGES: counts.messages,
        StatusItem.RECENT: recent,
        StatusItem.UIDNEXT: box.uid_next,
        StatusItem.UIDVALIDITY: box.uid_validity,
        StatusItem.UNSEEN: counts.unseen,
    }
    words = [b"%b %d" % (item.value.encode("ascii"), values[item]) for item in items]
    return untagged(b"STATUS", mailbox(box.name), parenthesized(words))
