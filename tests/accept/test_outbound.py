"""A stolen account: it is held, owner and postmaster are told once, an operator lets it go."""

from __future__ import annotations

import asyncio
import base64
import email
import os
from collections.abc import Awaitable, Callable, Sequence
from email.message import EmailMessage
from email.policy import default
from functools import partial

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from sqlalchemy.engine import Connection

from kit.clock import FakeClock
from kit.dkim import verify
from kit.keys import make_signer, published_keys
from kit.made_mail import with_file
from kit.operations import BOSS, runner
from kit.reading import inbox_of
from kit.store import NOW_MS, make_account, running
from kit.talk import Talk, acceptance_context, talk_to_submission
from zajil.accept.held_notice import (
    HeldAccount,
    notify_of_held_accounts,
    write_owner_notice,
    write_postmaster_notice,
)
from zajil.accept.outbound import looks_like_abuse
from zajil.app.chores import repeated
from zajil.check.step import Checked
from zajil.check.verdict.verdict import Action, Thresholds, Verdict
from zajil.config.options_users import SubmitOptions
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId, MailId
from zajil.keys.sign import Signer
from zajil.login.service import LoginService
from zajil.net.system import SystemClock
from zajil.operations.account_changes import NotHeld, release
from zajil.operations.accounts import show_account
from zajil.operations.context import OperationContext
from zajil.store.engine.batch import mailbox_topic
from zajil.store.engine.open import Store
from zajil.store.feedback.outbound_hold import HELD_REASON, ReleaseAccount, release_account
from zajil.store.mail.tracking import load_journey
from zajil.store.people.accounts import find_by_login
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.store.people.forwarding import Forwarding, set_forwarding
from zajil.store.schema import stranger_count
from zajil.tracking.sentences import tell_event

PASSWORD = "correct horse"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
LIMITS = SubmitOptions(strangers_per_hour=3, strangers_per_day=5)
LETTER = "From: amal@south.test\r\nSubject: x\r\n\r\nbuy\r\n"


def tell(
    store: Store,
    story: Callable[[Talk], Awaitable[None]],
    options: SubmitOptions = LIMITS,
    signer: Signer | None = None,
) -> None:
    """Log Amal in, who has an admin beside her, and let the story happen."""
    make_account(store, "amal@south.test", password_hash=HASH)
    make_account(store, "boss@south.test", admin=True)
    make_account(store, "noor@south.test")

    async def run() -> None:
        async with running(store):
            login = LoginService(store, SystemClock(), os.urandom, free_failures=10)
            # The counts are those of an hour of the clock, which must not end meanwhile.
            clock = FakeClock(SystemClock().now_ms())
            client = await talk_to_submission(
                store, login, submit=options, clock=clock, signer=signer
            )
            await client.log_in("amal", PASSWORD)
            await story(client)

    asyncio.run(run())


async def send(client: Talk, *recipients: str) -> MailId:
    reply = await client.send("amal@south.test", list(recipients), LETTER)
    assert reply.startswith("250 2.0.0 queued as "), reply
    return MailId(reply.rpartition(" ")[2])


def people(count: int, start: int = 0) -> list[str]:
    return [f"p{number}@elsewhere.test" for number in range(start, start + count)]


async def states(client: Talk, mail_id: MailId) -> dict[str, str]:
    store = client.session.context.store
    journey = await store.read(lambda conn: load_journey(conn, mail_id))
    assert journey is not None
    return {one.address: one.state for one in journey.recipients}


async def inbox(client: Talk, address: str) -> list[EmailMessage]:
    found = await inbox_of(client.session.context.store, address)
    return [email.message_from_bytes(one, policy=default) for one in found]


def test_a_held_owner_is_told_here_wherever_the_mail_is_forwarded(store: Store) -> None:
    async def story(client: Talk) -> None:
        away = (parse_address("amal@far.test"),)
        names = ("amal", "boss")
        rows = await store.read(lambda conn: [find_by_login(conn, name) for name in names])
        for row in rows:
            assert row is not None
            await store.write(set_forwarding, Forwarding(row.account_id, away, keeps_copy=False))
        await send(client, *people(3))
        await send(client, *people(2, 3))
        assert len(await inbox(client, "amal@south.test")) == 1
        assert len(await inbox(client, "boss@south.test")) == 1

    tell(store, story)


