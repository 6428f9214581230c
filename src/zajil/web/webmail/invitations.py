"""Invitations on the page of a message: when and where, and the answer in one click."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.accept.outcome import NotAccepted
from zajil.core.address import Address
from zajil.core.ids import ID_RANDOM_SIZE, MailboxId, new_mail_id
from zajil.login.account import Account
from zajil.message.build import (
    BadValue,
    multipart_entity,
    text_entity,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date
from zajil.read.invitation import ANSWERS, Answer, Invitation, find_invitation, write_answer
from zajil.read.shown import ShownMessage, show_message
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.intake import OwnCopy
from zajil.store.mail.mailboxes import find_role
from zajil.store.mail.messages import read_message
from zajil.store.mail.summaries import newest_summaries
from zajil.submit.hand_in import hand_in
from zajil.web.access import peer_of
from zajil.web.language import Language
from zajil.web.notices import Done, Notices
from zajil.web.page import Visitor
from zajil.web.services import WebServices
from zajil.web.webmail.opened_message import load_message, place_of

_MOST_SENT = 500
_MOST_ANSWERS = 5
"""Messages that refer to an invitation in which the answer is looked for, the newest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownInvitation:
    """What the page says about an event."""

    invitation: Invitation
    when: str
    """In the language and the zone of the visitor; ``""``: it does not say."""
    own: str
    """The address of the reader that was invited; ``""``: none was."""
    can_answer: bool
    answer: str = ""
    """What the reader answered last: ``ACCEPTED``, ``TENTATIVE``, ``DECLINED``; ``""``: nothing."""
    answered_ms: int = 0


def find_own_answer(
    conn: Snapshot, store: Store, sent: MailboxId, message_id: str, uid: str
) -> tuple[str, int] | None:
    """Return what the reader answered last to an event, and when; ``None``: nothing.

    Args:
        conn: a snapshot.
        store: where the messages are.
        sent: the mailbox of sent messages; only the newest are looked at.
        message_id: of the invitation; answers refer to it, whoever's program wrote them.
        uid: of the event.
    """
    newest = newest_summaries(conn, sent, _MOST_SENT)
    own = [one for one, text in newest if text is not None and message_id in text.references]
    for one in own[:_MOST_ANSWERS]:
        with suppress(NoSuchBlob):
            found = find_invitation(read_message(conn, store.blobs, one))
            if found is not None and found[1].method == "REPLY" and found[1].uid == uid:
                answer = found[1].guests[0].answer if found[1].guests else ""
                return answer, one.received_at_ms
    return None


def show_invitation(
    invitation: Invitation,
    visitor: Visitor,
    account: Account,
    answer: tuple[str, int] | None = None,
) -> ShownInvitation:
    """Return what the page says about an event, and what its reader answered to it."""
    own = _own_address(invitation, account)
    can_answer = invitation.method == "REQUEST" and invitation.answer_address() is not None
    return ShownInvitation(
        invitation=invitation,
        when=_when(invitation, visitor),
        own=own.unicode if own is not None else "",
        can_answer=can_answer and bool(invitation.uid),
        answer=answer[0] if answer is not None else "",
        answered_ms=answer[1] if answer is not None else 0,
    )


