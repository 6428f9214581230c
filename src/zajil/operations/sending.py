"""Take a message back that was sent and is not on its way yet."""

from __future__ import annotations

from zajil.core.actor import Actor
from zajil.core.ids import AccountId, MailId
from zajil.message.entity import Pieces, Slice
from zajil.message.fields import read_fields, split_message
from zajil.message.large_data import MAX_SECTION, WHOLE, LargeData
from zajil.operations.context import NotAllowed, OperationContext
from zajil.operations.drafts import DraftPlace, remove_draft, save_draft
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.messages import MessageReader, get_messages, open_message
from zajil.store.queue.recall import Recall, TooLate, find_sent_copy, recall_mails
from zajil.submit.draft import NOTE

_KEPT = frozenset(
    (
        *(b"date", b"from", b"to", b"cc", b"bcc", b"subject", b"message-id", b"in-reply-to"),
        *(b"references", b"mime-version", b"disposition-notification-to", NOTE.lower().encode()),
    )
)
"""Fields that a draft has; those of the way (Received, DKIM-Signature) go."""


async def recall(context: OperationContext, actor: Actor, mail_id: MailId) -> DraftPlace:
    """Take a mail back, and make its copy in Sent a draft again; return where that lies.

    The draft is saved first: a crash leaves a draft too many, never a message too few.

    Raises:
        NotAllowed: the actor is not an account.
        TooLate: it is on its way, or its copy is gone.
        NoSuchMailbox: the account has no mailbox for drafts.
        OverQuota: the account has no room for the draft.
    """
    if actor.account_id is None:
        raise NotAllowed(f"{actor.name} is not an account")
    account_id = actor.account_id
    reader = await context.read(lambda conn: _open_copy(conn, context, account_id, mail_id))
    if reader is None:
        raise TooLate("no such message")
    with reader:
        place = await save_draft(context, actor, _as_draft(reader), None)
    item = Recall(account_id, actor.name, mail_id, context.clock.now_ms())
    try:
        await context.write(recall_mails, item)
    except TooLate:
        await remove_draft(context, actor, place)
        raise
    return place


def _open_copy(
    conn: Snapshot, context: OperationContext, account_id: AccountId, mail_id: MailId
) -> MessageReader | None:
    copy = find_sent_copy(conn, account_id, mail_id)
    found = [] if copy is None else get_messages(conn, copy.mailbox_id, [copy.uid])
    return open_message(conn, context.store.blobs, found[0]) if found else None


def _as_draft(reader: MessageReader) -> Pieces:
    data = reader.read_at(0, reader.size) if reader.size <= WHOLE else LargeData(reader)
    end, body = split_message(data)
    header = data[: min(end, MAX_SECTION)]
    kept = [
        header[one.start : one.end]
        for one in read_fields(header)
        if one.name in _KEPT or one.name.startswith(b"content-")
    ]
    return (b"".join(kept) + b"\r\n", Slice(reader, body, reader.size))
