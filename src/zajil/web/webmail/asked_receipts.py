"""Read receipts on the page of a message: the question, the answer, and those that came."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.accept.outcome import NotAccepted
from zajil.core.address import Address
from zajil.core.ids import ID_RANDOM_SIZE, MailboxId, new_mail_id
from zajil.login.account import Account
from zajil.message.fields import read_fields, split_message
from zajil.message.header_view import Person
from zajil.operations.messages import set_flag
from zajil.read.receipt import (
    NewReceipt,
    Receipt,
    ReceiptRequest,
    read_receipt,
    read_request,
    write_receipt,
)
from zajil.read.shown import ShownMessage, show_message
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.messages import Message, read_message
from zajil.store.mail.summaries import newest_summaries
from zajil.submit.hand_in import hand_in
from zajil.web.access import actor_of, peer_of
from zajil.web.notices import Done, Notices
from zajil.web.page import Visitor
from zajil.web.services import WebServices
from zajil.web.webmail.mailboxes import Box, load_boxes
from zajil.web.webmail.opened_message import load_message, place_of

ANSWERED = "$MDNSent"
"""The keyword of a message whose request was answered, with yes or no."""
_NEVER_IN = ("junk", "sent", "drafts")
_MOST_NEWEST = 500
_MOST_RECEIPTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CameReceipt:
    """A receipt that somebody sent for a message."""

    receipt: Receipt
    sender: Person
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownReceipts:
    """What the page of a message says about receipts."""

    asked: ReceiptRequest | None
    """Its reader is asked for one."""
    said: Receipt | None
    """The message is one."""
    came: Sequence[CameReceipt]
    """Those that came for the message."""


def may_ask(box: Box | None, found: Message) -> bool:
    """Whether the page asks its reader for a receipt that the message wants.

    Security: a receipt tells a sender of junk that the address is read; what a program put into
    the mailbox was read elsewhere.
    """
    is_own = box is not None and not box.mailbox.is_shared and box.role not in _NEVER_IN
    return is_own and found.mail_id is not None and ANSWERED not in found.flags


def find_receipts(
    conn: Snapshot, store: Store, inbox: MailboxId, message_id: str
) -> list[CameReceipt]:
    """Return the receipts in INBOX that are about a message, the oldest first.

    Args:
        conn: a snapshot.
        store: where the messages are.
        inbox: only its newest messages are looked at.
        message_id: with angle brackets.
    """
    found: list[CameReceipt] = []
    newest = newest_summaries(conn, inbox, _MOST_NEWEST)
    about = [
        (one, text) for one, text in newest if text is not None and message_id in text.references
    ]
    for one, text in about[:_MOST_RECEIPTS]:
        with suppress(NoSuchBlob):
            receipt = read_receipt(read_message(conn, store.blobs, one))
            if receipt is not None and receipt.message_id == message_id and text.senders:
                found.append(
                    CameReceipt(receipt=receipt, sender=text.senders[0], at_ms=one.received_at_ms)
                )
    return found[::-1]


class Receipts:
    """``POST /mail/MAILBOX/UID/receipt``."""

    def __init__(self, services: WebServices, notices: Notices) -> None:
        self._services = services
        self._notices = notices

    async def answer(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Send the receipt that a message asks for, or note that none is sent."""
        mailbox_id, uid = place_of(request)
        store = self._services.store
        found, message = await load_message(store, request, account, bytes)
        wanted = read_request(read_fields(message[: split_message(message)[0]]))
        boxes = await store.read(
            lambda conn: load_boxes(conn, account.account_id, store.tables), account.account_id
        )
        if wanted is None or not may_ask(boxes.get(mailbox_id), found):
            raise HTTPException(404)
        done = "noreceipt"
        if (await request.form()).get("send") == "1":
            view = show_message(message)
            who = _reader(view, account)
            outcome = await hand_in(
                self._services.acceptance,
                account,
                None,
                wanted.addresses,
                self._write(view, who, account, wanted.addresses, visitor),
                peer=peer_of(request),
            )
            done = "receiptfailed" if isinstance(outcome, NotAccepted) else "receipt"
        if done != "receiptfailed":
            actor, context = actor_of(request, account), self._services.operations
            await set_flag(context, actor, mailbox_id, (uid,), ANSWERED, is_set=True)
        response = RedirectResponse(f"/mail/{mailbox_id}/{uid}", 303)
        self._notices.leave(response, Done(done, 1))
        return response

    def _write(
        self,
        view: ShownMessage,
        who: Address,
        account: Account,
        recipients: tuple[Address, ...],
        visitor: Visitor,
    ) -> bytes:
        gettext, now_ms = visitor.language.gettext, self._services.clock.now_ms()
        text = gettext(
            "%(who)s has displayed your message “%(subject)s”.\n\n"
            "This does not say that it was read or understood."
        ) % {"who": who.unicode, "subject": view.subject}
        new = NewReceipt(
            reader=who,
            reader_name=account.display_name,
            recipients=recipients,
            message_id=view.message_id,
            references=view.references,
            subject=gettext("Read: %(subject)s") % {"subject": view.subject},
            text=text,
            now_ms=now_ms,
            unique=new_mail_id(now_ms, self._services.random(ID_RANDOM_SIZE)),
            hostname=self._services.hostname,
        )
        return write_receipt(new)


def _reader(view: ShownMessage, account: Account) -> Address:
    """Return the address of the account that the message was for."""
    named = {one.address.casefold() for one in (*view.to, *view.cc)}
    every = (account.address, *account.own_addresses)
    return next((one for one in every if one.unicode.casefold() in named), account.address)
