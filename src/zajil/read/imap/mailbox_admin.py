"""CREATE, DELETE, RENAME, SUBSCRIBE, STATUS. (RFC 3501 section 6.3)"""

from __future__ import annotations

from collections.abc import Sequence

from zajil.core.ids import MailboxId
from zajil.core.value_class import value_class
from zajil.imap.command import Create, Delete, Rename, StatusCommand, StatusItem, Subscribe
from zajil.imap.feature import Feature
from zajil.imap.mailbox_name import is_shared_name
from zajil.imap.response import Completion, mailbox, parenthesized, untagged
from zajil.read.imap.condstore import enable_condstore
from zajil.read.imap.context import NO_MAILBOX, NO_PERMISSION, PORTION, Context
from zajil.read.imap.expunge import empty
from zajil.read.imap.mailbox_names import ROLES_BY_USE, tell_name
from zajil.read.imap.object_id import mailbox_object_id
from zajil.read.imap.select import leave
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.mailbox_changes import (
    BelowItself,
    DeleteMailbox,
    MailboxExists,
    MailboxIsFixed,
    NameTooLong,
    NewMailbox,
    RenameMailbox,
    TooManyMailboxes,
    create_mailbox,
    delete_mailbox,
    rename_mailbox,
)
from zajil.store.mail.mailboxes import INBOX, Mailbox, MailboxCounts, find_mailbox
from zajil.store.mail.message_copies import (
    CopyMessages,
    move_messages,
)
from zajil.store.mail.message_tables import MessageTables
from zajil.store.mail.messages import list_uids
from zajil.store.mail.recent import count_recent
from zajil.store.mail.subscriptions import Subscription, TooManySubscriptions, set_subscribed

_COUNTED = {
    *(StatusItem.MESSAGES, StatusItem.UNSEEN, StatusItem.SIZE),
    *(StatusItem.DELETED, StatusItem.DELETED_STORAGE),
}
_EXISTS = Completion("NO", "there is a mailbox of this name", "ALREADYEXISTS")


async def create(context: Context, command: Create) -> Completion:
    """Make a mailbox, and those above it; a special use goes from its mailbox to the new one.

    (RFC 3501 section 6.3.3, RFC 6154 section 3)
    """
    most, now_ms = context.store.caps.mailboxes, context.clock.now_ms()
    role = None
    if command.uses:
        role = ROLES_BY_USE.get(command.uses[0].lower())
        # A mailbox has one use; those that search others (\\All, \\Flagged) are not there.
        if role is None or len(set(command.uses)) > 1 or is_shared_name(command.mailbox):
            return Completion("NO", "a mailbox cannot have this use", "USEATTR")
    item = NewMailbox(context.account.account_id, command.mailbox, now_ms, most, role)
    try:
        made = await context.write_alone(create_mailbox, item)
    except MailboxExists:
        return _EXISTS
    except TooManyMailboxes:
        return _too_many(most)
    if command.given and Feature.IMAP4REV2 in context.engine.enabled:
        await tell_name(context, command.mailbox, command.given)
    # RFC 8474 section 4.1
    return Completion("OK", "mailbox is made", f"MAILBOXID ({mailbox_object_id(made)})")


def _too_many(most: int) -> Completion:
    return Completion("NO", f"an account has at most {most} mailboxes", "LIMIT")


async def delete(context: Context, command: Delete) -> Completion:
    """Remove a mailbox with its messages; if it is the selected one, none is from then on.

    A large one is emptied before, portion by portion: where that fails it is there with what is
    left.

    Other sessions that have it selected are told BYE (``select.report``).
    """
    owner = context.account.account_id
    try:
        box = await context.find_mailbox(command.mailbox, "x")
        if box is not None and box.role is None and box.uid_next > PORTION:
            await empty(context, box)
        deleted = await context.write_alone(delete_mailbox, DeleteMailbox(owner, command.mailbox))
    except NoSuchMailbox:
        return NO_MAILBOX
    except MailboxIsFixed:
        return Completion("NO", "this mailbox cannot be deleted", "CANNOT")
    if context.view is not None and context.view.mailbox.mailbox_id == deleted:
        # RFC 3501 section 2.2.2: the command has its tagged answer, whatever it did to us.
        leave(context)
        context.engine.leave_mailbox()
    if command.given and Feature.IMAP4REV2 in context.engine.enabled:
        await tell_name(context, command.mailbox, command.given)
    return Completion("OK", "mailbox is deleted")


async def rename(context: Context, command: Rename) -> Completion:
    """Rename a mailbox with all below it."""
    most, now_ms = context.store.caps.mailboxes, context.clock.now_ms()
    owner, name = context.account.account_id, command.new_name
    if command.mailbox == INBOX and is_shared_name(name):
        return NO_PERMISSION
    try:
        inbox = await context.read(lambda conn: find_mailbox(conn, owner, INBOX))
        if command.mailbox == INBOX and inbox is not None and inbox.uid_next > PORTION:
            new_id = await context.write_alone(
                create_mailbox, NewMailbox(owner, name, now_ms, most)
            )
            await _move_all(context, inbox, new_id)
        else:
            item = RenameMailbox(owner, command.mailbox, name, now_ms, most)
            await context.write_alone(rename_mailbox, item)
    except NoSuchMailbox:
        return NO_MAILBOX
    except MailboxExists:
        return _EXISTS
    except TooManyMailboxes:
        return _too_many(most)
    except BelowItself:
        return Completion("NO", "a mailbox cannot move below itself", "CANNOT")
    except NameTooLong:
        return Completion("NO", "a mailbox name would be too long", "CANNOT")
    if Feature.IMAP4REV2 in context.engine.enabled and command.mailbox != INBOX:
        await tell_name(context, command.new_name, command.given or command.mailbox)
    return Completion("OK", "mailbox is renamed")


