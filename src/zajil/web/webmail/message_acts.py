"""What the buttons of a list and of a message do, and what takes it back."""

from __future__ import annotations

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.actor import Actor
from zajil.core.ids import MailboxId, Uid
from zajil.core.labels import find_label
from zajil.login.account import Account
from zajil.operations.context import OperationContext
from zajil.operations.messages import copy, expunge, move, restore, set_flag
from zajil.operations.undelete import DeletedChoice, NothingDeleted, undelete
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.conversation_list import expand_conversations
from zajil.store.mail.flags import TooManyKeywords
from zajil.store.mail.messages import list_uids
from zajil.store.mail.room import OverQuota
from zajil.web.access import actor_of
from zajil.web.notices import Done, Notices
from zajil.web.page import Visitor
from zajil.web.security import local_path
from zajil.web.webmail.lessons import FilterLessons
from zajil.web.webmail.mailboxes import Box, Boxes, load_boxes, number_in_path, read_number
from zajil.web.webmail.undo import (
    UndoStep,
    read_keyword,
    read_undos,
    write_keyword,
    write_undo,
)

_FLAGS = {
    "seen": ("\\Seen", True),
    "unseen": ("\\Seen", False),
    "flag": ("\\Flagged", True),
    "unflag": ("\\Flagged", False),
}
_OF_THE_NEWEST = ("flag", "unseen")
"""What a row that stands for a conversation does to its newest message alone."""
_OPPOSITES = {"seen": "unseen", "unseen": "seen", "flag": "unflag", "unflag": "flag"}
_MOVES = {
    "archive": "archive",
    "junk": "junk",
    "inbox": "inbox",
    "restore": "inbox",
    "delete": "trash",
}