def test_a_stolen_account_is_held_and_people_are_told_once(store: Store) -> None:
    async def story(client: Talk) -> None:
        before = await send(client, *people(3))
        assert set((await states(client, before)).values()) == {"waiting"}
        first = await send(client, *people(2, 3), "noor@south.test")
        found = await states(client, first)
        assert found.pop("noor@south.test") == "delivered"  # our own people get theirs
        assert set(found.values()) == {"held"}
        second = await send(client, *people(1))
        assert set((await states(client, second)).values()) == {"held"}

        (owners,) = await inbox(client, "amal@south.test")
        assert "Your mail to other servers waits" in owners["subject"]
        assert "رسائلك" in owners["subject"]
        assert owners["from"] == "Postmaster <postmaster@south.test>"
        assert owners["auto-submitted"] == "auto-generated"
        (admins,) = await inbox(client, "boss@south.test")
        body = admins.get_content()
        assert "zajil account release amal" in body
        assert "amal@south.test" in body
        await notify_of_held_accounts(client.session.context.own_mailer)
        assert len(await inbox(client, "amal@south.test")) == 1

        journey = await store.read(lambda conn: load_journey(conn, first))
        assert journey is not None
        told = [tell_event(one.event) for one in journey.events if one.event.name == "account.held"]
        assert "new recipients" in told[0].sentence.plain()
        assert {one.reason for one in journey.recipients if one.state == "held"} == {HELD_REASON}

    tell(store, story)
    now_ms = SystemClock().now_ms()
    found = store.read_now(lambda conn: show_account(conn, "amal", now_ms, store.caps))
    assert (found.held_mails, found.strangers_in_day) == (2, 5)
    assert found.held_ms is not None


def test_notices_of_a_held_account_are_signed(store: Store) -> None:
    make_account(store, "first@south.test")
    signer = make_signer(store, "south.test")

    async def story(client: Talk) -> None:
        await send(client, *people(4))
        zone = published_keys(store)
        for owner in ("amal@south.test", "boss@south.test"):
            (notice,) = await inbox_of(store, owner)
            assert [one.result for one in verify(notice, zone)] == ["pass", "pass"]

    tell(store, story, signer=signer)


def test_an_operator_lets_it_go_and_it_sends(store: Store) -> None:
    async def story(client: Talk) -> None:
        held = await send(client, *people(4))
        operations = OperationContext(store, SystemClock(), os.urandom)
        done = await release(operations, BOSS, "amal", exempt_ms=3_600_000, discards=False)
        assert done.mail_ids == (held,)
        assert set((await states(client, held)).values()) == {"waiting"}
        again = await send(client, *people(9, 10))
        assert set((await states(client, again)).values()) == {"waiting"}

    tell(store, story)
    with pytest.raises(NotHeld):
        runner(store).run(release, "amal", exempt_ms=0, discards=False)


def test_whom_one_wrote_to_is_no_stranger(store: Store) -> None:
    async def story(client: Talk) -> None:
        for _ in range(5):
            mail_id = await send(client, *people(3))
            assert set((await states(client, mail_id)).values()) == {"waiting"}

    tell(store, story)


def test_mail_to_our_own_people_makes_nobody_a_suspect(store: Store) -> None:
    async def story(client: Talk) -> None:
        for number in range(6):
            await send(client, f"noor+{number}@south.test")
        assert await inbox(client, "amal@south.test") == []

    tell(store, story)


def test_an_alias_that_leads_elsewhere_is_held_too(store: Store) -> None:
    """What a thief sends to a list of ours must not leave by it."""
    alias = AliasRow(parse_address("friends@south.test"), (parse_address("far@elsewhere.test"),))

    async def story(client: Talk) -> None:
        await store.write(create_alias, alias)
        await send(client, *people(4))
        held = await send(client, "friends@south.test")
        assert list((await states(client, held)).values()) == ["held"]

    tell(store, story)


def test_without_limits_nothing_is_counted(store: Store) -> None:
    none = SubmitOptions(
        strangers_per_hour=0,
        strangers_per_day=0,
        recipients_per_minute=0,
        recipients_per_day=0,
    )

    async def story(client: Talk) -> None:
        mail_id = await send(client, *people(9))
        assert set((await states(client, mail_id)).values()) == {"waiting"}

    tell(store, story, none)
    assert (
        store.read_now(lambda conn: show_account(conn, "amal", NOW_MS, store.caps)).strangers_in_day
        == 0
    )