class Invitations:
    """Answers to invitations."""

    def __init__(self, services: WebServices, notices: Notices) -> None:
        self._services = services
        self._notices = notices

    async def answer(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Send an answer to whoever invites (RFC 6047)."""
        mailbox_id, uid = place_of(request)
        answer = str((await request.form()).get("answer"))
        store = self._services.store
        _, (found, source) = await load_message(
            store, request, account, lambda data: (find_invitation(data), show_message(data))
        )
        if answer not in get_args(Answer):
            raise HTTPException(400)
        organizer = found[1].answer_address() if found is not None else None
        if found is None or organizer is None or found[1].method != "REQUEST":
            raise HTTPException(404)
        chosen = ANSWERS[get_args(Answer).index(answer)]
        who = _own_address(found[1], account) or account.address
        people = (account.display_name, who), (_organizer_name(found[1]), organizer)
        message = self._message(found[1], *people, chosen, visitor.language, source)
        sent = await store.read(lambda conn: find_role(conn, account.account_id, "sent"))
        outcome = await hand_in(
            self._services.acceptance,
            account,
            who,
            [organizer],
            message,
            peer=peer_of(request),
            own_copy=None if sent is None else OwnCopy(sent.mailbox_id),
        )
        done = "notanswered" if isinstance(outcome, NotAccepted) else chosen.lower()
        response = RedirectResponse(f"/mail/{mailbox_id}/{uid}", 303)
        self._notices.leave(response, Done(done, 1))
        return response

    def _message(
        self,
        invitation: Invitation,
        guest: tuple[str, Address],
        organizer: tuple[str, Address],
        answer: Answer,
        language: Language,
        source: ShownMessage,
    ) -> bytes:
        """Make the answer to a message; people are name and address."""
        now_ms = self._services.clock.now_ms()
        unique = new_mail_id(now_ms, self._services.random(ID_RANDOM_SIZE))
        name, who = guest
        utf8 = not (who.is_ascii and organizer[1].is_ascii)
        subject = _subject_of(answer, language) % {"summary": invitation.summary}
        calendar = write_answer(invitation, who, name, answer, now_ms)
        part = text_entity(calendar.decode("utf-8", "replace"), "calendar").replace(
            b"charset=utf-8", b"method=REPLY; charset=utf-8", 1
        )
        return b"".join(
            [
                write_raw_field("Date", format_date(now_ms)),
                write_address_field("From", [(name, who)], utf8=utf8),
                write_address_field("To", [organizer], utf8=utf8),
                write_text_field("Subject", subject, utf8=utf8),
                write_raw_field("Message-ID", f"<{unique}@{who.domain}>"),
                *_thread_fields(source),
                b"MIME-Version: 1.0\r\n",
                multipart_entity("alternative", [text_entity(f"{subject}\n"), part], unique),
            ]
        )


def _thread_fields(source: ShownMessage) -> Iterator[bytes]:
    for name, value in (("In-Reply-To", source.message_id), ("References", source.references)):
        with suppress(BadValue):
            if value:
                yield write_raw_field(name, value)


def _subject_of(answer: Answer, language: Language) -> str:
    gettext = language.gettext
    match answer:
        case "ACCEPTED":
            return gettext("Accepted: %(summary)s")
        case "TENTATIVE":
            return gettext("Tentative: %(summary)s")
        case "DECLINED":
            return gettext("Declined: %(summary)s")


def _organizer_name(invitation: Invitation) -> str:
    return invitation.organizer.name if invitation.organizer is not None else ""


def _own_address(invitation: Invitation, account: Account) -> Address | None:
    invited = {guest.address.casefold() for guest in invitation.guests}
    every = (account.address, *account.addresses)
    return next(
        (one for one in every if {one.unicode.casefold(), str(one).casefold()} & invited), None
    )


def _when(invitation: Invitation, visitor: Visitor) -> str:
    starts, ends, language = invitation.starts, invitation.ends, visitor.language
    if starts is None:
        return ""
    if not isinstance(starts, dt.datetime):
        first = language.day(_ms(starts), dt.UTC)
        last = language.day(_ms(ends), dt.UTC) if ends is not None and ends > starts else first
        return first if last == first else f"{first} – {last}"
    zone = visitor.zone if starts.tzinfo is not None else dt.UTC
    shown = language.moment(_ms(starts), zone)
    if isinstance(ends, dt.datetime):
        first, last = language.day(_ms(starts), zone), language.moment(_ms(ends), zone)
        shown += f" – {last.removeprefix(first + language.gettext(', '))}"
    return shown + (visitor.zone_note if starts.tzinfo is not None else "")


def _ms(at: dt.datetime | dt.date | None) -> int:
    if isinstance(at, dt.datetime):
        return int((at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)).timestamp() * 1000)
    noon = dt.datetime.combine(at or dt.date.min, dt.time(12), dt.UTC)
    return int(noon.timestamp() * 1000)
