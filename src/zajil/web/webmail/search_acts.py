"""What the buttons above results of a search do: to messages of several mailboxes at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from zajil.core.actor import Actor
from zajil.core.ids import MailboxId, Uid
from zajil.operations.context import OperationContext
from zajil.operations.messages import move, set_flag
from zajil.read.mail_search import MailSearch
from zajil.store.mail.append import NoSuchMailbox
from zajil.web.webmail.mailboxes import Boxes, read_number

_FLAGS = {
    "seen": ("\\Seen", True),
    "unseen": ("\\Seen", False),
    "flag": ("\\Flagged", True),
    "unflag": ("\\Flagged", False),
}
_MOVES = {"archive": "archive", "junk": "junk", "inbox": "inbox", "delete": "trash"}
ACTIONS = (*_FLAGS, *_MOVES)
_PORTION = 1000
"""Messages that one commit changes: others write in between."""

Places = Mapping[MailboxId, Sequence[Uid]]


def marked_places(values: Iterable[object], boxes: Boxes) -> Places:
    """Return what is marked in a form (``MAILBOX.UID``), in mailboxes of the account."""
    found: dict[MailboxId, set[Uid]] = defaultdict(set)
    for value in values:
        first, _, second = str(value).partition(".")
        mailbox_id, uid = read_number(first), read_number(second)
        if mailbox_id is None or uid is None or boxes.get(MailboxId(mailbox_id)) is None:
            continue
        found[MailboxId(mailbox_id)].add(Uid(uid))
    return {mailbox_id: sorted(uids) for mailbox_id, uids in found.items()}


def places_until(found: MailSearch, until_ms: int) -> Places:
    """Return all messages of a search that were in their mailbox when somebody looked.

    What came since was not seen by whoever pressed the button.
    """
    places: dict[MailboxId, Sequence[Uid]] = {}
    for mailbox_id, one in found.found:
        saved = one.table.saved_at_ms
        there = zip(one.uids, one.table.places_of(one.uids), strict=True)
        places[mailbox_id] = [Uid(uid) for uid, place in there if saved[place] <= until_ms]
    return places


async def act_on(
    context: OperationContext, actor: Actor, boxes: Boxes, places: Places, action: str
) -> int:
    """Do it; return to how many messages. Those that are where they would go are left alone."""
    count = 0
    for mailbox_id, uids in places.items():
        for start in range(0, len(uids), _PORTION):
            some = uids[start : start + _PORTION]
            try:
                count += await _act(context, actor, boxes, mailbox_id, some, action)
            except NoSuchMailbox:
                break
    return count


async def _act(
    context: OperationContext,
    actor: Actor,
    boxes: Boxes,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    action: str,
) -> int:
    if action in _FLAGS:
        flag, is_set = _FLAGS[action]
        await set_flag(context, actor, mailbox_id, uids, flag, is_set=is_set)
        return len(uids)
    target = boxes.with_role(_MOVES[action])
    if target is None or target.mailbox_id == mailbox_id:
        return 0
    await move(context, actor, mailbox_id, uids, target.mailbox_id)
    return len(uids)
