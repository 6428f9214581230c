"""``/compose``: write a letter, answer one, send it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.accept.outcome import NotAccepted
from zajil.core.actor import Actor
from zajil.core.address import Address
from zajil.core.ids import ID_RANDOM_SIZE, AccountId, MailboxId, Uid, new_mail_id
from zajil.login.account import Account
from zajil.message.header_view import Person
from zajil.operations.messages import set_flag
from zajil.read.shown import ShownMessage, show_message
from zajil.store.engine.errors import StoreError
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.mailboxes import Mailbox, find_role, get_mailbox
from zajil.store.mail.messages import get_messages, read_message
from zajil.store.mail.room import Obstacle, find_obstacle
from zajil.submit.compose import BadForm, ComposeForm, Direction, compose_message
from zajil.submit.hand_in import hand_in
from zajil.web.access import actor_of, peer_of
from zajil.web.language import Language
from zajil.web.page import Pages, Visitor
from zajil.web.services import WebServices
from zajil.web.webmail.mailboxes import load_boxes, read_number
from zajil.web.webmail.refusal_text import refusal_text

_ANSWER_PREFIXES = ("re:", "رد:", "aw:", "sv:")
_PLAIN_NAME = re.compile(r"[\w ]+\Z")
"""Names that stand in an address list without quotes; everything else gets them."""
_DIRECTIONS: dict[str, Direction] = {"ltr": "ltr", "rtl": "rtl"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What stands in the form."""

    sender: str = ""
    """Wire form of one of the account's addresses; ``""``: its own."""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    body: str = ""
    in_reply_to: str = ""
    references: str = ""
    answered: str = ""
    """``MAILBOX.UID`` of the letter that this answers, to be marked as answered."""


class Writing:
    """The form, and sending what it holds."""

    def __init__(self, pages: Pages, services: WebServices) -> None:
        self._pages = pages
        self._services = services
        self._store = services.store

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show an empty form, or one that answers a letter."""
        draft = Draft(to=request.query_params.get("to", "")[:1000])
        answered = request.query_params.get("reply", "")
        place = _place(answered)
        if place is not None:
            view = await self._store.read(
                lambda conn: self._view(conn, account.account_id, *place), account.account_id
            )
            if view is not None:
                everybody = "all" in request.query_params
                draft = _answer(view, answered, account, everybody)
                draft = replace(draft, body=_quote(view, visitor, self._pages.languages))
        return await self._form(visitor, account, draft)

    async def send(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Send a letter, keep a copy in Sent, and show its journey."""
        form = await request.form()
        draft = _draft(form)
        gettext = visitor.language.gettext
        now_ms, random = self._services.clock.now_ms(), self._services.random(ID_RANDOM_SIZE)
        try:
            letter = _letter(draft, account, str(form.get("body_direction", "")))
            composed = compose_message(letter, now_ms=now_ms, unique=new_mail_id(now_ms, random))
        except BadForm as error:
            problem = gettext("The message cannot be sent: %(what)s") % {"what": error}
            if error.field in ("to", "cc", "bcc"):
                problem = gettext(
                    "“%(what)s” is not a valid email address. Use the form name@example.org."
                ) % {"what": error.wrong}
                if not error.wrong.strip():
                    problem = gettext("Enter at least one recipient.")
            return await self._form(visitor, account, draft, problem)
        caps, size = self._store.caps, len(composed.message)

        def find_sent(conn: Any) -> tuple[Mailbox | None, Obstacle | None]:
            box = find_role(conn, account.account_id, "sent")
            if box is None:
                return None, None
            return box, find_obstacle(conn, caps, account.account_id, box.mailbox_id, 1, size=size)

        sent, obstacle = await self._store.read(find_sent)
        if obstacle is not None:
            problem = gettext("Your mailbox is full. Delete messages, then send again.")
            return await self._form(visitor, account, draft, problem)
        outcome = await hand_in(
            self._services.acceptance,
            account,
            letter.sender,
            composed.recipients,
            composed.message,
            peer=peer_of(request),
            sent_mailbox=sent.mailbox_id if sent else None,
        )
        if isinstance(outcome, NotAccepted):
            return await self._form(visitor, account, draft, refusal_text(outcome, visitor))
        # The letter is on its way: whatever fails now must not look as if it were not.
        with suppress(StoreError):
            await self._mark_answered(actor_of(request, account), draft.answered)
        return RedirectResponse(f"/journey/{outcome.mail_id}?sent=1", 303)

    async def _form(
        self, visitor: Visitor, account: Account, draft: Draft, problem: str = ""
    ) -> Response:
        boxes = await self._store.read(
            lambda conn: load_boxes(conn, account.account_id), account.account_id
        )
        return self._pages.render(
            visitor,
            "compose.html",
            422 if problem else 200,
            boxes=boxes,
            current=None,
            account=account,
            draft=draft,
            problem=problem,
        )

    async def _mark_answered(self, actor: Actor, answered: str) -> None:
        place = _place(answered)
        if place is not None:
            mailbox_id, uid = place
            context = self._services.operations
            await set_flag(context, actor, mailbox_id, (uid,), "\\Answered", is_set=True)

    def _view(
        self, conn: Any, account_id: AccountId, mailbox_id: MailboxId, uid: Uid
    ) -> ShownMessage | None:
        if get_mailbox(conn, account_id, mailbox_id) is None:
            return None
        found = get_messages(conn, mailbox_id, [uid])
        try:
            return show_message(read_message(conn, self._store.blobs, found[0])) if found else None
        except NoSuchBlob:
            return None