async def _move_all(context: Context, box: Mailbox, target_id: MailboxId) -> None:
    """Move all messages, portion by portion: what renaming INBOX means (RFC 3501 section 6.3.5)."""
    uids = await context.read(lambda conn: list_uids(conn, box.mailbox_id))
    for start in range(0, len(uids), PORTION):
        portion = tuple(uids[start : start + PORTION])
        item = CopyMessages(box.account_id, box.mailbox_id, portion, target_id)
        await context.write(move_messages, item, len(portion))


async def subscribe(context: Context, command: Subscribe) -> Completion:
    """Subscribe to a mailbox, or leave it."""
    item = Subscription(context.account.account_id, command.mailbox, command.subscribed)
    try:
        await context.write_alone(set_subscribed, item)
    except NoSuchMailbox:
        return NO_MAILBOX
    except TooManySubscriptions:
        return Completion("NO", "there are too many subscriptions", "LIMIT")
    return Completion("OK", "done")


@value_class(frozen=True, slots=True)
class _Counted:
    """What STATUS tells of some mailboxes; of those that it needs no count of, nothing."""

    counts: dict[MailboxId, MailboxCounts]
    recent: dict[MailboxId, int]


async def status(context: Context, command: StatusCommand) -> Completion:
    """Count a mailbox without selecting it."""
    account_id = context.account.account_id

    def look(conn: Snapshot) -> tuple[Mailbox, _Counted] | None:
        box = find_mailbox(conn, account_id, command.mailbox, "r")
        if box is None:
            return None
        return box, _count(conn, context.store.tables, [box.mailbox_id], command.items)

    def look_at_once(conn: Snapshot) -> tuple[Mailbox, _Counted] | None:
        box = find_mailbox(conn, account_id, command.mailbox, "r")
        counts = None if box is None else context.store.tables.kept_count(box)
        if box is None or counts is None:
            return None
        if StatusItem.RECENT in command.items and box.recent_from < box.uid_next:
            return None  # they have to be counted
        return box, _Counted({box.mailbox_id: counts}, {box.mailbox_id: 0})

    # In one snapshot: the counts are those of this UIDNEXT and HIGHESTMODSEQ.
    found = context.store.read_at_once(look_at_once) or await context.read(look)
    if found is None:
        return NO_MAILBOX
    if StatusItem.HIGHESTMODSEQ in command.items:
        enable_condstore(context)
    box, counted = found
    context.engine.untagged(_status_lines(context, [box], command.items, counted)[box.mailbox_id])
    return Completion("OK", "status is sent")


async def status_lines(
    context: Context, boxes: Sequence[Mailbox], items: tuple[StatusItem, ...]
) -> dict[MailboxId, bytes]:
    """Write a STATUS response for each mailbox. (RFC 3501 section 7.2.4)"""
    ids, tables = [box.mailbox_id for box in boxes], context.store.tables
    counted = await context.read(lambda conn: _count(conn, tables, ids, items))
    return _status_lines(context, boxes, items, counted)


def _count(
    conn: Snapshot, tables: MessageTables, ids: list[MailboxId], items: tuple[StatusItem, ...]
) -> _Counted:
    return _Counted(
        tables.count(conn, ids) if _COUNTED.intersection(items) else {},
        count_recent(conn, ids) if StatusItem.RECENT in items else {},
    )


def _status_lines(
    context: Context, boxes: Sequence[Mailbox], items: tuple[StatusItem, ...], counted: _Counted
) -> dict[MailboxId, bytes]:
    counts, recent = counted.counts, dict(counted.recent)
    view = context.view
    if view is not None and view.mailbox.mailbox_id in recent:
        # Those of this session are recent as well as those of none yet, which a session that may
        # not take them has counted already.
        mine, mailbox_id = len(view.recent), view.mailbox.mailbox_id
        others = recent[mailbox_id]
        recent[mailbox_id] = max(mine, others) if view.read_only else mine + others
    return {
        box.mailbox_id: _status_line(
            box,
            counts.get(box.mailbox_id, MailboxCounts(0, 0, 0)),
            recent.get(box.mailbox_id, 0),
            items,
            utf8=context.engine.utf8,
            append_limit=context.engine.limits.max_message,
        )
        for box in boxes
    }


def _status_line(
    box: Mailbox,
    counts: MailboxCounts,
    recent: int,
    items: tuple[StatusItem, ...],
    *,
    utf8: bool,
    append_limit: int,
) -> bytes:
    values = {
        StatusItem.MESSAGES: counts.messages,
        StatusItem.RECENT: recent,
        StatusItem.UIDNEXT: box.uid_next,
        StatusItem.UIDVALIDITY: box.uid_validity,
        StatusItem.UNSEEN: counts.unseen,
        StatusItem.HIGHESTMODSEQ: box.modseq,
        StatusItem.APPENDLIMIT: append_limit,
        StatusItem.SIZE: counts.size,
        StatusItem.DELETED: counts.deleted,
        StatusItem.DELETED_STORAGE: counts.deleted_size,
        StatusItem.MAILBOXID: f"({mailbox_object_id(box.mailbox_id)})",
    }
    words = [f"{item.value} {values[item]}".encode("ascii") for item in items]
    return untagged(b"STATUS", mailbox(box.name, utf8=utf8), parenthesized(words))
