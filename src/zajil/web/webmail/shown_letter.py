"""One message as its page, or the page of its conversation, shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from zajil.core.clock import Clock
from zajil.core.ids import MailboxId, Uid
from zajil.login.account import Account
from zajil.read.paragraphs import Paragraph
from zajil.read.shown import ShownMessage
from zajil.read.unsubscribe import Unsubscribe
from zajil.store.engine.open import Store
from zajil.store.mail.messages import Message
from zajil.tracking.sentences import Sentence
from zajil.tracking.story import signs_of_deceit, why_junk
from zajil.web.journey import load_visible
from zajil.web.page import Visitor
from zajil.web.webmail.asked_receipts import CameReceipt, ShownReceipts, find_receipts, may_ask
from zajil.web.webmail.invitations import ShownInvitation, find_own_answer, show_invitation
from zajil.web.webmail.known_people import KnownPeople, find_people
from zajil.web.webmail.mailboxes import Box, Boxes
from zajil.web.webmail.message_files import wants_pictures
from zajil.web.webmail.opened_message import open_message
from zajil.web.webmail.picture_senders import PictureSenders
from zajil.web.webmail.quotes import Quote, nest_quotes
from zajil.web.webmail.read_letter import ReadLetter, read_letter
from zajil.web.webmail.sender_logos import SenderLogos, ShownLogo, logo_question
from zajil.web.webmail.shown_files import ShownFile

Place = tuple[MailboxId, Uid]

VIEWS = {"html": "formatted", "text": "plain"}
"""What the address of a page says, and the value of the setting ``view``."""
_MOST_SUSPICIONS = 5
"""Reasons that are shown above a message; its journey has all."""


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
class LoadedLetter:
    """What the store says of one message."""

    place: Place
    box: Box
    found: Message
    letter: ReadLetter
    answer: tuple[str, int] | None
    """To the invitation of the message, and when."""
    receipts: list[CameReceipt]
    """Those that came for a message that the account sent."""
    people: KnownPeople
    logo: ShownLogo | None

    @property
    def is_draft(self) -> bool:
        """Whether it is written on, not read."""
        return "\\Draft" in self.found.flags or self.box.role == "drafts"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLetter:
    """What a template needs of one message."""

    address: str
    """``/mail/MAILBOX/UID``."""
    name: str
    """``MAILBOX.UID``."""
    box: Box
    found: Message
    view: ShownMessage
    letter: ReadLetter
    files: list[ShownFile]
    event: ShownInvitation | None
    quotes: list[Paragraph | Quote]
    leave: Unsubscribe
    people: KnownPeople
    logo: ShownLogo | None
    as_html: bool
    pictures: PictureState
    warnings: Warnings
    receipts: ShownReceipts


class LetterReader:
    """Reads messages for their pages."""

    def __init__(self, store: Store, clock: Clock, hostname: str, logos: SenderLogos) -> None:
        """Make it.

        Args:
            store: where the messages are.
            clock: says which logos are still known.
            hostname: the name in Authentication-Results of this server.
            logos: of senders.
        """
        self._store = store
        self._clock = clock
        self._logos = logos
        self._hostname = hostname

    def load(self, conn: Any, account: Account, boxes: Boxes, place: Place) -> LoadedLetter:
        """Read a message of an account; 404 if there is none. A query: ``store.read`` runs it.

        A mailbox that the account may read, but not see (RFC 4314 section 2.1), has no pages.
        """
        box = boxes.get(place[0])
        if box is None:
            raise HTTPException(404)
        read = partial(read_letter, hostname=self._hostname)
        found, letter = open_message(conn, self._store, account.account_id, place, read)
        # Security: what a program put there may bring any result in our name.
        proof = letter.proof if found.mail_id is not None else None
        sent, answer = boxes.with_role("sent"), None
        if sent is not None and letter.event is not None:
            uid, to = letter.event[1].uid, letter.view.message_id
            answer = find_own_answer(conn, self._store, sent.mailbox_id, to, uid)
        now_ms = self._clock.now_ms()
        return LoadedLetter(
            place=place,
            box=box,
            found=found,
            letter=replace(letter, proof=proof),
            answer=answer,
            receipts=self._receipts(conn, boxes, place[0], letter),
            people=find_people(conn, account.account_id, letter.view, proof, _own(account)),
            logo=self._logos.in_page(conn, logo_question(letter, found, box), now_ms),
        )

    async def show(
        self, request: Request | None, visitor: Visitor, account: Account, loaded: LoadedLetter
    ) -> ShownLetter:
        """Return what a template needs of a message that was loaded.

        Args:
            request: whose address says how the message is shown; ``None``: it is another one of
                the same conversation.
            visitor: how the reader likes it.
            account: the reader.
            loaded: the message.
        """
        box, found, letter = loaded.box, loaded.found, loaded.letter
        view, event = letter.view, letter.event
        warnings = await self._warnings(box, found, account)
        asks = visitor.choices.receipts == "ask" and not warnings.is_deceit
        mailbox_id, uid = loaded.place
        return ShownLetter(
            address=f"/mail/{mailbox_id}/{uid}",
            name=f"{mailbox_id}.{uid}",
            box=box,
            found=found,
            view=view,
            letter=letter,
            files=letter.files,
            event=show_invitation(event[1], visitor, account, loaded.answer) if event else None,
            quotes=nest_quotes(view.paragraphs),
            leave=_leave(letter.leave, found, box),
            people=loaded.people,
            logo=None if warnings.is_deceit else loaded.logo,
            as_html=is_as_html(request, visitor, view),
            pictures=_pictures(request, visitor, view, box),
            warnings=warnings,
            receipts=ShownReceipts(
                asked=letter.asks_receipt if asks and may_ask(box, found) else None,
                said=letter.receipt,
                came=loaded.receipts,
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

    async def _warnings(self, box: Box, found: Message, account: Account) -> Warnings:
        """Return why a message lies in Junk, or what is wrong with one that does not."""
        if found.mail_id is None or box.role in ("sent", "drafts"):
            return Warnings()
        journey = await load_visible(self._store, found.mail_id, account)
        if journey is None:
            return Warnings()
        deceit = signs_of_deceit(journey)
        reasons = why_junk(journey) if box.role == "junk" else deceit
        return Warnings(bool(deceit), reasons[:_MOST_SUSPICIONS])


def is_as_html(request: Request | None, visitor: Visitor, view: ShownMessage) -> bool:
    """Whether a message is shown as its sender laid it out."""
    if view.html is None or not view.paragraphs:
        return view.html is not None
    chosen = request.query_params.get("view", "") if request is not None else ""
    return VIEWS.get(chosen, visitor.choices.view) == "formatted"


def sender_of(view: ShownMessage) -> str:
    """Return the address whose pictures may be shown always; ``""`` where the author is in doubt.

    Security: of two authors, or of a name that poses as another address, neither is trusted.
    """
    if len(view.senders) != 1 or view.warnings or not view.senders[0].domain:
        return ""
    return view.senders[0].address


def _own(account: Account) -> frozenset[str]:
    return frozenset([one.unicode.casefold() for one in (account.address, *account.own_addresses)])


def _leave(leave: Unsubscribe, found: Message, box: Box) -> Unsubscribe:
    # Security: who answers what lies in Junk tells its sender that the address is read.
    if box.role in ("junk", "sent", "drafts"):
        return Unsubscribe()
    # What a program put there may bring any result in our name.
    return leave if found.mail_id is not None else replace(leave, one_click="")


def _pictures(
    request: Request | None, visitor: Visitor, view: ShownMessage, box: Box
) -> PictureState:
    # Security: what is in Junk may only pose as that sender.
    sender = "" if box.role == "junk" else sender_of(view)
    always = bool(sender) and sender in PictureSenders.read(visitor.settings)
    is_asked = request is not None and wants_pictures(request)
    return PictureState(shown=always or is_asked, always=always, sender=sender)
