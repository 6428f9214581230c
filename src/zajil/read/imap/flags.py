"""STORE. (RFC 3501 section 6.4.6)"""

from __future__ import annotations

from collections.abc import Sequence

from zajil.core.ids import Uid
from zajil.imap.command import StoreCommand, StoreMode
from zajil.imap.response import Completion, untagged
from zajil.read.imap.context import PORTION, Context
from zajil.read.imap.selected_mailbox import SelectedMailbox
from zajil.store.mail.flags import TooManyKeywords
from zajil.store.mail.message_changes import FlagChange, FlagMode, change_flags
from zajil.store.mail.messages import MessageFlags

READ_ONLY = Completion("NO", "mailbox is selected read-only", "READ-ONLY")

_MODES = {
    StoreMode.REPLACE: FlagMode.REPLACE,
    StoreMode.ADD: FlagMode.ADD,
    StoreMode.REMOVE: FlagMode.REMOVE,
}


async def store_flags(context: Context, command: StoreCommand) -> Completion:
    """Change flags, and say what they are now unless the client asked for silence."""
    view = context.selected
    if view.read_only:
        return READ_ONLY
    uids = view.choose(command.numbers, uid=command.uid)
    found = 0
    for start in range(0, len(uids), PORTION):
        portion = uids[start : start + PORTION]
        try:
            results = await change(context, portion, _MODES[command.mode], command.flags)
        except TooManyKeywords:
            return Completion("NO", "a message would have too many keywords", "LIMIT")
        found += len(results)
        if not command.silent:
            _tell(context, view, results, uid=command.uid)
        await context.connection.flush()
    if found < len(uids):
        return Completion("OK", "done; some messages were expunged", "EXPUNGEISSUED")
    return Completion("OK", "flags are stored")


async def change(
    context: Context, uids: Sequence[Uid], mode: FlagMode, flags: frozenset[str]
) -> tuple[MessageFlags, ...]:
    """Change flags in the store; what the session knows by that is not told to it again."""
    view = context.selected
    if not uids:
        return ()
    spelled = frozenset(map(view.spell, flags))
    item = FlagChange(view.account_id, view.mailbox.mailbox_id, tuple(uids), mode, spelled)
    results = await context.write(change_flags, item, len(uids))
    for line in view.new_keywords(one.flags for one in results):
        context.engine.untagged(line)
    for one in results:
        # With the flags of another session's change in between, this MODSEQ is the newer one.
        if one.modseq > view.modseq:
            view.told[one.uid] = one.modseq
    return results


def _tell(
    context: Context, view: SelectedMailbox, results: tuple[MessageFlags, ...], *, uid: bool
) -> None:
    for one in results:
        number = view.number_of(one.uid)
        if number is not None:
            # RFC 3501 section 6.4.8: the UID belongs into the answer to UID STORE.
            head = b"%d FETCH (UID %d" % (number, one.uid) if uid else b"%d FETCH (" % number
            flags = b" FLAGS " if uid else b"FLAGS "
            context.engine.untagged(
                untagged(head + flags + view.flags_of(one.uid, one.flags) + b")")
            )