def _place(text: str) -> tuple[MailboxId, Uid] | None:
    first, _, second = text.partition(".")
    mailbox_id, uid = read_number(first), read_number(second)
    if mailbox_id is None or uid is None:
        return None
    return MailboxId(mailbox_id), Uid(uid)


def _draft(form: FormData) -> Draft:
    def text(name: str) -> str:
        value = form.get(name)
        return value if isinstance(value, str) else ""

    return Draft(
        sender=text("sender"),
        to=text("to"),
        cc=text("cc"),
        bcc=text("bcc"),
        subject=text("subject"),
        body=text("body"),
        in_reply_to=text("in_reply_to"),
        references=text("references"),
        answered=text("answered"),
    )


def _letter(draft: Draft, account: Account, direction: str) -> ComposeForm:
    # Security: only an address of the account's own; submission checks it once more.
    senders = {str(address): address for address in account.addresses}
    return ComposeForm(
        sender=senders.get(draft.sender, account.address),
        sender_name=account.display_name,
        to=draft.to,
        cc=draft.cc,
        bcc=draft.bcc,
        subject=draft.subject,
        text=draft.body.replace("\r\n", "\n"),
        direction=_DIRECTIONS.get(direction, "auto"),
        in_reply_to=draft.in_reply_to,
        references=draft.references,
    )


def _answer(view: ShownMessage, answered: str, account: Account, everybody: bool) -> Draft:
    own = {address.unicode.casefold() for address in (account.address, *account.own_addresses)}
    to, cc = view.reply_to or view.senders, (*view.to, *view.cc)
    # Who replies to a message of his own goes on writing to those that it was for.
    if view.senders and all(one.address.casefold() in own for one in view.senders) and view.to:
        to, cc = view.to, view.cc
    to = _each_once(to)
    seen = own | {one.address.casefold() for one in to}
    cc = _each_once(cc, seen) if everybody else ()
    prefix = "" if view.subject.lower().startswith(_ANSWER_PREFIXES) else "Re: "
    sender = _addressed_as(view, account.addresses)
    return Draft(
        sender=str(sender) if sender else "",
        to=", ".join(_spell(one) for one in to),
        cc=", ".join(_spell(one) for one in cc),
        subject=f"{prefix}{view.subject}",
        in_reply_to=view.message_id,
        references=view.references,
        answered=answered,
    )


def _addressed_as(view: ShownMessage, addresses: tuple[Address, ...]) -> Address | None:
    """Answer as whom the letter was for, when it came by another address."""
    named = {one.address.casefold() for one in (*view.senders, *view.to, *view.cc)}
    return next((one for one in addresses if one.unicode.casefold() in named), None)


def _each_once(people: Iterable[Person], seen: Iterable[str] = ()) -> tuple[Person, ...]:
    """Leave out whose address was there before, in whichever case and under whichever name."""
    found = dict.fromkeys(seen)
    kept: list[Person] = []
    for one in people:
        if one.address.casefold() not in found:
            found[one.address.casefold()] = None
            kept.append(one)
    return tuple(kept)


def _spell(person: Person) -> str:
    if not person.name:
        return person.address
    if _PLAIN_NAME.match(person.name):
        return f"{person.name} <{person.address}>"
    name = person.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}" <{person.address}>'


def _quote(view: ShownMessage, visitor: Visitor, languages: Mapping[str, Language]) -> str:
    lines: list[str] = []
    for paragraph in view.paragraphs:
        mark = ">" * (paragraph.quote_depth + 1)
        lines += [f"{mark} {line}" for line in paragraph.text.split("\n")] + [mark]
    if not lines:
        return ""
    author = view.senders[0].label if view.senders else ""
    language = _language_of(view, visitor, languages)
    wrote = language.gettext("%(author)s wrote:") % {"author": author}
    if view.date_ms is not None:
        when = language.moment(view.date_ms, visitor.zone)
        wrote = language.gettext("On %(date)s, %(author)s wrote:") % {
            "date": when,
            "author": author,
        }
    return "\n\n" + wrote + "\n" + "\n".join(lines[:-1])


def _language_of(
    view: ShownMessage, visitor: Visitor, languages: Mapping[str, Language]
) -> Language:
    """Return the language to speak in the answer: that of the message, as far as it shows.

    A line in another script than the text beneath it runs to the other side.
    """
    directions = [one.direction for one in view.paragraphs if one.direction != "auto"]
    if not directions or directions[0] == visitor.language.direction:
        return visitor.language
    return next(
        (one for one in languages.values() if one.direction == directions[0]), visitor.language
    )
