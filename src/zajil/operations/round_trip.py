"""A message to an echo address and back: the proof that mail leaves this server and comes in."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from zajil.accept.own_mail import OwnMail, OwnMailer
from zajil.accept.plan import Addressed
from zajil.core.actor import Actor
from zajil.core.address import Address
from zajil.core.errors import NotFound
from zajil.core.ids import MailId
from zajil.core.service import RecipientState
from zajil.keys.keyring import Keyring
from zajil.keys.sign import Signer
from zajil.message.build import (
    build_message,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date
from zajil.message.field_text import header_text
from zajil.message.fields import read_fields, split_message
from zajil.message.view import MessageView
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, require_admin
from zajil.operations.journey import NoSuchMail, get_journey, read_message
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.tracking import MailQuery, find_mails
from zajil.tracking.journey import Journey

_POLL_SECONDS = 0.5
_LIFETIME_MS = 3_600_000
_TEXT = """\
This message tests whether mail leaves this server and comes back. An echo address answers it.
"""
_ENDED = (RecipientState.BOUNCED, RecipientState.EXPIRED, RecipientState.DISCARDED)


class NoSuchRecipient(NotFound):
    """Nobody has the address that the message was to go to."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """How it went."""

    sent: Journey
    answer: Journey | None
    """``None``: no answer came in time, or the message was not delivered."""
    results: str
    """Authentication-Results that the other side quoted; ``""``: none."""
    has_ended: bool
    """The message was not delivered, so no answer will come."""


def make_test_mailer(context: OperationContext, *, signs: bool) -> OwnMailer:
    """Return what sends the messages of round trips.

    Args:
        context: the store, started.
        signs: whether mail is signed (``keys.sign``).
    """
    return OwnMailer(
        store=context.store,
        clock=context.clock,
        random=context.random,
        lifetime_ms=_LIFETIME_MS,
        signer=Signer(Keyring(context.store), context.clock) if signs else None,
    )


async def send_test(
    context: OperationContext, actor: Actor, mailer: OwnMailer, who: str, to: Address
) -> MailId:
    """Send the message of a round trip; returns its id.

    Args:
        context: the store, started.
        actor: must be an administrator.
        mailer: of ``make_test_mailer``.
        who: account that it is from: its login name or address.
        to: the echo address.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchAccount: there is no such account.
        NoSuchRecipient: it is a local address that does not exist.
        StoreUnavailable: nothing was sent.
    """
    require_admin(actor)
    account = await context.read(lambda conn: find_account(conn, who))
    now_ms = context.clock.now_ms()
    mail_id = mailer.new_mail_id(now_ms)
    route = await mailer.route(to, None)
    if route is None:
        raise NoSuchRecipient(f"nobody here has the address {to.unicode}")
    await mailer.send(
        OwnMail(
            mail_id=mail_id,
            at_ms=now_ms,
            message=_write(account.address, to, mail_id, now_ms),
            header_from=account.address,
            message_id=_message_id(mail_id, account.address),
            recipients=(Addressed(to, route),),
            reverse_path=account.address,
        )
    )
    return mail_id


async def wait_for_answer(
    context: OperationContext, sent: MailId, to: Address, timeout_ms: int
) -> RoundTrip:
    """Wait until the answer is in the mailbox, the message has failed, or the time is over.

    Args:
        context: the store, started.
        sent: of ``send_test``.
        to: the echo address.
        timeout_ms: how long to wait.
    """
    until_ms = context.clock.now_ms() + timeout_ms
    while True:
        trip = await look_for_answer(context, sent, to)
        if trip.answer is not None or trip.has_ended or context.clock.now_ms() >= until_ms:
            return trip
        await asyncio.sleep(_POLL_SECONDS)


async def look_for_answer(context: OperationContext, sent: MailId, to: Address) -> RoundTrip:
    """Return how a round trip stands now.

    Raises:
        NoSuchMail: the id is unknown.
    """
    journey = await context.read(lambda conn: get_journey(conn, sent))

    def find(conn: Snapshot) -> tuple[Journey, str] | None:
        query = MailQuery(sender=to.unicode, since_ms=journey.received_at_ms)
        for mail in find_mails(conn, query):
            try:
                message = read_message(context.store, conn, mail.mail_id)
            except NoSuchMail:
                continue
            if journey.message_id in _references(message):
                return get_journey(conn, mail.mail_id), quoted_results(message)
        return None

    found = await context.read(find)
    has_ended = any(one.state in _ENDED for one in journey.recipients)
    answer, results = found or (None, "")
    return RoundTrip(journey, answer, results, has_ended)


def quoted_results(message: bytes) -> str:
    """Return the first Authentication-Results field that the text of an answer quotes."""
    text = MessageView.from_bytes(message).visible_text
    found = re.search(r"(?im)^authentication-results:((?:[^\n]*\n?)(?:[ \t][^\n]*\n?)*)", text)
    return " ".join(found[1].split()) if found else ""


def _references(message: bytes) -> str:
    end, _ = split_message(message)
    fields = read_fields(message[:end])
    return header_text(fields, b"in-reply-to") + header_text(fields, b"references")


def _message_id(mail_id: MailId, author: Address) -> str:
    return f"<{mail_id}@{author.domain}>"


def _write(author: Address, to: Address, mail_id: MailId, now_ms: int) -> bytes:
    utf8 = not (author.is_ascii and to.is_ascii)
    header = [
        write_raw_field("Date", format_date(now_ms)),
        write_address_field("From", [("", author)], utf8=utf8),
        write_address_field("To", [("", to)], utf8=utf8),
        write_text_field("Subject", "Test of this mail server", utf8=utf8),
        write_raw_field("Message-ID", _message_id(mail_id, author)),
    ]
    return build_message(header, _TEXT, unique=mail_id)
