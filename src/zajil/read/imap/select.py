"""SELECT, EXAMINE, CLOSE, UNSELECT; following the selected mailbox. (RFC 3501 section 5.2)"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from contextlib import suppress
from dataclasses import replace

from zajil.core.ids import ModSeq, Uid
from zajil.imap.command import Select
from zajil.imap.feature import Feature
from zajil.imap.response import Completion, flag_list, untagged, untagged_status
from zajil.net.logger import get_logger
from zajil.read.imap.context import NO_MAILBOX, Context
from zajil.read.imap.expunge import expunge_deleted
from zajil.read.imap.fetch import fetch
from zajil.read.imap.fetch_lines import write_changes
from zajil.read.imap.mailbox_names import tell_name
from zajil.read.imap.object_id import mailbox_object_id
from zajil.read.imap.openings import note_opening
from zajil.read.imap.resync import prepare
from zajil.read.imap.selected_mailbox import SelectedMailbox
from zajil.store.engine.batch import mailbox_topic
from zajil.store.engine.errors import StoreError
from zajil.store.mail.access import rights_on
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.mailboxes import Mailbox
from zajil.store.mail.messages import MailboxChanges, changes_since, own_modseq
from zajil.store.mail.recent import TakeRecent, take_recent

_WRITING = frozenset("swtie")
"""Without one of these rights a mailbox is opened read-only. (RFC 4314 section 5.2)"""


async def select(context: Context, command: Select) -> Completion:
    """Open a mailbox and say what is in it; whatever was selected before is left."""
    enabled = context.engine.enabled
    if command.known is not None and Feature.QRESYNC not in enabled:
        return Completion("BAD", "QRESYNC is not enabled")
    if context.view is not None:
        leave(context)
        # RFC 7162 section 3.2.11: what follows is of another mailbox.
        context.engine.untagged(untagged_status("OK", "previous mailbox is closed", "CLOSED"))
    if command.condstore:
        enabled.add(Feature.CONDSTORE)
    account_id, tables = context.account.account_id, context.store.tables
    name = command.mailbox
    snapshot = context.store.read_at_once(
        lambda conn: tables.kept_snapshot(conn, account_id, name)
    ) or await context.read(lambda conn: tables.snapshot(conn, account_id, name))
    if snapshot is None:
        return NO_MAILBOX
    box = snapshot.mailbox
    read_only = command.read_only or not box.rights & _WRITING
    uids = snapshot.uids
    recent_from = Uid(box.recent_from)
    if not read_only:
        recent_from = await _take_recent(context, box, recent_from, Uid(box.uid_next))
    view = SelectedMailbox(
        mailbox=box,
        read_only=read_only,
        uids=uids,
        modseq=ModSeq(box.modseq),
        uid_next=Uid(box.uid_next),
        keywords={word.lower(): word for word in snapshot.keywords},
        unsubscribe=lambda: None,
        recent=uids[bisect_left(uids, recent_from) :],
        enabled=enabled,
    )
    follow(context, view)
    context.view = view
    _describe(context, view, snapshot.first_unseen)
    await note_opening(context, box)
    if Feature.IMAP4REV2 in enabled:
        await tell_name(context, box.name, command.given)
    if command.known is not None and command.known.uid_validity == box.uid_validity:
        await fetch(context, await prepare(context, command.known))
    mode = "READ-ONLY" if view.read_only else "READ-WRITE"
    return Completion("OK", "mailbox is selected", mode)


def _describe(context: Context, view: SelectedMailbox, first_unseen: Uid | None) -> None:
    """Send what SELECT says of a mailbox. (RFC 3501 section 6.3.1, RFC 9051 section 6.3.2)"""
    box, send = view.mailbox, context.engine.untagged
    is_rev2 = Feature.IMAP4REV2 in view.enabled
    for line in view.flag_lines():
        send(line)
    send(untagged(b"%d" % len(view.uids), b"EXISTS"))
    for line in view.recent_lines():
        send(line)
    # UIDONLY: no sequence number is told (RFC 9586 section 3).
    if first_unseen is not None and not is_rev2 and not view.uid_only:
        number = view.number_of(first_unseen)
        send(untagged_status("OK", "first unseen message", f"UNSEEN {number}"))
    send(untagged_status("OK", "UIDs are valid", f"UIDVALIDITY {box.uid_validity}"))
    send(untagged_status("OK", "predicted next UID", f"UIDNEXT {box.uid_next}"))
    object_id = mailbox_object_id(box.mailbox_id)
    send(untagged_status("OK", "id of the mailbox", f"MAILBOXID ({object_id})"))
    # Invariant: never 0 and never missing, or clients forget all they know (RFC 7162 section 3.1).
    send(untagged_status("OK", "highest MODSEQ", f"HIGHESTMODSEQ {box.modseq}"))


async def check_rights(context: Context) -> None:
    """Look what the account may still do with the selected mailbox, if it is another's.

    Raises:
        NoSuchMailbox: it may not read it any more.
    """
    view = context.view
    if view is None or not view.mailbox.is_shared:
        return
    box = view.mailbox
    found = await context.read(lambda conn: rights_on(conn, box.account_id, [box.mailbox_id]))
    rights = found.get(box.mailbox_id, frozenset())
    if "r" not in rights:
        raise NoSuchMailbox(box.name)
    if rights != box.rights:
        view.mailbox = replace(box, rights=rights)
        # RFC 4314 section 5.1.1
        for line in view.flag_lines():
            context.engine.untagged(line)


async def _take_recent(context: Context, box: Mailbox, recent_from: Uid, until: Uid) -> Uid:
    """Make what is recent to nobody yet recent to this session; give the first UID of it.

    Args:
        context: of a session that may change the mailbox.
        box: the mailbox.
        recent_from: its mark, as the session read it.
        until: the first UID that the session does not know.
    """
    if recent_from >= until:
        return until
    item = TakeRecent(box.account_id, box.mailbox_id, until)
    try:
        return await context.store.write(take_recent, item)
    except StoreError as error:
        # A mailbox must open also where nothing can be written, to make room for instance.
        get_logger().warning("IMAP: no message is marked as recent", reason=str(error))
        return until


def follow(context: Context, view: SelectedMailbox) -> None:
    """Hear of every commit that changes the mailbox, from now on."""

    def changed() -> None:
        view.changed = True
        context.connection.wake()

    view.unsubscribe = context.store.changes.subscribe(
        mailbox_topic(view.mailbox.mailbox_id), changed
    )
    # What was committed between the snapshot and the subscription is found by one look.
    view.changed = True


def leave(context: Context) -> None:
    """Let go of the selected mailbox, if there is one."""
    if context.view is not None:
        context.view.unsubscribe()
        context.view = None


async def close(context: Context) -> Completion:
    """Expunge what is marked, without a word about it, and leave. (RFC 3501 section 6.4.2)"""
    view = context.selected
    if not view.read_only and "e" in view.mailbox.rights:
        with suppress(NoSuchMailbox):  # deleted meanwhile: there is nothing left to expunge
            await expunge_deleted(context)
    leave(context)
    return Completion("OK", "mailbox is closed")


def unselect(context: Context) -> Completion:
    """Leave, and expunge nothing. (RFC 3691)"""
    leave(context)
    return Completion("OK", "mailbox is left")


async def report(
    context: Context, *, expunge: bool, look: bool = False, flags: bool = True
) -> bool:
    """Report the changes of the selected mailbox to the client.

    Args:
        context: a session with or without a selected mailbox.
        expunge: sequence numbers may change now (RFC 3501 section 7.4.1).
        look: ask the store even if it did not call.
        flags: tell flags that others changed.

    Returns:
        False: the mailbox is gone, and BYE was said.
    """
    view = context.view
    if view is None:
        return True
    # What was read may be newer than what was reported.
    more = view.changed or look or view.sent_modseq > view.modseq
    if more and _is_unchanged(context, view):
        more = False
    while more:
        # Before the look: what is committed during it must wake us again.
        view.changed = False
        try:
            changes = await _follow_store(context, view, flags=flags)
        except StoreError:
            view.changed = True
            raise
        if changes is None:
            leave(context)
            context.engine.close("the selected mailbox was deleted", "mailbox deleted")
            return False
        more = changes.more
        if more:
            if expunge:
                _tell_expunged(context, view)
            await context.connection.flush()
    # Last: EXISTS and the numbers above still count what is expunged here.
    if expunge:
        _tell_expunged(context, view)
    return True


def _is_unchanged(context: Context, view: SelectedMailbox) -> bool:
    """Check, if that takes no other thread, that the mailbox is as it was followed."""
    box, changed = view.mailbox, view.changed
    # Before the look: what is committed during it must wake us again.
    view.changed = False
    try:
        modseq = context.store.read_at_once(
            lambda conn: own_modseq(conn, box.account_id, box.mailbox_id)
        )
    except StoreError:
        view.changed = changed
        raise
    return modseq == view.modseq


async def _follow_store(
    context: Context, view: SelectedMailbox, *, flags: bool
) -> MailboxChanges | None:
    """Report the next changes except expunges; ``None``: the mailbox is gone."""
    box, send = view.mailbox, context.engine.untagged
    place = (box.account_id, box.mailbox_id, view.modseq, view.uid_next)
    changes = await context.read(lambda conn: changes_since(conn, *place))
    if changes is None:
        return None
    recent_from = changes.recent_from
    if not view.read_only:
        recent_from = await _take_recent(context, box, recent_from, changes.uid_next)
    lines, told = view.take(changes, recent_from)
    for line in lines:
        send(line)
    counted = [one for one in told if view.number_of(one.uid) is not None] if flags else []
    if counted:
        sets = {one.flags for one in counted}
        texts = {some: flag_list(view.shown_flags(some)) for some in sets}
        uids, modseqs = array("I", [one.uid for one in counted]), [one.modseq for one in counted]
        shown = [texts[one.flags] for one in counted]
        send(write_changes(view, uids, modseqs, shown, uid=True))
    return changes


def _tell_expunged(context: Context, view: SelectedMailbox) -> None:
    for line in view.expunge_lines():
        context.engine.untagged(line)
