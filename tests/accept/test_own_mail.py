"""Mail of our own is routed, signed, filed and queued like any other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from kit.clock import FakeClock
from kit.reading import inbox_of
from kit.store import NOW_MS, make_account, running
from zajil.accept.own_mail import OwnMail, OwnMailer
from zajil.accept.plan import Addressed
from zajil.core.address import Address, parse_address
from zajil.core.ids import MailboxId
from zajil.core.mail_options import Notify, RecipientOptions
from zajil.route.recipient import Local, Remote
from zajil.store.engine.open import Store
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.tracking import MailQuery, find_mails, load_journey

POSTMASTER = parse_address("postmaster@south.test")
SILENT = RecipientOptions(notify=Notify.NEVER)


def with_mailer(
    store: Store,
    story: Callable[[OwnMailer], Awaitable[None]],
) -> None:
    async def run() -> None:
        async with running(store):
            await store.directory.load()
            mailer = OwnMailer(
                store=store,
                clock=FakeClock(NOW_MS),
                random=os.urandom,
                lifetime_ms=3_600_000,
            )
            await story(mailer)

    asyncio.run(run())


async def write_to(mailer: OwnMailer, address: Address, text: str = "Text") -> OwnMail:
    route = await mailer.route(address, mailer.store.directory.postmaster)
    assert route is not None
    mail_id = mailer.new_mail_id(NOW_MS)
    header = f"From: {POSTMASTER}\r\nTo: {address}\r\nSubject: {text}\r\n"
    return OwnMail(
        mail_id=mail_id,
        at_ms=NOW_MS,
        message=f"{header}\r\n{text}\r\n".encode(),
        header_from=POSTMASTER,
        message_id=f"<{mail_id}@south.test>",
        recipients=(Addressed(address, route, SILENT),),
    )


def test_it_goes_into_a_mailbox_or_the_queue(store: Store) -> None:
    noor = make_account(store, "noor@south.test")

    async def story(mailer: OwnMailer) -> None:
        await mailer.send(await write_to(mailer, noor.address))
        far = await write_to(mailer, parse_address("far@elsewhere.test"))
        await mailer.send(far)
        (message,) = await inbox_of(store, "noor@south.test")
        assert message.startswith(b"Return-Path: <>\r\nDelivered-To: noor@south.test\r\nFrom: ")
        journey = await store.read(lambda conn: load_journey(conn, far.mail_id))
        assert journey is not None
        states = [(one.address, one.state) for one in journey.recipients]
        assert states == [("far@elsewhere.test", "waiting")]

    with_mailer(store, story)


def test_an_address_nobody_has_has_no_route(store: Store) -> None:
    make_account(store, "boss@south.test", admin=True)

    async def story(mailer: OwnMailer) -> None:
        assert await mailer.route(parse_address("nobody@south.test"), None) is None
        assert await mailer.route(POSTMASTER, None) is None
        assert isinstance(await mailer.route(POSTMASTER, store.directory.postmaster), Local)
        assert isinstance(await mailer.route(parse_address("x@elsewhere.test"), None), Remote)

    with_mailer(store, story)


@pytest.mark.parametrize(("text", "needs"), [("Text", False), ("رسالة", True)])
def test_a_header_section_in_utf_8_needs_smtputf8(store: Store, text: str, needs: bool) -> None:
    async def story(mailer: OwnMailer) -> None:
        far = parse_address("far@elsewhere.test")
        intake = await mailer.prepare(await write_to(mailer, far, text))
        assert intake.needs_smtputf8 is needs

    with_mailer(store, story)


def test_a_mailbox_that_is_gone_is_said(store: Store) -> None:
    noor = make_account(store, "noor@south.test")

    async def story(mailer: OwnMailer) -> None:
        mail = await write_to(mailer, noor.address)
        gone = Local((replace(noor, inbox=MailboxId(4711)),))
        lost = replace(mail, recipients=(Addressed(noor.address, gone),))
        with pytest.raises(NoSuchMailbox):
            await mailer.send(lost)
        assert await store.read(lambda conn: find_mails(conn, MailQuery())) == []

    with_mailer(store, story)
