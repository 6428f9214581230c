"""``/mail/MAILBOX/UID``: reading one message, and what its reader chooses there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.ids import Uid
from zajil.login.account import Account
from zajil.net.logger import get_logger
from zajil.operations.context import OperationContext
from zajil.operations.messages import move, set_flag
from zajil.operations.settings import change_settings
from zajil.read.guarded_fetch import FetchFailed, GuardedFetcher
from zajil.read.indexer import ListPage, keep_now, read_page
from zajil.read.shown import show_message
from zajil.read.unsubscribe import ONE_CLICK
from zajil.store.engine.errors import StoreError
from zajil.store.mail.conversations import ThreadMessage
from zajil.store.mail.messages import Message
from zajil.web.access import actor_of
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor
from zajil.web.webmail.conversation_page import by_mailbox, find_thread, lay_out, load_unread
from zajil.web.webmail.lessons import FilterLessons
from zajil.web.webmail.mailboxes import Boxes, load_boxes
from zajil.web.webmail.message_files import wants_pictures
from zajil.web.webmail.opened_message import find_message, load_message, place_of
from zajil.web.webmail.picture_senders import PictureSenders
from zajil.web.webmail.quotes import nest_quotes
from zajil.web.webmail.read_letter import read_letter
from zajil.web.webmail.sender_logos import SenderLogos
from zajil.web.webmail.shown_files import enclosed_message
from zajil.web.webmail.shown_letter import (
    VIEWS,
    LetterReader,
    LoadedLetter,
    Place,
    is_as_html,
    sender_of,
)
from zajil.web.webmail.undo import UndoStep

_NEWEST = 10
"""Messages of the INBOX that may have come since the page of a message was opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """What the page of a message is made from."""

    boxes: Boxes
    opened: LoadedLetter
    thread: list[ThreadMessage]
    """The conversation with the message, the oldest first."""
    unread: list[LoadedLetter]
    """Others of it that are shown whole."""


