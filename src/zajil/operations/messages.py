"""Changes of messages by the owner of their mailbox, on the web.

IMAP has units of its own for them. They are changes of a mailbox, not of the server: they leave no
audit event.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from zajil.core.actor import Actor
from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.operations.context import NotAllowed, OperationContext
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.flag_changes import FlagChange, FlagMode, change_flags
from zajil.store.mail.mailboxes import list_mailboxes
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    expunge_messages,
)
from zajil.store.mail.message_copies import (
    Copied,
    CopyMessages,
    copy_messages,
    move_messages,
)
from zajil.store.mail.origins import find_origins


async def set_flag(
    context: OperationContext,
    actor: Actor,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    flag: str,
    *,
    is_set: bool,
) -> tuple[Uid, ...]:
    """Set or clear a flag of messages; messages that no longer exist are skipped.

    Returns:
        Those that have other flags now.

    Raises:
        NotAllowed: the actor is not an account.
        NoSuchMailbox: the mailbox does not exist, or the account may not do this with it.
        TooManyKeywords: a message would get more than it may have; none was changed.
    """
    mode = FlagMode.ADD if is_set else FlagMode.REMOVE
    change = FlagChange(_owner(actor), mailbox_id, tuple(uids), mode, frozenset({flag}))
    done = await context.write(change_flags, change)
    return tuple([one.uid for one in done if one.modseq != one.previous])


async def move(
    context: OperationContext,
    actor: Actor,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    target_id: MailboxId,
    *,
    teaches: bool = True,
    is_undo: bool = False,
) -> Copied:
    """Move messages to another mailbox; missing ones are skipped.

    Args:
        context: the store and what belongs to it.
        actor: the account that moves them.
        mailbox_id: where they are.
        uids: which.
        target_id: where they go.
        teaches: whether a move from or to Junk trains the filter.
        is_undo: it takes a move back; what the filter learned from that is unlearned.

    Returns:
        Where they are now.

    Raises:
        NotAllowed: the actor is not an account.
        NoSuchMailbox: a mailbox does not exist, or the account may not do this with it.
    """
    item = CopyMessages(_owner(actor), mailbox_id, tuple(uids), target_id, teaches, is_undo)
    return await context.write(move_messages, item)


async def restore(
    context: OperationContext, actor: Actor, trash_id: MailboxId, uids: Sequence[Uid]
) -> dict[MailboxId, Copied]:
    """Move messages back to the mailboxes they came from; missing ones are skipped.

    What came from a mailbox that is gone, or from an unknown one, goes to the INBOX. Nothing is
    learned from it.

    Returns:
        Where they are now, by mailbox.

    Raises:
        NotAllowed: the actor is not an account.
        NoSuchMailbox: the mailbox does not exist, or the account may not do this with it.
    """
    account_id = _owner(actor)

    def find(conn: Snapshot) -> dict[MailboxId, list[Uid]]:
        own = {box.mailbox_id: box for box in list_mailboxes(conn, account_id)}
        if trash_id not in own:
            raise NoSuchMailbox(trash_id)
        inbox = next(box.mailbox_id for box in own.values() if box.role == "inbox")
        places: dict[MailboxId, list[Uid]] = defaultdict(list)
        for origin_id, some in find_origins(conn, trash_id, uids).items():
            is_there = origin_id in own and origin_id != trash_id
            places[origin_id if origin_id is not None and is_there else inbox] += some
        return places

    restored: dict[MailboxId, Copied] = {}
    for target_id, some in (await context.read(find)).items():
        with suppress(NoSuchMailbox):  # one that was deleted meanwhile; they stay where they are
            restored[target_id] = await move(
                context, actor, trash_id, some, target_id, teaches=False
            )
    return restored


async def copy(
    context: OperationContext,
    actor: Actor,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    target_id: MailboxId,
) -> Copied:
    """Copy messages to another mailbox; missing ones are skipped.

    Returns:
        Where the copies are.

    Raises:
        NotAllowed: the actor is not an account.
        NoSuchMailbox: a mailbox does not exist, or the account may not do this with it.
        NoSuchBlob: a message is gone.
        OverQuota: the account would have more than it may.
    """
    item = CopyMessages(_owner(actor), mailbox_id, tuple(uids), target_id)
    return await context.write(copy_messages, item)


async def expunge(
    context: OperationContext, actor: Actor, mailbox_id: MailboxId, uids: Sequence[Uid]
) -> tuple[Uid, ...]:
    """Delete messages; missing ones are skipped. ``operations.undelete`` takes them back.

    Returns:
        Those that were deleted.

    Raises:
        NotAllowed: the actor is not an account.
        NoSuchMailbox: the mailbox does not exist, or the account may not do this with it.
    """
    item = ExpungeMessages(_owner(actor), mailbox_id, tuple(uids), deleted_only=False)
    return await context.write(expunge_messages, item)


def _owner(actor: Actor) -> AccountId:
    if actor.account_id is None:
        raise NotAllowed(f"{actor.name} is not an account")
    return actor.account_id