def test_a_notice_that_was_not_sent_is_sent_later(store: Store) -> None:
    """A worker may end between the commit that held an account and the notice."""

    async def story(client: Talk) -> None:
        await send(client, *people(1))
        amal = await store.read(lambda conn: find_by_login(conn, "amal"))
        assert amal is not None
        await store.write(hold_again, amal.account_id)
        assert await inbox(client, "amal@south.test") == []
        await notify_of_held_accounts(acceptance_context(store).own_mailer)
        assert len(await inbox(client, "amal@south.test")) == 1
        assert len(await inbox(client, "boss@south.test")) == 1

    tell(store, story)


def test_upkeep_tells_of_held_accounts_and_goes_on(store: Store) -> None:
    async def story(client: Talk) -> None:
        services = client.session.context
        arrived = asyncio.Event()
        entry = (await store.directory.find(parse_address("amal@south.test"))).entry
        assert isinstance(entry, AccountEntry)
        unsubscribe = store.changes.subscribe(mailbox_topic(entry.inbox), arrived.set)
        await send(client, *people(4))
        await arrived.wait()
        arrived.clear()
        await store.write(release_account, ReleaseAccount(entry.account_id, "boss", NOW_MS, 0))
        await store.write(hold_again, entry.account_id)
        notify = partial(notify_of_held_accounts, services.own_mailer)
        upkeep = asyncio.ensure_future(repeated("held accounts", 3600, notify).run())
        await arrived.wait()
        unsubscribe()
        assert not upkeep.done()
        upkeep.cancel()
        await asyncio.wait([upkeep])
        assert len(await inbox(client, "amal@south.test")) == 2

    tell(store, story)


def hold_again(tx: Connection, account_ids: Sequence[AccountId]) -> list[None]:
    tx.execute(sa.update(stranger_count).values(held_ms=NOW_MS))
    return [None] * len(account_ids)


@pytest.mark.parametrize(("score", "refused"), [(14.9, False), (15.0, True)])
def test_what_looks_like_the_work_of_a_worm_is_refused(score: float, refused: bool) -> None:
    checked = Checked(verdict=Verdict(Action.JUNK, score, ()), results=b"", forged=[], events=())
    assert looks_like_abuse(checked, Thresholds()) is refused


def test_by_default_an_account_that_writes_to_hundreds_of_strangers_is_held(store: Store) -> None:
    """A hundred in an hour, five hundred on a day; whoever is known to it counts nothing."""
    defaults = SubmitOptions()
    assert (defaults.strangers_per_hour, defaults.strangers_per_day) == (100, 500)

    async def story(client: Talk) -> None:
        usual = await send(client, *people(60))
        assert set((await states(client, usual)).values()) == {"waiting"}
        again = await send(client, *people(60))
        assert set((await states(client, again)).values()) == {"waiting"}
        held = await send(client, *people(60, 60))
        assert set((await states(client, held)).values()) == {"held"}
        assert len(await inbox(client, "amal@south.test")) == 1
        assert len(await inbox(client, "boss@south.test")) == 1

    tell(store, story, defaults)


def test_a_worm_in_an_account_is_refused_and_its_owner_is_not(store: Store) -> None:
    """On the way: what a thief sends is looked at as what strangers send is."""
    worm = with_file("bill\u202efdp.pdf.exe", base64.encodebytes(b"MZ" + b"\0" * 200))
    worm = worm.replace(b": binary", b": base64").replace(b"\n", b"\r\n").replace(b"\r\r", b"\r")
    worm = worm.replace(b"Salma <salma@far.example>", b"Amal <amal@south.test>")
    lure = worm.replace(b"see the file", b"see http://192.0.2.9/ and http://a.test@b.test/")

    async def story(client: Talk) -> None:
        reply = await client.send("amal@south.test", ["p@elsewhere.test"], lure)
        assert reply.startswith("554 5.7.1")
        assert await client.send("amal@south.test", ["p@elsewhere.test"], LETTER)
        assert await inbox(client, "amal@south.test") == []

    tell(store, story)


@pytest.mark.parametrize("address", ["amal@south.test", "سلمى@زاجل.test"])
def test_notices_speak_both_languages(address: str) -> None:
    held = HeldAccount("amal", parse_address(address), NOW_MS, 512)
    postmaster = parse_address("postmaster@south.test")
    for write in (write_owner_notice, write_postmaster_notice):
        raw = write(held, postmaster, unique="abc", now_ms=NOW_MS)
        message = email.message_from_bytes(raw, policy=default)
        text = message.get_content()
        assert "{" not in text
        assert held.address.unicode in text
        assert "حساب" in text
        assert "account" in text
        assert max(map(len, raw.split(b"\r\n"))) <= 998
