"""STORE. (RFC 3501 section 6.4.6, RFC 7162 section 3.1.3)"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import groupby

from zajil.core.ids import ModSeq, Uid
from zajil.core.mailbox_rights import changeable
from zajil.imap.command import StoreCommand, StoreMode
from zajil.imap.response import Completion, flag_list
from zajil.imap.sequence_set import format_set
from zajil.read.imap.condstore import enable_condstore
from zajil.read.imap.context import NO_PERMISSION, Context
from zajil.read.imap.fetch_lines import (
    numbers_of,
    write_changes,
)
from zajil.read.imap.portions import portions
from zajil.read.imap.selected_mailbox import SelectedMailbox
from zajil.store.mail.flag_changes import (
    FlagChange,
    FlagChanges,
    FlagMode,
    KnownFlags,
    change_known_flags,
)
from zajil.store.mail.flags import TooManyKeywords
from zajil.store.mail.message_table import pick

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
    modified, gone = array("I"), array("I")
    table = context.store.tables.remembered(view.mailbox.mailbox_id)
    known = None if table is None else KnownFlags(table, table.modseq)
    for portion in portions(uids):
        mode, newest = _MODES[command.mode], command.unchanged_since
        try:
            results = await change(context, portion, mode, command.flags, newest, known)
        except TooManyKeywords:
            return Completion("NO", "a message would have too many keywords", "LIMIT")
        kept = results.uids if results else ()
        if len(kept) < len(portion):
            gone.extend(sorted(set(portion).difference(kept)))
        if not results:
            continue
        known = _go_on(known, results.modseq)
        view.follow_own(results.modseq)
        _tell(context, command, results)
        refused = results.uids_where([one.refused for one in results.sets])
        modified.extend(refused if command.uid else numbers_of(view, refused))
        await context.connection.flush()
    if gone and command.unchanged_since is not None and not command.uid:
        modified.extend(numbers_of(view, gone))
        return Completion("NO", "some messages were expunged", await _modified(context, modified))
    if modified:
        code = await _modified(context, modified)
        return Completion("OK", "some messages were changed before", code)
    if gone:
        return Completion("OK", "done; some messages were expunged", "EXPUNGEISSUED")
    return Completion("OK", "flags are stored")


async def _modified(context: Context, numbers: array[int]) -> str:
    """Write the code that names messages that were not changed. (RFC 7162 section 3.1.3)"""
    return await context.work(lambda: f"MODIFIED {format_set(sorted(numbers)).decode('ascii')}")


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
    known: KnownFlags | None = None,
) -> FlagChanges | None:
    """Change flags in the store, and name keywords that are new; ``None``: no message was named.

    The caller tells the client of the flags, and notes that by ``SelectedMailbox.note_told``.
    """
    view = context.selected
    if not uids:
        return None
    spelled = frozenset(map(view.spell, flags))
    box = view.mailbox
    item = FlagChange(
        account_id=box.account_id,
        mailbox_id=box.mailbox_id,
        uids=tuple(uids),
        mode=mode,
        flags=spelled,
        unchanged_since=unchanged_since,
    )
    results = await context.write(change_known_flags, (item, known), len(uids))
    for line in view.new_keywords(one.flags for one in results.sets):
        context.engine.untagged(line)
    return results


def _go_on(known: KnownFlags | None, modseq: ModSeq | None) -> KnownFlags | None:
    """Return what is still known of later messages, after a change that gave others a MODSEQ."""
    if known is None or modseq is None:
        return known
    # Each change raises the MODSEQ of the mailbox by one at least.
    return KnownFlags(known.table, modseq) if modseq == known.modseq + 1 else None


def _tell(context: Context, command: StoreCommand, results: FlagChanges) -> None:
    """Send what the client has to know of the messages."""
    view = context.selected
    modseqs = results.modseqs()
    # Before it is noted: a message whose flags were so already, by another session, has to be told.
    to_tell = list(_to_tell(view, command, results))
    view.note_told(results.uids, modseqs)
    texts = [flag_list(view.shown_flags(one.flags)) for one in results.sets]
    for tells_flags, places in to_tell:
        flags = [texts[kind] for kind in pick(results.kinds, places)] if tells_flags else None
        uids, uid = pick(results.uids, places), command.uid or not tells_flags
        context.engine.untagged(write_changes(view, uids, pick(modseqs, places), flags, uid=uid))


def _to_tell(
    view: SelectedMailbox, command: StoreCommand, results: FlagChanges
) -> Iterator[tuple[bool, Sequence[int]]]:
    """Yield places of messages of which flags are told, and of those with MODSEQ alone (false)."""
    places = range(len(results))
    if not command.silent or view.mailbox.is_shared:  # there it may not change them all
        yield True, places
        return
    refused = [one.refused for one in results.sets]
    # The client can tell the flags by itself only if it knew those of before: another session's
    # change in between is told with this one (RFC 3501 section 6.4.6).
    is_known = command.mode is StoreMode.REPLACE or max(results.previous) <= view.modseq
    if is_known and not view.condstore and not any(refused):
        return
    has_unchanged = command.unchanged_since is not None
    short = [view.condstore and (one.changed or has_unchanged) for one in results.sets]
    if is_known and all(short) and not any(refused):
        yield False, places
        return
    rows = zip(results.uids, results.previous, results.kinds, strict=True)
    told = [
        True
        if refused[kind] or not (is_known or view.knew(uid, previous))
        else (False if short[kind] else None)
        for uid, previous, kind in rows
    ]
    for flags, group in groupby(places, told.__getitem__):
        if flags is not None:
            yield flags, list(group)
