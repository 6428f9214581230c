"""``/mail/MAILBOX/UID``: reading one message, and what its reader chooses there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.ids import MailboxId, Uid
from zajil.login.account import Account
from zajil.net.logger import get_logger
from zajil.operations.context import OperationContext
from zajil.operations.messages import move, set_flag
from zajil.operations.settings import change_settings
from zajil.read.guarded_fetch import FetchFailed, GuardedFetcher
from zajil.read.shown import ShownMessage, show_message
from zajil.read.unsubscribe import ONE_CLICK, Unsubscribe
from zajil.store.mail.conversations import ThreadMessage, find_conversation
from zajil.store.mail.messages import Message
from zajil.tracking.sentences import Sentence
from zajil.tracking.story import signs_of_deceit, why_junk
from zajil.web.access import actor_of
from zajil.web.journey import load_visible
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor
from zajil.web.webmail.asked_receipts import CameReceipt, ShownReceipts, find_receipts, may_ask
from zajil.web.webmail.invitations import find_own_answer, show_invitation
from zajil.web.webmail.known_people import KnownPeople, find_people
from zajil.web.webmail.lessons import FilterLessons
from zajil.web.webmail.mailboxes import Box, Boxes, load_boxes
from zajil.web.webmail.message_files import wants_pictures
from zajil.web.webmail.opened_message import load_message, open_message, place_of
from zajil.web.webmail.picture_senders import PictureSenders
from zajil.web.webmail.quotes import nest_quotes
from zajil.web.webmail.read_letter import ReadLetter, read_letter
from zajil.web.webmail.sender_logos import SenderLogos, ShownLogo, logo_question
from zajil.web.webmail.shown_files import enclosed_message
from zajil.web.webmail.undo import UndoStep

_MOST_SUSPICIONS = 5
"""Reasons that are shown above a message; its journey has all."""
_VIEWS = {"html": "formatted", "text": "plain"}
"""What the address of a page says, and the value of the setting ``view``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureState:
    """What the page says about pictures of other servers."""

    shown: bool
    always: bool
    """Because of the sender."""
    sender: str
    """Whose pictures can be shown always; ``""``: nobody's, because the author is in doubt."""


