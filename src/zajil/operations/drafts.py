"""Drafts: messages that their author goes on writing.

They are changes of a mailbox, not of the server: they leave no audit event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zajil.core.actor import Actor
from zajil.core.errors import NotFound, Refused
from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.message.source import Source
from zajil.operations.context import NotAllowed, OperationContext
from zajil.store.engine.errors import ReserveReached
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.mailboxes import Mailbox, find_role, get_mailbox
from zajil.store.mail.message_changes import ExpungeMessages, PutMessage, expunge_messages
from zajil.store.mail.messages import Message, get_messages
from zajil.store.mail.uploads import MessageIsGone, Upload, put_uploads


@dataclass(frozen=True, slots=True)
class DraftPlace:
    """Where a draft lies; saving it again gives it another place."""

    mailbox_id: MailboxId
    uid: Uid


def find_draft(
    conn: Snapshot, account_id: AccountId, place: DraftPlace
) -> tuple[Mailbox, Message] | None:
    """Return a draft of an account; ``None``: there is none there, or it is no draft."""
    # Security: the mailbox is looked up under the account; an id alone is never enough.
    box = get_mailbox(conn, account_id, place.mailbox_id)
    found = [] if box is None else get_messages(conn, place.mailbox_id, [place.uid])
    if box is None or not found:
        return None
    is_draft = box.role == "drafts" or "\\Draft" in found[0].flags
    return (box, found[0]) if is_draft else None


async def save_draft(
    context: OperationContext,
    actor: Actor,
    pieces: Sequence[bytes | Source],
    replaced: DraftPlace | None,
) -> DraftPlace:
    """Put a draft into the mailbox for drafts; the one that it replaces goes in the same commit.

    Args:
        context: the store and what belongs to it.
        actor: the author.
        pieces: the message.
        replaced: as it was before. When it is gone, another window or program has saved it since:
            both are kept.

    Raises:
        NotAllowed: the actor is not an account.
        NoSuchMailbox: the account has no mailbox for drafts.
        OverQuota: the account would have more than it may; the old draft is still there.
        StoreFull: less space is free than the reserve.
    """
    account_id = _owner(actor)

    def look(conn: Snapshot) -> tuple[Mailbox | None, bool]:
        old = None if replaced is None else find_draft(conn, account_id, replaced)
        return find_role(conn, account_id, "drafts"), old is not None

    box, is_there = await context.read(look)
    if box is None:
        raise NoSuchMailbox("the account has no mailbox for drafts")
    store = context.store
    content = await store.blobs.stage_any(pieces)
    flags = frozenset({"\\Draft", "\\Seen"})
    put = PutMessage(account_id, box.mailbox_id, content, flags, context.clock.now_ms())
    upload = Upload((put,))
    if replaced is not None and is_there:
        upload = replace(upload, replaced=_expunge(account_id, replaced))
    try:
        placed = await _put(context, upload)
    except (NotFound, Refused, ReserveReached):
        store.blobs.discard(content)
        raise
    return DraftPlace(box.mailbox_id, placed)


async def _put(context: OperationContext, upload: Upload) -> Uid:
    try:
        (placed,) = await context.write(put_uploads, upload)
    except MessageIsGone:
        (placed,) = await context.write(put_uploads, replace(upload, replaced=None))
    return placed.uid


async def remove_draft(context: OperationContext, actor: Actor, place: DraftPlace) -> None:
    """Remove a draft for good: it was sent; nothing happens when it is gone or is no draft.

    Raises:
        NotAllowed: the actor is not an account.
    """
    account_id = _owner(actor)
    if await context.read(lambda conn: find_draft(conn, account_id, place)) is not None:
        await context.write(expunge_messages, _expunge(account_id, place))


def _expunge(account_id: AccountId, place: DraftPlace) -> ExpungeMessages:
    # For good: a draft that is saved every few seconds would fill what can be taken back.
    return ExpungeMessages(
        account_id, place.mailbox_id, (place.uid,), deleted_only=False, for_good=True
    )


def _owner(actor: Actor) -> AccountId:
    if actor.account_id is None:
        raise NotAllowed(f"{actor.name} is not an account")
    return actor.account_id
