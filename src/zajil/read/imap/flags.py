"""STORE. (RFC 3501 section 6.4.6, RFC 7162 section 3.1.3)"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from zajil.core.ids import Uid
from zajil.core.mailbox_rights import changeable
from zajil.imap.command import StoreCommand, StoreMode
from zajil.imap.response import Completion
from zajil.imap.sequence_set import format_set
from zajil.read.imap.condstore import enable_condstore
from zajil.read.imap.context import NO_PERMISSION, PORTION, Context
from zajil.read.imap.selected_mailbox import SelectedMailbox
from zajil.store.mail.flag_changes import ChangedFlags, FlagChange, FlagMode, change_flags
from zajil.store.mail.flags import TooManyKeywords

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
    if not _may_change(view, command):
        return NO_PERMISSION
    if command.unchanged_since is not None:
        enable_condstore(context)
    uids = view.choose(command.numbers, uid=command.uid)
    found, modified = 0, array("I")
    for start in range(0, len(uids), PORTION):
        portion = uids[start : start + PORTION]
        mode, newest = _MODES[command.mode], command.unchanged_since
        try:
            results = await change(context, portion, mode, command.flags, newest)
        except TooManyKeywords:
            return Completion("NO", "a message would have too many keywords", "LIMIT")
        found += len(results)
        view.follow_own(results)
        for one in results:
            _tell(context, command, one)
            if one.refused:
                modified.append(one.uid if command.uid else view.number_of(one.uid) or 0)
        await context.connection.flush()
    if modified:
        numbers = await context.work(lambda: format_set(modified).decode("ascii"))
        return Completion("OK", "some messages were changed before", f"MODIFIED {numbers}")
    if found < len(uids):
        return Completion("OK", "done; some messages were expunged", "EXPUNGEISSUED")
    return Completion("OK", "flags are stored")


def _may_change(view: SelectedMailbox, command: StoreCommand) -> bool:
    """Check whether the account may change one of the flags. (RFC 4314 section 4)"""
    rights = view.mailbox.rights
    if command.mode is StoreMode.REPLACE:  # changes also flags that it does not name
        return bool(rights.intersection("swt"))
    return not command.flags or bool(changeable(command.flags, rights))


async def change(
    context: Context,
    uids: Sequence[Uid],
    mode: FlagMode,
    flags: frozenset[str],
    unchanged_since: int | None = None,
) -> tuple[ChangedFlags, ...]:
    """Change flags in the store, and name keywords that are new.

    The caller tells the client of the flags, and notes that by ``SelectedMailbox.told``.
    """
    view = context.selected
    if not uids:
        return ()
    spelled = frozenset(map(view.spell, flags))
    box = view.mailbox
    item = FlagChange(box.account_id, box.mailbox_id, tuple(uids), mode, spelled, unchanged_since)
    results = await context.write(change_flags, item, len(uids))
    for line in view.new_keywords(one.flags for one in results):
        context.engine.untagged(line)
    return results


def _tell(context: Context, command: StoreCommand, one: ChangedFlags) -> None:
    """Send what the client has to know of one message."""
    view = context.selected
    # The client can tell the flags by itself only if it knew those of before: another session's
    # change in between is told with this one (RFC 3501 section 6.4.6).
    is_known = command.silent and (view.knew(one) or command.mode is StoreMode.REPLACE)
    if view.mailbox.is_shared:  # it may not change them all
        is_known = False
    if one.modseq > view.modseq:
        view.told[one.uid] = one.modseq
    if view.number_of(one.uid) is None:
        return
    if one.refused or not is_known:
        context.engine.untagged(view.fetch_line(one, uid=command.uid))
    elif view.condstore and (one.modseq > one.previous or command.unchanged_since is not None):
        context.engine.untagged(view.fetch_line(one, flags=False))