class MessagePages:
    """One message as a page."""

    def __init__(
        self,
        pages: Pages,
        operations: OperationContext,
        notices: Notices,
        hostname: str,
        outside: GuardedFetcher,
        lessons: FilterLessons,
        logos: SenderLogos,
    ) -> None:
        """Make the pages.

        Args:
            pages: templates.
            operations: changes of messages.
            notices: what was done.
            hostname: the name in Authentication-Results of this server.
            outside: asks servers that messages name.
            lessons: what the junk filter learns.
            logos: of senders.
        """
        self._lessons = lessons
        self._hostname = hostname
        self._letters = LetterReader(operations.store, operations.clock, hostname, logos)
        self._outside = outside
        self._pages = pages
        self._operations = operations
        self._store = operations.store
        self._notices = notices

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show a message and its conversation, and note that what is shown whole was read."""
        place = place_of(request)
        is_alone = request.query_params.get("alone") == "1"

        def load(conn: Any) -> _Loaded:
            return self._load(conn, visitor, account, place, is_alone=is_alone)

        loaded = await self._store.read(load, account.account_id)
        if loaded.opened.is_draft:
            return RedirectResponse(f"/compose?draft={place[0]}/{place[1]}", 303)
        boxes, whole = loaded.boxes, [loaded.opened, *loaded.unread]
        # A browser that only looks ahead has not read it.
        if "sec-purpose" not in request.headers and await self._mark(request, account, whole):
            boxes = await self._boxes(account)
        opened = await self._letters.show(request, visitor, account, loaded.opened)
        others = [await self._letters.show(None, visitor, account, one) for one in loaded.unread]
        shown = {(one.box.mailbox_id, one.found.uid): one for one in (opened, *others)}
        pieces = lay_out(boxes, loaded.thread, shown, place)
        done = self._notices.read(request)
        response = self._pages.render(
            visitor,
            "letter.html",
            boxes=boxes,
            current=boxes.get(place[0]),
            opened=opened,
            # A page for scripts, which put the message into the page of its conversation.
            pieces=[one for one in pieces if one.letter is opened] if is_alone else pieces,
            is_conversation=visitor.choices.conversations and len(loaded.thread) > 1,
            stands_for_all=visitor.choices.conversations and _is_newest(loaded.thread, place),
            done=done,
        )
        if done is not None:
            self._notices.forget(response)
        return response

    async def show_state(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show what may change of a message and its conversation while their page is open.

        Nothing is marked as read: nobody asked for it.
        """
        place = place_of(request)

        def load(conn: Any) -> tuple[Boxes, Message, list[ThreadMessage], ListPage]:
            boxes = load_boxes(conn, account.account_id, self._store.tables)
            found = find_message(conn, account.account_id, place)
            thread = find_thread(conn, account, place[0], found)
            newest = read_page(conn, self._store.blobs, boxes.inbox_id or place[0], _NEWEST)
            return boxes, found, thread, newest

        boxes, found, thread, newest = await self._store.read(load, account.account_id)
        if (current := boxes.get(place[0])) is None:
            raise HTTPException(404)
        if await keep_now(self._store, newest):
            # A message that has just come joins its conversation now.
            boxes, found, thread, _ = await self._store.read(load, account.account_id)
        return self._pages.render(
            visitor,
            "letter_state.html",
            boxes=boxes,
            current=current,
            address=f"/mail/{place[0]}/{place[1]}",
            found=found,
            rows=[row for piece in lay_out(boxes, thread, {}, place) for row in piece.rows],
        )

    async def show_enclosed(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show a message that is a file of another one."""
        mailbox_id, uid = place_of(request)
        number = request.path_params["number"]
        _, inner = await load_message(
            self._store, request, account, lambda message: enclosed_message(message, number)
        )
        if inner is None:
            raise HTTPException(404)
        view = show_message(inner)
        boxes = await self._boxes(account)
        if (current := boxes.get(mailbox_id)) is None:
            raise HTTPException(404)
        return self._pages.render(
            visitor,
            "enclosed.html",
            boxes=boxes,
            current=current,
            place=f"/mail/{mailbox_id}/{uid}",
            number=number,
            view=view,
            quotes=nest_quotes(view.paragraphs),
            as_html=is_as_html(request, visitor, view),
            shows_pictures=wants_pictures(request),
        )

    async def choose_view(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show messages with HTML as it is laid out, or as plain text, from now on."""
        mailbox_id, uid = place_of(request)
        await load_message(self._store, request, account, len)
        view = str((await request.form()).get("view"))
        if view not in VIEWS:
            raise HTTPException(400)
        actor = actor_of(request, account)
        await change_settings(self._operations, actor, account.login, {"view": VIEWS[view]})
        return RedirectResponse(f"/mail/{mailbox_id}/{uid}", 303)

    async def choose_pictures(
        self, request: Request, visitor: Visitor, account: Account
    ) -> Response:
        """Show the pictures of a sender always, or no longer."""
        mailbox_id, uid = place_of(request)
        _, view = await load_message(self._store, request, account, show_message)
        sender = sender_of(view)
        is_always = (await request.form()).get("always") == "1"
        if sender:
            senders = PictureSenders.read(visitor.settings)
            value = senders.with_one(sender) if is_always else senders.without(sender)
            actor = actor_of(request, account)
            await change_settings(self._operations, actor, account.login, value.as_settings())
        return RedirectResponse(f"/mail/{mailbox_id}/{uid}", 303)

    async def report(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Mark a message as phishing and move it to Junk, from which the filter learns."""
        mailbox_id, uid = place_of(request)
        boxes = await self._boxes(account)
        box, junk = boxes.get(mailbox_id), boxes.with_role("junk")
        if box is None:
            raise HTTPException(404)
        actor = actor_of(request, account)
        await set_flag(self._operations, actor, mailbox_id, (uid,), "$Phishing", is_set=True)
        done = Done("phishing", 1)
        if junk is not None and junk.mailbox_id != mailbox_id:
            moved = await move(self._operations, actor, mailbox_id, (uid,), junk.mailbox_id)
            uids = tuple(map(Uid, moved.targets))
            lesson = await self._lessons.of_move(account.account_id, box, junk, uids)
            step = UndoStep("phish", junk.mailbox_id, str(mailbox_id), uids)
            done = Done("phishing", 1, junk.mailbox_id, step.write(), lesson)
        response = RedirectResponse(f"/mail/{mailbox_id}", 303)
        self._notices.leave(response, done)
        return response

    async def unsubscribe(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Leave a mailing list in one click (RFC 8058)."""
        mailbox_id, uid = place_of(request)
        read = partial(read_letter, hostname=self._hostname)
        found, letter = await load_message(self._store, request, account, read)
        leave = letter.leave
        if found.mail_id is None or not leave.one_click:
            raise HTTPException(404)
        done = "unsubscribed"
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await self._outside.post(leave.one_click, ONE_CLICK, headers)
            if answer.status >= 300:
                done = "notunsubscribed"
        except FetchFailed as error:
            get_logger().info("unsubscribe.failed", url=leave.one_click, reason=str(error)[:500])
            done = "notunsubscribed"
        response = RedirectResponse(f"/mail/{mailbox_id}/{uid}", 303)
        self._notices.leave(response, Done(done, 1))
        return response

    def _load(
        self, conn: Any, visitor: Visitor, account: Account, place: Place, *, is_alone: bool
    ) -> _Loaded:
        boxes = load_boxes(conn, account.account_id, self._store.tables)
        opened = self._letters.load(conn, account, boxes, place)
        thread = find_thread(conn, account, place[0], opened.found)
        unread: list[LoadedLetter] = []
        if visitor.choices.conversations and not is_alone:
            blob_id = opened.found.blob_id
            unread = load_unread(conn, self._letters, account, boxes, thread, blob_id)
        return _Loaded(boxes=boxes, opened=opened, thread=thread, unread=unread)

    async def _mark(self, request: Request, account: Account, whole: list[LoadedLetter]) -> bool:
        """Mark messages as read, and return whether one was not.

        Mail can be read also where nothing can be written: then they stay unread.
        """
        unread = [one.place for one in whole if "\\Seen" not in one.found.flags]
        actor = actor_of(request, account)
        try:
            for mailbox_id, uids in by_mailbox(unread).items():
                await set_flag(self._operations, actor, mailbox_id, uids, "\\Seen", is_set=True)
        except StoreError as error:
            get_logger().warning("cannot mark messages as read", reason=str(error))
        return bool(unread)

    async def _boxes(self, account: Account) -> Boxes:
        return await self._store.read(
            lambda conn: load_boxes(conn, account.account_id, self._store.tables),
            account.account_id,
        )


def _is_newest(thread: list[ThreadMessage], place: Place) -> bool:
    """Check whether the list shows this message as the row of its conversation."""
    here = [one.message.uid for one in thread if one.mailbox_id == place[0]]
    return len(here) > 1 and max(here) == place[1]