class MessageActs:
    """``POST /mail/{id}`` and ``POST /mail/undo``."""

    def __init__(
        self, operations: OperationContext, notices: Notices, lessons: FilterLessons
    ) -> None:
        self._operations = operations
        self._lessons = lessons
        self._store = operations.store
        self._notices = notices

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Do to the selected messages what the pressed button says."""
        form = await request.form()
        mailbox_id = MailboxId(number_in_path(request, "mailbox_id"))
        boxes = await self._store.read(
            lambda conn: load_boxes(conn, account.account_id, self._store.tables),
            account.account_id,
        )
        current = boxes.get(mailbox_id)
        if current is None:
            raise HTTPException(404)
        action, target, keyword = _wanted(form, boxes, visitor)
        uids = _marked(form)
        if form.get("every") == "1":
            uids = await self._store.read(lambda conn: tuple(list_uids(conn, mailbox_id)))
        elif form.get("conversations") == "1" and action not in _OF_THE_NEWEST:
            named = uids
            uids = await self._store.read(
                lambda conn: expand_conversations(conn, mailbox_id, named)
            )
        actor = actor_of(request, account)
        done = Done("none", 0)
        if uids:
            try:
                if keyword:
                    done = await self._label(actor, mailbox_id, uids, action, keyword)
                else:
                    done = await self._do(actor, boxes, current, uids, action, target)
            except (NoSuchMailbox, NoSuchBlob):
                raise HTTPException(404) from None
            except OverQuota:
                done = Done("full", 0)
            except TooManyKeywords:
                done = Done("labelmany", 0)
        response = RedirectResponse(local_path(form.get("next"), f"/mail/{mailbox_id}"), 303)
        self._notices.leave(response, done)
        return response

    async def undo(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Take back what a notice told."""
        form = await request.form()
        steps = read_undos(form.get("undo"))
        if steps is None:
            raise HTTPException(400)
        done = Done("late", 0)
        for step in steps:
            try:
                one = await self._undo(actor_of(request, account), visitor, account, step)
            except (NoSuchMailbox, NothingDeleted):
                continue
            except OverQuota:
                done = Done("full", 0)
                break
            if one.action == "undone":
                done = Done("undone", done.count + one.count)
        response = RedirectResponse(local_path(form.get("next"), "/mail"), 303)
        self._notices.leave(response, done)
        return response

    async def _do(
        self,
        actor: Actor,
        boxes: Boxes,
        current: Box,
        uids: tuple[Uid, ...],
        action: str,
        target: Box | None,
    ) -> Done:
        """Do it, and return what was done: the button, ``gone`` for what left the Trash."""
        context, mailbox_id = self._operations, current.mailbox_id
        if action in _FLAGS:
            flag, is_set = _FLAGS[action]
            changed = await set_flag(context, actor, mailbox_id, uids, flag, is_set=is_set)
            undo = UndoStep("flag", mailbox_id, _OPPOSITES[action], changed)
            return Done(action, len(uids), undo=undo.write())
        # What is deleted from the trash, or where there is none, is gone.
        if action == "delete" and (target is None or mailbox_id == target.mailbox_id):
            gone = await expunge(context, actor, mailbox_id, uids)
            can_undo = self._store.caps.undelete_ms > 0 and not current.mailbox.is_shared
            undo = UndoStep("gone", mailbox_id, "", gone if can_undo else ())
            return Done("gone", len(gone), undo=undo.write())
        if action == "restore":
            return await self._restore(actor, current, uids)
        if target is None or target.mailbox_id == mailbox_id:
            return Done(action, len(uids), mailbox_id)
        lesson = None
        if action == "copy":
            copied = await copy(context, actor, mailbox_id, uids, target.mailbox_id)
            undo = UndoStep("copy", target.mailbox_id, "", tuple(map(Uid, copied.targets)))
        else:
            # What is taken out of the trash says nothing about junk.
            teaches = current.role != "trash"
            copied = await move(
                context, actor, mailbox_id, uids, target.mailbox_id, teaches=teaches
            )
            moved = tuple(map(Uid, copied.targets))
            undo = UndoStep("move", target.mailbox_id, str(mailbox_id), moved)
            if teaches and actor.account_id is not None:
                lesson = await self._lessons.of_move(actor.account_id, current, target, moved)
        return Done(action, len(copied.sources), target.mailbox_id, undo.write(), lesson)

    async def _label(
        self,
        actor: Actor,
        mailbox_id: MailboxId,
        uids: tuple[Uid, ...],
        action: str,
        keyword: str,
    ) -> Done:
        is_set = action == "label"
        context = self._operations
        changed = await set_flag(context, actor, mailbox_id, uids, keyword, is_set=is_set)
        opposite = "unlabel" if is_set else "label"
        undo = UndoStep(opposite, mailbox_id, write_keyword(keyword), changed)
        return Done(action, len(uids), undo=undo.write())

    async def _restore(self, actor: Actor, trash: Box, uids: tuple[Uid, ...]) -> Done:
        restored = await restore(self._operations, actor, trash.mailbox_id, uids)
        count = sum([len(one.sources) for one in restored.values()])
        undo = write_undo(
            UndoStep("move", target_id, str(trash.mailbox_id), tuple(map(Uid, one.targets)))
            for target_id, one in restored.items()
        )
        # The notice names the mailbox where there is one.
        target_id = next(iter(restored)) if len(restored) == 1 else 0
        return Done("restore", count, target_id, undo)

    async def _undo(self, actor: Actor, visitor: Visitor, account: Account, step: UndoStep) -> Done:
        context = self._operations
        if step.kind == "flag" and step.what in _FLAGS:
            flag, is_set = _FLAGS[step.what]
            await set_flag(context, actor, step.mailbox_id, step.uids, flag, is_set=is_set)
            return Done("undone", len(step.uids))
        keyword = read_keyword(step.what)
        if step.kind in ("label", "unlabel") and find_label(visitor.labels, keyword or ""):
            is_set = step.kind == "label"
            await set_flag(context, actor, step.mailbox_id, step.uids, keyword or "", is_set=is_set)
            return Done("undone", len(step.uids))
        if step.kind == "copy":
            gone = await expunge(context, actor, step.mailbox_id, step.uids)
            return Done("undone", len(gone))
        if step.kind == "gone":
            wanted = DeletedChoice(mailbox_id=step.mailbox_id, uids=frozenset(step.uids))
            back = await undelete(context, actor, account.login, wanted)
            return Done("undone", len(back))
        target_id = read_number(step.what)
        if step.kind not in ("move", "phish") or target_id is None:
            raise HTTPException(400)
        boxes = await self._store.read(
            lambda conn: load_boxes(conn, account.account_id, self._store.tables)
        )
        to = boxes.get(MailboxId(target_id))
        if to is None:
            raise NoSuchMailbox(step.what)
        if step.kind == "phish":
            await set_flag(context, actor, step.mailbox_id, step.uids, "$Phishing", is_set=False)
        # A move out of the trash taught nothing, so there is nothing to unlearn.
        back_there = await move(
            context,
            actor,
            step.mailbox_id,
            step.uids,
            to.mailbox_id,
            teaches=to.role != "trash",
            is_undo=True,
        )
        return Done("undone" if back_there.sources else "late", len(back_there.sources))


def _wanted(form: FormData, boxes: Boxes, visitor: Visitor) -> tuple[str, Box | None, str]:
    """Return what a form asks for, the mailbox that it is to go to, and the keyword of a label.

    Raises:
        HTTPException: no button of ours was pressed, or there is no such mailbox or label.
    """
    for action in ("label", "unlabel"):
        if action in form:
            label = find_label(visitor.labels, str(form.get(action)))
            if label is None:
                raise HTTPException(404)
            return action, None, label.keyword
    for action in ("move", "copy"):
        number = read_number(form.get(action))
        if number is not None:
            target = boxes.get(MailboxId(number))
            if target is None:
                raise HTTPException(404)
            return action, target, ""
    for action, name in (("flag", "star"), ("unflag", "unstar")):
        if name in form:
            return action, None, ""
    action = str(form.get("action"))
    if action in _FLAGS:
        return action, None, ""
    if action not in _MOVES:
        raise HTTPException(400)
    return action, boxes.with_role(_MOVES[action]), ""


def _marked(form: FormData) -> tuple[Uid, ...]:
    """Return the selected messages, or the one whose star was pressed."""
    one = form.get("star") or form.get("unstar")
    sent = [one] if one else form.getlist("uid")
    numbers = {read_number(value) for value in sent}
    return tuple(sorted(Uid(number) for number in numbers if number is not None))
