"""What the buttons above results of a search do: to messages of several mailboxes at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from zajil.core.actor import Actor
from zajil.core.errors import Refused
from zajil.core.ids import MailboxId, Uid
from zajil.core.labels import find_label
from zajil.operations.context import OperationContext
from zajil.operations.messages import move, set_flag
from zajil.read.mail_search import MailSearch
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.room import OverQuota
from zajil.web.notices import Done
from zajil.web.page import Visitor
from zajil.web.webmail.mailboxes import Box, Boxes, read_number
from zajil.web.webmail.undo import UndoStep, write_keyword, write_undo

_FLAGS = {
    "seen": ("\\Seen", True),
    "unseen": ("\\Seen", False),
    "flag": ("\\Flagged", True),
    "unflag": ("\\Flagged", False),
}
_OPPOSITES = {"seen": "unseen", "unseen": "seen", "flag": "unflag", "unflag": "flag"}
_MOVES = {"archive": "archive", "junk": "junk", "inbox": "inbox", "delete": "trash"}
_PORTION = 1000
"""Messages that one commit changes: others write in between."""

Places = Mapping[MailboxId, Sequence[Uid]]


@dataclass(frozen=True, slots=True)
class WantedAct:
    """What a pressed button asks for."""

    action: str
    target: Box | None = None
    """Where messages go; ``None``: they stay where they are."""
    only: str = ""
    """The one message that the button stands at (``MAILBOX.UID``); ``""``: the selected ones."""
    keyword: str = ""
    """Of the label that is added or removed."""


def wanted_act(form: FormData, boxes: Boxes, visitor: Visitor) -> WantedAct:
    """Return what a form asks for.

    Raises:
        HTTPException: no button of ours was pressed, or there is no such mailbox or label.
    """
    for action in ("label", "unlabel"):
        if action in form:
            label = find_label(visitor.labels, str(form.get(action)))
            if label is None:
                raise HTTPException(404)
            return WantedAct(action, keyword=label.keyword)
    for action, name in (("flag", "star"), ("unflag", "unstar")):
        if name in form:
            return WantedAct(action, only=str(form.get(name)))
    number = read_number(form.get("move"))
    if number is not None:
        target = boxes.get(MailboxId(number))
        if target is None:
            raise HTTPException(404)
        return WantedAct("move", target)
    action = str(form.get("action"))
    if action in _FLAGS:
        return WantedAct(action)
    if action not in _MOVES:
        raise HTTPException(400)
    target = boxes.with_role(_MOVES[action])
    if target is None:
        raise HTTPException(404)
    return WantedAct(action, target)


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
    context: OperationContext, actor: Actor, boxes: Boxes, places: Places, wanted: WantedAct
) -> Done:
    """Do it, and return what was done. Messages that are where they would go are left alone."""
    count, is_full = 0, False
    steps: list[UndoStep] = []
    for mailbox_id, uids in places.items():
        current = boxes.get(mailbox_id)
        if current is None or (wanted.target is not None and wanted.target is current):
            continue
        changed: list[Uid] = []
        for start in range(0, len(uids), _PORTION):
            some = uids[start : start + _PORTION]
            try:
                number, now = await _act(context, actor, current, some, wanted)
            except NoSuchMailbox:  # gone, or it is somebody's who does not allow this
                break
            except OverQuota:
                is_full = True
                break
            count += number
            changed += now
        steps.append(_back(current, changed, wanted))
    target_id = wanted.target.mailbox_id if wanted.target else 0
    undo = write_undo(steps)
    if is_full and not count:
        return Done("full", 0)
    return Done(wanted.action, count, target_id, undo) if count else Done("none", 0)


async def _act(
    context: OperationContext, actor: Actor, current: Box, uids: Sequence[Uid], wanted: WantedAct
) -> tuple[int, list[Uid]]:
    """Return to how many messages it was done, and what has to be taken back of them."""
    mailbox_id = current.mailbox_id
    if wanted.target is None:
        is_label = bool(wanted.keyword)
        flag, is_set = (
            (wanted.keyword, wanted.action == "label") if is_label else _FLAGS[wanted.action]
        )
        try:
            changed = await set_flag(context, actor, mailbox_id, uids, flag, is_set=is_set)
        except Refused:  # a message would have too many keywords
            return 0, []
        return len(uids), list(changed)
    # What is taken out of the trash says nothing about junk.
    teaches = current.role != "trash"
    target_id = wanted.target.mailbox_id
    moved = await move(context, actor, mailbox_id, uids, target_id, teaches=teaches)
    return len(moved.sources), [Uid(uid) for uid in moved.targets]


def _back(current: Box, changed: Sequence[Uid], wanted: WantedAct) -> UndoStep:
    if wanted.keyword:
        opposite = "unlabel" if wanted.action == "label" else "label"
        what = write_keyword(wanted.keyword)
        return UndoStep(opposite, current.mailbox_id, what, tuple(sorted(changed)))
    if wanted.target is None:
        opposite = _OPPOSITES[wanted.action]
        return UndoStep("flag", current.mailbox_id, opposite, tuple(sorted(changed)))
    target_id = wanted.target.mailbox_id
    return UndoStep("move", target_id, str(current.mailbox_id), tuple(sorted(changed)))