@dataclass(frozen=True, slots=True)
class Warnings:
    """What speaks against a message, for its reader."""

    is_deceit: bool = False
    """It poses as somebody else; else it is only junk."""
    reasons: tuple[Sentence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """What the page of a message is made from."""

    boxes: Boxes
    found: Message
    letter: ReadLetter
    thread: list[ThreadMessage]
    """The other messages of the conversation."""
    answer: tuple[str, int] | None
    """To the invitation of the message, and when."""
    receipts: list[CameReceipt]
    """Those that came for a message that the account sent."""
    people: KnownPeople
    logo: ShownLogo | None


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
        self._logos = logos
        self._lessons = lessons
        self._hostname = hostname
        self._outside = outside
        self._pages = pages
        self._operations = operations
        self._store = operations.store
        self._notices = notices

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show a message, and note that it was read."""
        place = place_of(request)
        loaded = await self._store.read(
            lambda conn: self._load(conn, account, place), account.account_id
        )
        boxes, found, letter, thread = loaded.boxes, loaded.found, loaded.letter, loaded.thread
        view, event = letter.view, letter.event
        current = boxes.get(place[0])
        if "\\Draft" in found.flags or (current is not None and current.role == "drafts"):
            return RedirectResponse(f"/compose?draft={place[0]}/{place[1]}", 303)
        # A browser that only looks ahead has not read it.
        if "\\Seen" not in found.flags and "sec-purpose" not in request.headers:
            actor = actor_of(request, account)
            await set_flag(self._operations, actor, place[0], place[1:], "\\Seen", is_set=True)
        done = self._notices.read(request)
        warnings = await self._warnings(current, found, account)
        asks = visitor.choices.receipts == "ask" and not warnings.is_deceit
        response = self._pages.render(
            visitor,
            "letter.html",
            boxes=boxes,
            current=current,
            found=found,
            view=view,
            files=letter.files,
            event=event and show_invitation(event[1], visitor, account, loaded.answer),
            quotes=nest_quotes(view.paragraphs),
            stands_for_all=visitor.choices.conversations and _is_newest(thread, place, found),
            before=[one for one in thread if _is_before(one, found)],
            after=[one for one in thread if not _is_before(one, found)],
            leave=_leave(letter.leave, found, current),
            list_post=letter.list_post,
            people=loaded.people,
            as_html=_is_as_html(request, visitor, view),
            pictures=_pictures(request, visitor, view, current),
            done=done,
            proof=letter.proof,
            logo=None if warnings.is_deceit else loaded.logo,
            warnings=warnings,
            receipts=ShownReceipts(
                asked=letter.asks_receipt if asks and may_ask(current, found) else None,
                said=letter.receipt,
                came=loaded.receipts,
            ),
        )
        if done is not None:
            self._notices.forget(response)
        return response

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
        boxes = await self._store.read(
            lambda conn: load_boxes(conn, account.account_id, self._store.tables),
            account.account_id,
        )
        return self._pages.render(
            visitor,
            "enclosed.html",
            boxes=boxes,
            current=boxes.get(mailbox_id),
            place=f"/mail/{mailbox_id}/{uid}",
            number=number,
            view=view,
            quotes=nest_quotes(view.paragraphs),
            as_html=_is_as_html(request, visitor, view),
            shows_pictures=wants_pictures(request),
        )

    async def choose_view(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show messages with HTML as it is laid out, or as plain text, from now on."""
        mailbox_id, uid = place_of(request)
        await load_message(self._store, request, account, len)
        view = str((await request.form()).get("view"))
        if view not in _VIEWS:
            raise HTTPException(400)
        actor = actor_of(request, account)
        await change_settings(self._operations, actor, account.login, {"view": _VIEWS[view]})
        return RedirectResponse(f"/mail/{mailbox_id}/{uid}", 303)

    async def choose_pictures(
        self, request: Request, visitor: Visitor, account: Account
    ) -> Response:
        """Show the pictures of a sender always, or no longer."""
        mailbox_id, uid = place_of(request)
        _, view = await load_message(self._store, request, account, show_message)
        sender = _sender_of(view)
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
        boxes = await self._store.read(
            lambda conn: load_boxes(conn, account.account_id, self._store.tables),
            account.account_id,
        )
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

    def _load(self, conn: Any, account: Account, place: tuple[MailboxId, Uid]) -> _Loaded:
        boxes = load_boxes(conn, account.account_id, self._store.tables)
        read = partial(read_letter, hostname=self._hostname)
        found, letter = open_message(conn, self._store, account.account_id, place, read)
        # Security: what a program put there may bring any result in our name.
        proof = letter.proof if found.mail_id is not None else None
        sent, answer = boxes.with_role("sent"), None
        if sent is not None and letter.event is not None:
            uid, to = letter.event[1].uid, letter.view.message_id
            answer = find_own_answer(conn, self._store, sent.mailbox_id, to, uid)
        current = boxes.get(place[0])
        return _Loaded(
            boxes=boxes,
            found=found,
            letter=replace(letter, proof=proof),
            thread=_conversation(conn, account, place[0], found),
            answer=answer,
            receipts=self._receipts(conn, boxes, place[0], letter),
            people=find_people(conn, account.account_id, letter.view, proof, _own(account)),
            logo=self._logos.in_page(
                conn, logo_question(letter, found, current), self._operations.clock.now_ms()
            ),
        )

    def _receipts(
        self, conn: Any, boxes: Boxes, mailbox_id: MailboxId, letter: ReadLetter
    ) -> list[CameReceipt]:
        sent, inbox = boxes.with_role("sent"), boxes.with_role("inbox")
        if inbox is None or sent is None or sent.mailbox_id != mailbox_id:
            return []
        message_id = letter.view.message_id if letter.wanted_receipt else ""
        if not message_id:
            return []
        return find_receipts(conn, self._store, inbox.mailbox_id, message_id)

    async def _warnings(self, box: Box | None, found: Message, account: Account) -> Warnings:
        """Return why a message lies in Junk, or what is wrong with one that does not."""
        if box is None or found.mail_id is None or box.role in ("sent", "drafts"):
            return Warnings()
        journey = await load_visible(self._store, found.mail_id, account)
        if journey is None:
            return Warnings()
        deceit = signs_of_deceit(journey)
        reasons = why_junk(journey) if box.role == "junk" else deceit
        return Warnings(bool(deceit), reasons[:_MOST_SUSPICIONS])


def _conversation(
    conn: Any, account: Account, mailbox_id: MailboxId, found: Message
) -> list[ThreadMessage]:
    """Return the other messages of a conversation."""
    if found.thread_id is None:
        return []
    every = find_conversation(conn, account.account_id, found.thread_id, mailbox_id)
    return [one for one in every if one.message.blob_id != found.blob_id]


def _own(account: Account) -> frozenset[str]:
    return frozenset([one.unicode.casefold() for one in (account.address, *account.own_addresses)])


def _is_newest(thread: list[ThreadMessage], place: tuple[MailboxId, Uid], found: Message) -> bool:
    """Check whether the list shows this message as the row of its conversation."""
    here = [one.message.uid for one in thread if one.mailbox_id == place[0]]
    return bool(here) and max(here) < found.uid


def _is_before(one: ThreadMessage, found: Message) -> bool:
    mine, other = found, one.message
    return (other.received_at_ms, other.uid) < (mine.received_at_ms, mine.uid)


def _leave(leave: Unsubscribe, found: Message, box: Box | None) -> Unsubscribe:
    # Security: who answers what lies in Junk tells its sender that the address is read.
    if box is None or box.role in ("junk", "sent", "drafts"):
        return Unsubscribe()
    # What a program put there may bring any result in our name.
    return leave if found.mail_id is not None else replace(leave, one_click="")


def _is_as_html(request: Request, visitor: Visitor, view: ShownMessage) -> bool:
    if view.html is None or not view.paragraphs:
        return view.html is not None
    chosen = request.query_params.get("view", "")
    return _VIEWS.get(chosen, visitor.choices.view) == "formatted"


def _sender_of(view: ShownMessage) -> str:
    """Return the address whose pictures may be shown always; ``""`` where the author is in doubt.

    Security: of two authors, or of a name that poses as another address, neither is trusted.
    """
    if len(view.senders) != 1 or view.warnings or not view.senders[0].domain:
        return ""
    return view.senders[0].address


def _pictures(
    request: Request, visitor: Visitor, view: ShownMessage, box: Box | None
) -> PictureState:
    # Security: what is in Junk may only pose as that sender.
    sender = "" if box is None or box.role == "junk" else _sender_of(view)
    always = bool(sender) and sender in PictureSenders.read(visitor.settings)
    return PictureState(shown=always or wants_pictures(request), always=always, sender=sender)
