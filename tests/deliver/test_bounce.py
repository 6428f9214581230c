"""Giving up, and telling the sender: once, and never about a bounce."""

from __future__ import annotations

import asyncio
import email
import email.policy
from dataclasses import replace
from email.message import EmailMessage

import pytest

from kit.courier import Courier, courier
from kit.dkim import verify
from kit.keys import make_signer, published_keys
from kit.network import Deed, SinkSession, smtp_sink
from kit.store import make_account
from kit.zone import Zone
from zajil.core.address import Address, parse_address
from zajil.core.ids import MailId
from zajil.smtp.command import BodyEnd, Command, Mail, Rcpt
from zajil.smtp.reply import Reply
from zajil.store.engine.open import Store
from zajil.store.people.account_names import NewNames, rename_account
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.store.queue.queue import next_due_ms
from zajil.store.queue.queue_admin import QueueOrder, expire
from zajil.tracking.events import (
    AttemptMade,
    DsnSent,
    DsnSuppressed,
    MailboxFiled,
    MailSigned,
    RecipientFailed,
    RecipientQueued,
)
from zajil.tracking.journey import Journey

LOCAL = "127.0.0.1"
ZONE: Zone = {
    "south.test": {"A": [LOCAL]},
    "west.test": {"A": [LOCAL]},
    "null.test": {"MX": ["0 ."]},
    "void.test": {"MX": ["0 ."]},
    "ill.test": None,
}
DAY_MS = 86_400_000
ARABIC = "From: سلمى <s@north.test>\r\nSubject: تحية\r\n\r\nسلام\r\n".encode()


