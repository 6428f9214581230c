"""EXPUNGE, and the removing that CLOSE and DELETE do. (RFC 3501 section 6.4.3, RFC 4315)

Many messages are removed in portions, a commit each. A client that hangs up after its CLOSE means
it all the same: what was begun here is brought to its end.
"""

from __future__ import annotations

from collections.abc import Sequence

from zajil.imap.command import Expunge
from zajil.imap.response import Completion
from zajil.read.imap.context import NO_PERMISSION, PORTION, Context
from zajil.read.imap.flags import READ_ONLY
from zajil.read.imap.portions import portions
from zajil.store.mail.mailboxes import Mailbox
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.mail.message_conditions import find_uids, is_deleted
from zajil.store.mail.messages import list_uids
from zajil.store.mail.vanished import ForgetExpunged, forget_expunged


async def expunge(context: Context, command: Expunge) -> Completion:
    """Remove messages that are marked ``\\Deleted``; the report after it says which."""
    view = context.selected
    if view.read_only:
        return READ_ONLY
    if "e" not in view.mailbox.rights:
        return NO_PERMISSION
    uids = None if command.uids is None else view.choose(command.uids, uid=True)
    await expunge_deleted(context, uids)
    return Completion("OK", "messages are expunged")


async def expunge_deleted(context: Context, uids: Sequence[int] | None = None) -> None:
    """Remove messages of the selected mailbox that are marked ``\\Deleted``.

    Args:
        context: a session with a selected mailbox.
        uids: these alone, ascending; ``None``: all.
    """
    box = context.selected.mailbox
    # Looked for in a reader thread: the writer's time is everybody's.
    found = await context.read(lambda conn: find_uids(conn, box.mailbox_id, is_deleted()))
    if uids is not None:
        wanted = frozenset(uids)
        found = [uid for uid in found if uid in wanted]
    await remove(context, box, found, deleted_only=True)


async def empty(context: Context, box: Mailbox) -> None:
    """Remove nearly all messages of a mailbox that is to be deleted, and their traces.

    Raises:
        NoSuchMailbox: it is gone.
    """
    item = ForgetExpunged(box.account_id, box.mailbox_id, PORTION)
    if box.uid_next > PORTION:
        found = await context.read(lambda conn: list_uids(conn, box.mailbox_id))
        await remove(context, box, found[:-PORTION], deleted_only=False)
    while await context.write(forget_expunged, item, PORTION):
        pass


async def remove(
    context: Context, box: Mailbox, uids: Sequence[int], *, deleted_only: bool
) -> None:
    """Remove messages of a mailbox, portion by portion.

    Raises:
        NoSuchMailbox: it is gone.
    """
    for portion in portions(uids):
        right = "e" if deleted_only else "x"
        item = ExpungeMessages(box.account_id, box.mailbox_id, portion, deleted_only, right=right)
        await context.write(expunge_messages, item, len(portion))
