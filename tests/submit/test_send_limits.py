"""How much an account may send: the rule, the counts in the store, the session and the web."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest
from argon2 import PasswordHasher

from kit.clock import FakeClock
from kit.operations import runner
from kit.store import make_account, make_intake, running
from kit.talk import talk_to_submission
from zajil.accept.send_limit import SendLimit, send_limit
from zajil.config.options_users import SubmitOptions
from zajil.core.address import parse_address
from zajil.core.errors import AlreadyExists
from zajil.core.ids import AccountId
from zajil.login.service import LoginService
from zajil.net.system import SystemClock
from zajil.operations.accounts import show_account
from zajil.operations.delegations import delegate, revoke_delegation
from zajil.store.engine.open import Store
from zajil.store.feedback.send_counts import (
    CountedIntake,
    SendCounts,
    load_send_counts,
    write_counted_intakes,
)
from zajil.store.mail.tracking import load_journey
from zajil.store.people.accounts import NewActive, delete_account, set_active
from zajil.store.people.delegations import (
    DelegationRow,
    NoSuchAddress,
    NoSuchDelegation,
    create_delegation,
    delete_delegation,
)

PASSWORD = "correct horse"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
NOON_MS = 1_700_049_600_000 + 30_000  # 2023-11-15, 12:00:30 UTC
ONE = AccountId(1)


def test_no_limit_is_not_counted() -> None:
    none = SubmitOptions(recipients_per_minute=0, recipients_per_day=0)
    assert send_limit(none) is None
    assert send_limit(SubmitOptions()) == SendLimit(500, 3000)


def test_the_rule_says_when_to_go_on() -> None:
    counts = SendCounts(NOON_MS // 60_000, 8, NOON_MS // 86_400_000, 90)
    limit = SendLimit(10, 100)
    assert limit.blocked_until_ms(counts, 2, NOON_MS) is None
    assert limit.blocked_until_ms(counts, 3, NOON_MS) == NOON_MS + 30_000
    assert limit.blocked_until_ms(counts, 11, NOON_MS) == NOON_MS + 11 * 3_600_000 + 3_570_000
    assert limit.blocked_until_ms(counts, 10, NOON_MS + 60_000) is None  # the next minute


def count(store: Store, recipients: int, at_ms: int, limit: SendLimit) -> bool:
    intake = make_intake(store.blobs.stage([b"x\r\n"]), remote=["x@elsewhere.test"], at_ms=at_ms)
    item = CountedIntake(intake, ONE, recipients, limit.permits)
    kept = store.write_now(write_counted_intakes, item) is not None
    assert kept == (store.read_now(lambda conn: load_journey(conn, intake.mail_id)) is not None)
    return kept


def test_the_store_takes_what_is_within_and_counts_nothing_else(store: Store) -> None:
    limit = SendLimit(10, 15)
    assert count(store, 8, NOON_MS, limit)
    assert not count(store, 3, NOON_MS, limit)
    assert count(store, 2, NOON_MS, limit)
    assert count(store, 5, NOON_MS + 60_000, limit)
    assert not count(store, 1, NOON_MS + 120_000, limit)
    assert count(store, 10, NOON_MS + 86_400_000, limit)
    counts = store.read_now(lambda conn: load_send_counts(conn, ONE))
    assert (counts.minute_count, counts.day_count) == (10, 10)


def test_another_workers_earlier_mail_does_not_begin_the_minute_anew(store: Store) -> None:
    limit = SendLimit(10, 0)
    assert count(store, 8, NOON_MS + 60_000, limit)
    assert not count(store, 3, NOON_MS, limit)
    assert count(store, 10, NOON_MS - 3_600_000, limit)  # a clock was wrong: nobody is locked out


def test_a_session_is_told_at_rcpt_and_again_at_the_end(store: Store) -> None:
    noor = make_account(store, "noor@south.test")
    make_account(store, "amal@south.test", password_hash=HASH)
    options = SubmitOptions(recipients_per_minute=2, recipients_per_day=0)
    clock = FakeClock(NOON_MS)

    async def run() -> None:
        async with running(store):
            login = LoginService(store, SystemClock(), os.urandom, free_failures=10)
            first, second = [
                await talk_to_submission(store, login, submit=options) for _ in range(2)
            ]
            for client in (first, second):
                await client.log_in("amal", PASSWORD)
                client.session.context = replace(client.session.context, clock=clock)
                await client.say("MAIL FROM:<amal@south.test>")
                for name in ("a", "b"):
                    reply = await client.say(f"RCPT TO:<{name}@elsewhere.test>")
                    assert reply.startswith("250 ")
            refusal = "450 4.7.1 sending limit reached, try again after 2023-11-15 12:01 UTC"
            assert await first.say("RCPT TO:<c@elsewhere.test>") == refusal
            assert (await first.say("RCPT TO:<a@elsewhere.test>")).startswith("250 ")
            for client, answer in ((first, "250 2.0.0 queued"), (second, refusal)):
                await client.say("DATA")
                assert (await client.say("Subject: x\r\n\r\n.\r\n")).startswith(answer)
            await first.say("MAIL FROM:<amal@south.test>")
            assert await first.say("RCPT TO:<noor@south.test>") == refusal

    asyncio.run(run())
    assert noor.active
    found = store.read_now(lambda conn: show_account(conn, "amal", NOON_MS, store.caps))
    assert (found.sent_in_minute, found.sent_in_day) == (2, 2)


def test_a_delegated_address_may_be_sent_as_until_it_is_taken_back(store: Store) -> None:
    """RFC 6409 section 6.1; and it opens no mailbox and no journey."""
    boss = make_account(store, "boss@south.test")
    make_account(store, "amal@south.test", password_hash=HASH)

    async def reply_to(sender: str) -> str:
        login = LoginService(store, SystemClock(), os.urandom, free_failures=10)
        client = await talk_to_submission(store, login)
        await client.log_in("amal", PASSWORD)
        account = client.session.account
        assert account is not None
        assert [str(one) for one in account.own_addresses] == ["amal@south.test"]
        return await client.say(f"MAIL FROM:<{sender}>")

    do = runner(store).run
    do(delegate, "boss@south.test", "amal")
    with pytest.raises(AlreadyExists):
        do(delegate, "BOSS@south.test", "amal")
    with pytest.raises(NoSuchAddress):
        do(delegate, "nobody@south.test", "amal")
    assert (
        store.read_now(lambda conn: show_account(conn, "boss", NOON_MS, store.caps)).delegates[0][1]
        == "amal"
    )

    async def run() -> None:
        async with running(store):
            assert (await reply_to("boss@south.test")).startswith("250 ")
            assert (await reply_to("boss+diary@south.test")).startswith("250 ")
            await store.write(delete_account, boss.account_id)
            assert (await reply_to("boss@south.test")).startswith("553 ")

    asyncio.run(run())


def test_an_open_session_has_and_loses_a_right_with_its_next_mail(store: Store) -> None:
    """Who may send as whom is the directory's word of now, not of the log-in."""
    make_account(store, "boss@south.test")
    amal = make_account(store, "amal@south.test", password_hash=HASH)
    right = DelegationRow(parse_address("boss@south.test"), amal.account_id)

    async def run() -> None:
        async with running(store):
            login = LoginService(store, SystemClock(), os.urandom, free_failures=10)
            client = await talk_to_submission(store, login)

            async def mail_as(sender: str) -> str:
                reply = await client.say(f"MAIL FROM:<{sender}>")
                await client.say("RSET")
                return reply

            await client.log_in("amal", PASSWORD)
            assert (await mail_as("boss@south.test")).startswith("553 5.7.1")
            await store.write(create_delegation, right)
            assert (await mail_as("boss@south.test")).startswith("250 ")
            assert not client.session.log_in.is_stale  # type: ignore[attr-defined]
            await store.write(delete_delegation, right)
            assert (await mail_as("boss+diary@south.test")).startswith("553 5.7.1")
            assert (await mail_as("amal@south.test")).startswith("250 ")
            await store.write(set_active, NewActive(amal.account_id, False))
            assert not (await mail_as("amal@south.test")).startswith("250 ")

    asyncio.run(run())


def test_a_right_that_is_not_there_cannot_be_taken_back(store: Store) -> None:
    make_account(store, "boss@south.test")
    make_account(store, "amal@south.test")
    do = runner(store).run
    do(delegate, "boss@south.test", "amal")
    do(revoke_delegation, "boss@south.test", "amal")
    with pytest.raises(NoSuchDelegation):
        do(revoke_delegation, "boss@south.test", "amal")
    assert (
        store.read_now(lambda conn: show_account(conn, "amal", NOON_MS, store.caps)).delegated == ()
    )
