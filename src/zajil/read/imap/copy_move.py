"""COPY and MOVE. (RFC 3501 section 6.4.7, RFC 6851, RFC 4315)

Many messages are copied in portions, a commit each, so that others write in between. A COPY that
fails, or whose client is gone, removes what it has copied. A MOVE that does has moved some messages
and left the others as they were (RFC 6851 section 3.3), and says which.

Deviation: where the server itself dies in the middle of a COPY, the copies made until then stay
(2026-11-28). RFC 3501 section 6.4.7 wants none; but then a million messages would be one commit,
and nobody else could write meanwhile. One portion is copied whole or not at all.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from zajil.imap.command import Copy
from zajil.imap.response import Completion, untagged_status
from zajil.imap.sequence_set import format_set
from zajil.net.logger import get_logger
from zajil.read.imap.context import NO_PERMISSION, TRY_CREATE, Context
from zajil.read.imap.flags import READ_ONLY
from zajil.read.imap.portions import portions
from zajil.store.engine.errors import StoreError
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.mailboxes import Mailbox
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    expunge_messages,
)
from zajil.store.mail.message_copies import (
    CopyMessages,
    copy_messages,
    move_messages,
)

# RFC 2180 section 4.4.1: with numbers, all or nothing. UIDs that do not exist are passed over.
_EXPUNGED = Completion("NO", "some messages were expunged", "EXPUNGEISSUED")


async def copy(context: Context, command: Copy) -> Completion:
    """Copy or move messages into another mailbox."""
    view = context.selected
    if command.move and view.read_only:
        return READ_ONLY
    uids = view.choose(command.numbers, uid=command.uid)
    if command.move and not view.mailbox.rights.issuperset("te"):
        return NO_PERMISSION
    target = await context.find_mailbox(command.mailbox, "i")
    if target is None:
        return TRY_CREATE
    moved = command.move and target.owner_id == view.mailbox.owner_id
    refusal = await context.refuse_more(target, len(uids), moved=moved)
    if refusal is not None:
        return refusal
    transfer = _Transfer(context, target, command.move)
    try:
        refusal = await transfer.run(uids)
    except BaseException:
        await transfer.undo()
        raise
    by_number = not command.uid and not command.numbers.saved
    if refusal is None and by_number and not command.move and transfer.count < len(uids):
        refusal = _EXPUNGED
    if refusal is not None:
        await transfer.undo()
    return transfer.finish(refusal)


class _Transfer:
    """One COPY or MOVE, portion by portion."""

    def __init__(self, context: Context, target: Mailbox, move: bool) -> None:
        self._context = context
        self._target = target
        self._move = move
        self._sources = array("I")
        self._copies = array("I")

    @property
    def count(self) -> int:
        """Messages that were copied or moved."""
        return len(self._sources)

    async def run(self, uids: Sequence[int]) -> Completion | None:
        """Copy or move; give a refusal, or ``None`` when all is done.

        Raises:
            PeerGone: the client closed, or takes nothing.
            StoreError: the store cannot go on.
        """
        context, target, move = self._context, self._target, self._move
        moved = move and target.owner_id == context.selected.mailbox.owner_id
        unit = move_messages if move else copy_messages
        for portion in portions(uids):
            if self._sources and (
                refusal := await context.refuse_more(target, len(portion), moved=moved)
            ):
                return refusal
            box = context.selected.mailbox
            item = CopyMessages(box.account_id, box.mailbox_id, portion, target.mailbox_id)
            try:
                copied = await context.write(unit, item, len(portion))
            except NoSuchMailbox:
                return TRY_CREATE
            except NoSuchBlob:
                return _EXPUNGED
            self._sources.extend(copied.sources)
            self._copies.extend(copied.targets)
            await context.connection.flush()
        return None

    async def undo(self) -> None:
        """Remove what was copied, so that the mailbox is as it was; what was moved stays."""
        if self._move:
            return
        context, target = self._context, self._target
        try:
            for portion in portions(self._copies):
                item = ExpungeMessages(
                    target.account_id,
                    target.mailbox_id,
                    portion,
                    deleted_only=False,
                    for_good=True,
                    right="i",
                )
                await context.write(expunge_messages, item, len(portion))
        except NoSuchMailbox:
            return  # with all that was in it
        except StoreError as error:
            get_logger().error(
                "IMAP: copies of a failed COPY stay in the mailbox",
                mailbox=target.name,
                reason=str(error),
            )

    def finish(self, refusal: Completion | None) -> Completion:
        """Return what has been done."""
        code = self._copyuid()
        if not self._move:
            return refusal or Completion("OK", "messages are copied", code)
        if code is not None:
            # RFC 6851 section 4.3: COPYUID comes before the EXPUNGE responses.
            self._context.engine.untagged(untagged_status("OK", "messages are copied", code))
        return refusal or Completion("OK", "messages are moved")

    def _copyuid(self) -> str | None:
        # RFC 4315 section 3: who may not select the mailbox learns nothing about it.
        if not self._copies or "r" not in self._target.rights:
            return None
        sources, targets = (
            format_set(some).decode("ascii") for some in (self._sources, self._copies)
        )
        return f"COPYUID {self._target.uid_validity} {sources} {targets}"
