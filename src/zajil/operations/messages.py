"""Changes of messages by the owner of their mailbox, on the web.

IMAP has units of its own for them. They are changes of a mailbox, not of the server: they leave no
audit event.
"""

from __future__ import annotations

from collections.abc import Sequence

from zajil.core.actor import Actor
from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.operations.context import NotAllowed, OperationContext
from zajil.store.mail.flag_changes import FlagChange, FlagMode, change_flags
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    expunge_messages,
)
from zajil.store.mail.message_copies import (
    CopyMessages,
    move_messages,
)


async def set_flag(
    context: OperationContext,
    actor: Actor,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    flag: str,
    *,
    is_set: bool,
) -> None:
    """Set or clear a flag of messages; messages that no longer exist are skipped.

    Raises:
        NotAllowed: the actor is not an account.
        NoSuchMailbox: the mailbox does not exist or belongs to another account.
    """
    mode = FlagMode.ADD if is_set else FlagMode.REMOVE
    change = FlagChange(_owner(actor), mailbox_id, tuple(uids), mode, frozenset({flag}))
    await context.write(change_flags, change)


async def move(
    context: OperationContext,
    actor: Actor,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    target_id: MailboxId,
) -> None:
    """Move messages to another mailbox of the account; missing ones are skipped.

    Raises:
        NotAllowed: the actor is not an account.
        NoSuchMailbox: a mailbox does not exist or belongs to another account.
    """
    item = CopyMessages(_owner(actor), mailbox_id, tuple(uids), target_id)
    await context.write(move_messages, item)


async def expunge(
    context: OperationContext, actor: Actor, mailbox_id: MailboxId, uids: Sequence[Uid]
) -> None:
    """Delete messages permanently; missing ones are skipped.

    Raises:
        NotAllowed: the actor is not an account.
        NoSuchMailbox: the mailbox does not exist or belongs to another account.
    """
    item = ExpungeMessages(_owner(actor), mailbox_id, tuple(uids), deleted_only=False)
    await context.write(expunge_messages, item)


def _owner(actor: Actor) -> AccountId:
    if actor.account_id is None:
        raise NotAllowed(f"{actor.name} is not an account")
    return actor.account_id
