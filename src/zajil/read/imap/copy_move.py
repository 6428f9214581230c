"""COPY, MOVE, EXPUNGE. (RFC 3501 section 6.4.7, RFC 6851, RFC 4315)"""

from __future__ import annotations

from zajil.imap.command import Copy, Expunge
from zajil.imap.response import Completion, untagged_status
from zajil.imap.sequence_set import format_set
from zajil.read.imap.context import TRY_CREATE, Context
from zajil.read.imap.flags import READ_ONLY
from zajil.store.append import NoSuchMailbox
from zajil.store.blobs import NoSuchBlob
from zajil.store.mailboxes import find_mailbox
from zajil.store.message_changes import (
    Copied,
    CopyMessages,
    ExpungeMessages,
    copy_messages,
    expunge_messages,
    move_messages,
)


async def copy(context: Context, command: Copy) -> Completion:
    """Copy or move messages into another mailbox of the account, all or none."""
    view = context.selected
    if command.move and view.read_only:
        return READ_ONLY
    uids = view.choose(command.numbers, uid=command.uid)
    account_id = context.account.account_id
    target = await context.read(lambda conn: find_mailbox(conn, account_id, command.mailbox))
    if target is None:
        return TRY_CREATE
    item = CopyMessages(account_id, view.mailbox.mailbox_id, tuple(uids), target.mailbox_id)
    try:
        unit = move_messages if command.move else copy_messages
        copied = await context.store.write(unit, item)
    except NoSuchMailbox:
        return TRY_CREATE
    except NoSuchBlob:
        return Completion("NO", "some messages were expunged", "EXPUNGEISSUED")
    code = _copyuid(copied)
    if not command.move:
        return Completion("OK", "messages are copied", code)
    if code is not None:
        # RFC 6851 section 4.3: COPYUID comes before the EXPUNGE responses.
        context.engine.untagged(untagged_status("OK", "messages are copied", code))
    return Completion("OK", "messages are moved")


def _copyuid(copied: Copied) -> str | None:
    if not copied.uids:
        return None
    sources = format_set(source for source, _ in copied.uids).decode("ascii")
    targets = format_set(target for _, target in copied.uids).decode("ascii")
    return f"COPYUID {copied.uid_validity} {sources} {targets}"


async def expunge(context: Context, command: Expunge) -> Completion:
    """Remove messages that are marked ``\\Deleted``; the report after it says which."""
    view = context.selected
    if view.read_only:
        return READ_ONLY
    uids = None if command.uids is None else tuple(view.choose(command.uids, uid=True))
    item = ExpungeMessages(view.account_id, view.mailbox.mailbox_id, uids)
    await context.store.write(expunge_messages, item)
    return Completion("OK", "messages are expunged")
