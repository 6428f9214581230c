"""``/mail``: the list of one mailbox, and what can be done with the letters in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.actor import Actor
from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.login.account import Account
from zajil.message.header_view import Person
from zajil.message.summary import Summary
from zajil.operations.context import OperationContext
from zajil.operations.messages import expunge, move, set_flag
from zajil.read.indexer import ListPage, keep_new, read_page
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.messages import Message
from zajil.web.access import actor_of
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor
from zajil.web.security import local_path
from zajil.web.webmail.mailboxes import Box, Boxes, load_boxes, number_in_path, read_number

_PAGE = 50
_MOST_PEOPLE = 3
"""Names in one line of the list."""

_FLAGS = {
    "seen": ("\\Seen", True),
    "unseen": ("\\Seen", False),
    "flag": ("\\Flagged", True),
    "unflag": ("\\Flagged", False),
}
_MOVES = {"archive": "archive", "junk": "junk", "inbox": "inbox", "delete": "trash"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedMessage:
    """One line of the list."""

    uid: Uid
    received_at_ms: int
    seen: bool
    flagged: bool
    people: tuple[Person, ...]
    """Who wrote it; in Sent and Drafts, to whom."""
    subject: str
    preview: str


class MessageList:
    """Pages of one mailbox, and the buttons above them."""

    def __init__(self, pages: Pages, operations: OperationContext, notices: Notices) -> None:
        self._pages = pages
        self._operations = operations
        self._store = operations.store
        self._notices = notices

    async def home(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Go to the INBOX."""
        boxes = await self._store.read(
            lambda conn: load_boxes(conn, account.account_id), account.account_id
        )
        inbox = boxes.with_role("inbox") or boxes.all[0]
        return RedirectResponse(f"/mail/{inbox.mailbox_id}", 303)

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show one page of a mailbox, the newest first."""
        mailbox_id = MailboxId(number_in_path(request, "mailbox_id"))
        number = read_number(request.query_params.get("before"))
        before = Uid(number) if number is not None else None
        boxes, current, page = await self._store.read(
            lambda conn: self._load(conn, account.account_id, mailbox_id, before),
            account.account_id,
        )
        keep_new(self._store, page)
        is_outgoing = current.role in ("sent", "drafts")
        shown = page.lines[:_PAGE]
        done = self._notices.read(request)
        response = self._pages.render(
            visitor,
            "letters.html",
            boxes=boxes,
            current=current,
            letters=[_line(row, summary, is_outgoing=is_outgoing) for row, summary in shown],
            older=shown[-1][0].uid if len(page.lines) > _PAGE else None,
            is_later=before is not None,
            done=done,
        )
        if done is not None:
            self._notices.forget(response)
        return response

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Do to the marked letters what the pressed button says."""
        form = await request.form()
        mailbox_id = MailboxId(number_in_path(request, "mailbox_id"))
        uids = _marked(form)
        boxes = await self._store.read(
            lambda conn: load_boxes(conn, account.account_id), account.account_id
        )
        current = boxes.get(mailbox_id)
        if current is None:
            raise HTTPException(404)
        try:
            actor = actor_of(request, account)
            done = await self._do(actor, boxes, current, uids, str(form.get("action")))
        except NoSuchMailbox:
            raise HTTPException(404) from None
        response = RedirectResponse(local_path(form.get("next"), f"/mail/{mailbox_id}"), 303)
        self._notices.leave(response, Done(done, len(uids)))
        return response

    async def _do(
        self, actor: Actor, boxes: Boxes, current: Box, uids: tuple[Uid, ...], action: str
    ) -> str:
        """Do it, and say what was done: the button, ``gone`` (from the Trash), ``none``."""
        if action not in _FLAGS and action not in _MOVES:
            raise HTTPException(400)
        if not uids:
            return "none"
        context, mailbox_id = self._operations, current.mailbox_id
        if action in _FLAGS:
            flag, is_set = _FLAGS[action]
            await set_flag(context, actor, mailbox_id, uids, flag, is_set=is_set)
            return action
        target = boxes.with_role(_MOVES[action])
        # What is deleted from the trash, or where there is none, is gone.
        if action == "delete" and (target is None or mailbox_id == target.mailbox_id):
            await expunge(context, actor, mailbox_id, uids)
            return "gone"
        if target is not None and target.mailbox_id != mailbox_id:
            await move(context, actor, mailbox_id, uids, target.mailbox_id)
        return action

    def _load(
        self, conn: Any, account_id: AccountId, mailbox_id: MailboxId, before: Uid | None
    ) -> tuple[Boxes, Box, ListPage]:
        boxes = load_boxes(conn, account_id)
        current = boxes.get(mailbox_id)
        if current is None:
            raise HTTPException(404)
        page = read_page(conn, self._store.blobs, mailbox_id, _PAGE + 1, before=before)
        return boxes, current, page


def _line(found: Message, summary: Summary, *, is_outgoing: bool) -> ListedMessage:
    people = summary.to if is_outgoing else summary.senders
    return ListedMessage(
        uid=found.uid,
        received_at_ms=found.received_at_ms,
        seen="\\Seen" in found.flags,
        flagged="\\Flagged" in found.flags,
        people=people[:_MOST_PEOPLE],
        subject=summary.subject,
        preview=summary.preview,
    )


def _marked(form: FormData) -> tuple[Uid, ...]:
    numbers = {read_number(value) for value in form.getlist("uid")}
    return tuple(sorted(Uid(number) for number in numbers if number is not None))