def no_rcpt(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
    if isinstance(event, Rcpt) and event.forward_path.domain == "south.test":
        return Reply(550, ("5.1.1 no such user",))
    return None


async def dsn_of(setup: Courier, mail_id: MailId) -> tuple[Journey, EmailMessage]:
    """Give the only DSN about a mail, read from the INBOX it lies in."""
    (journey,) = await setup.children(mail_id)
    content = await setup.read_mail(journey.mail_id)
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return journey, parsed


def test_the_notice_of_a_renamed_sender_finds_it(store: Store) -> None:
    amal = make_account(store, "amal@north.test")

    async def run() -> None:
        async with (
            smtp_sink(answer=no_rcpt) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            mail_id = await setup.put(
                "a@south.test", edit=lambda item: replace(item, account_id=amal.account_id)
            )
            others = await setup.put("ok@west.test")  # of nobody here who logged in
            new = NewNames(amal.account_id, "amal", Address("haddad", "north.test"))
            await store.write(rename_account, new)
            await setup.deliverer.run_due()
            _, report = await dsn_of(setup, mail_id)
            assert report["To"] == "haddad@north.test"
            paths = [str(one.reverse_path) for one in sink.events if isinstance(one, Mail)]
            assert sorted(paths) == ["amal@north.test", "haddad@north.test"]
            assert (await setup.states(others))[0][0] == "delivered"

    asyncio.run(run())


def test_a_local_sender_finds_it_in_the_inbox(store: Store) -> None:
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with (
            smtp_sink(answer=no_rcpt) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            mail_id = await setup.put("a@south.test", "b@south.test", "ok@west.test")
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == [
                "bounced",
                "bounced",
                "delivered",
            ]
            journey, report = await dsn_of(setup, mail_id)
            assert [copy.state for copy in journey.recipients] == ["delivered"]
            assert any(isinstance(one.event, MailboxFiled) for one in journey.events)
            (sent,) = await setup.events(mail_id, DsnSent)
            assert (sent.dsn_mail_id, sent.recipients) == (
                journey.mail_id,
                ("a@south.test", "b@south.test"),
            )
            assert report["Return-Path"] == "<>"
            assert report["To"] == "amal@north.test"
            assert report["From"].addresses[0].addr_spec == "postmaster@north.test"
            assert report.get_content_type() == "multipart/report"
            person, status, header = report.iter_parts()
            assert "a@south.test" in person.get_content()
            text = status.as_string()
            assert "Final-Recipient: rfc822; a@south.test" in text
            assert "Diagnostic-Code: smtp; 550 5.1.1 no such user" in text
            assert "Status: 5.1.1" in text
            assert "ok@west.test" not in text
            assert "Subject: hello" in header.as_string()

    asyncio.run(run())


def test_a_sender_elsewhere_gets_it_by_mail(store: Store) -> None:
    async def run() -> None:
        async with (
            smtp_sink(answer=no_rcpt) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            mail_id = await setup.put("a@south.test", sender="writer@west.test")
            await setup.deliverer.run_due()
            (journey,) = await setup.children(mail_id)
            assert [copy.address for copy in journey.recipients] == ["writer@west.test"]
            assert any(isinstance(one.event, RecipientQueued) for one in journey.events)
            (mail,) = sink.mails
            assert (mail.mail.reverse_path, mail.recipients) == (None, ["writer@west.test"])
            assert b"multipart/report" in mail.message
            assert b"From: Mail Delivery System <postmaster@mx.north.test>" in mail.message

    asyncio.run(run())


def test_an_arabic_sender_is_told_in_arabic(store: Store) -> None:
    make_account(store, "سلمى@north.test", login="salma")

    async def run() -> None:
        async with courier(store, ZONE) as setup:
            mail_id = await setup.put("a@null.test", content=ARABIC, sender="سلمى@north.test")
            await setup.deliverer.run_due()
            _, report = await dsn_of(setup, mail_id)
            assert "تحية" in report["Subject"]
            text = next(report.iter_parts()).get_content()
            assert "تعذّر" in text
            assert "could not be delivered" in text

    asyncio.run(run())


@pytest.mark.parametrize(
    ("sender", "reason"),
    [
        (None, "The sender is empty: no bounce is sent for a bounce."),
        ("ghost@north.test", "The sender does not exist on this server."),
    ],
)
def test_nobody_to_tell(store: Store, sender: str | None, reason: str) -> None:
    """RFC 5321 section 6.1: a bounce is not bounced (attacks.md O)."""
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with courier(store, ZONE) as setup:
            mail_id = await setup.put("a@null.test", sender=sender)
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["bounced"]
            (event,) = await setup.events(mail_id, DsnSuppressed)
            assert event.reason == reason
            assert await setup.children(mail_id) == []

    asyncio.run(run())


def test_a_bounce_that_bounces_ends(store: Store) -> None:
    async def run() -> None:
        async with courier(store, ZONE) as setup:
            mail_id = await setup.put("a@null.test", sender="w@void.test")
            await setup.deliverer.run_due()
            (report,) = await setup.children(mail_id)
            assert [copy.state for copy in report.recipients] == ["bounced"]
            assert await setup.children(report.mail_id) == []
            assert await setup.store.read(next_due_ms) is None

    asyncio.run(run())


def test_the_schedule_and_the_end_of_it(store: Store) -> None:
    """RFC 5321 section 4.5.4.1: growing intervals, then it is given up and the sender is told."""
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with courier(store, ZONE) as setup:
            mail_id = await setup.put("a@ill.test")
            waits, tries = [], 0
            began_ms = now_ms = setup.clock.now_ms()
            while tries < 100:
                await setup.deliverer.run_due()
                due_ms = await setup.store.read(next_due_ms)
                if due_ms is None:
                    break
                waits.append(due_ms - now_ms)
                setup.clock.advance(due_ms - now_ms)
                now_ms, tries = due_ms, tries + 1
            assert 240_000 <= waits[0] <= 300_000
            assert 480_000 <= waits[1] <= 600_000
            assert max(waits) <= 4 * 3_600_000
            assert now_ms - began_ms == 5 * DAY_MS
            ((state, reason),) = await setup.states(mail_id)
            assert (state, reason) == ("expired", "DNS lookup of ill.test failed")
            (failed,) = await setup.events(mail_id, RecipientFailed)
            assert (failed.expired, failed.status) == (True, "5.4.7")
            _, report = await dsn_of(setup, mail_id)
            assert "too long" in next(report.iter_parts()).get_content()
            await setup.deliverer.run_due()
            assert len(await setup.children(mail_id)) == 1

    asyncio.run(run())


def test_what_the_operator_gives_up_is_bounced_without_a_try(store: Store) -> None:
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put("a@south.test")
            order = QueueOrder((mail_id,), "amal", "wrong address", setup.clock.now_ms())
            await setup.store.write(expire, order)
            await setup.deliverer.run_due()
            assert sink.sessions == []
            assert [state for state, _ in await setup.states(mail_id)] == ["expired"]
            assert await setup.events(mail_id, AttemptMade) == []
            _, report = await dsn_of(setup, mail_id)
            assert "wrong address" in next(report.iter_parts()).get_content()

    asyncio.run(run())


def test_the_bouncer_follows_an_alias_of_the_sender(store: Store) -> None:
    entry = make_account(store, "amal@north.test")
    alias, elsewhere = parse_address("team@north.test"), parse_address("x@west.test")
    store.write_now(create_alias, AliasRow(alias, (entry.address, elsewhere)))

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put("a@null.test", sender="team@north.test")
            await setup.deliverer.run_due()
            (report,) = await setup.children(mail_id)
            assert sorted(copy.address for copy in report.recipients) == [
                "team@north.test",
                "x@west.test",
            ]
            assert [mail.recipients for mail in sink.mails] == [["x@west.test"]]

    asyncio.run(run())


def test_every_dsn_has_ids_of_its_own(store: Store) -> None:
    async def run() -> None:
        async with courier(store, ZONE) as setup:
            mail_ids = [await setup.put("a@null.test", sender="w@west.test") for _ in range(3)]
            await setup.deliverer.run_due()
            reports = [journey for one in mail_ids for journey in await setup.children(one)]
            assert len({report.message_id for report in reports}) == 3

    asyncio.run(run())


def test_a_notice_is_signed_in_the_name_of_our_domain(store: Store) -> None:
    """It says who wrote it; bounces that anybody can forge are not believed."""
    make_account(store, "amal@north.test")
    signer = make_signer(store, "north.test")

    async def run() -> None:
        async with (
            smtp_sink(answer=no_rcpt) as sink,
            courier(store, ZONE, port=sink.port, signer=signer) as setup,
        ):
            for sender in ("amal@north.test", "x@west.test"):
                mail_id = await setup.put("a@south.test", sender=sender)
                await setup.deliverer.run_due()
                (journey,) = await setup.children(mail_id)
                signed = [one.event for one in journey.events if isinstance(one.event, MailSigned)]
                assert [one.dkim_domain for one in signed] == ["north.test"]
                if sender == "x@west.test":
                    continue
                found = verify(await setup.read_mail(journey.mail_id), published_keys(store))
                assert [one.result for one in found] == ["pass", "pass"]

    asyncio.run(run())
