"""Port 25 over a real store: who is let in, what is kept, what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kit.reading import inbox_of
from kit.store import make_account, open_test_store, running
from kit.talk import talk_to_receiver
from zajil.config.options import LimitOptions
from zajil.core.address import parse_address
from zajil.core.ids import MailId, Uid
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.caps import Caps
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.mail.tracking import EventBatch, MailQuery, find_mails, load_journey
from zajil.store.people.accounts import NewActive, set_active
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.tracking.events import CheckDone, TrackingEvent

T = TypeVar("T")

MESSAGE = (
    "From: Amal <amal@north.test>\r\nTo: noor@south.test\r\nSubject: hi\r\n"
    "Date: Mon, 23 Nov 2026 19:09:21 +0000\r\nMessage-ID: <1@north.test>\r\n\r\nhello\r\n"
)


def with_store(store: Store, talk: Callable[[Store], Awaitable[T]]) -> T:
    """Run a dialogue on a started store."""

    async def run() -> T:
        async with running(store):
            return await talk(store)

    return asyncio.run(run())


def mail_id_of(reply: str) -> MailId:
    return MailId(reply.rpartition(" ")[2])


async def events_of(store: Store, mail_id: MailId) -> list[TrackingEvent]:
    journey = await store.read(lambda conn: load_journey(conn, mail_id))
    assert journey is not None
    return [recorded.event for recorded in journey.events]


def test_a_local_mail_lies_in_the_mailbox_when_250_is_said(store: Store) -> None:
    """Design D3: accepting and delivering are one commit; no queue in between."""
    make_account(store, "noor@south.test")

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        commits = store.writer.commits
        reply = await client.send("amal@north.test", ["noor@south.test"], MESSAGE)
        assert reply.startswith("250 2.0.0 queued as ")
        assert store.writer.commits == commits + 1
        (text,) = await inbox_of(store, "noor@south.test")
        head, _, body = text.partition(b"\r\n\r\n")
        assert body == b"hello\r\n"
        lines = head.split(b"\r\n")
        assert lines[:2] == [b"Return-Path: <amal@north.test>", b"Delivered-To: noor@south.test"]
        assert lines[2] == b"Received: from mx.north.test ([192.0.2.1])"
        assert lines[3] == b"\tby mx.south.test with UTF8SMTP"  # RFC 6531 section 4.3
        assert b"Authentication-Results: mx.south.test;" in lines
        assert b"\tspf=none smtp.mailfrom=amal@north.test;" in lines
        assert text.endswith(MESSAGE.encode())

    with_store(store, talk)


def test_a_recipient_is_put_off_while_the_directory_cannot_be_read(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_account(store, "noor@south.test")

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        await client.say("MAIL FROM:<amal@north.test>")
        read = store.directory._read

        async def fails(query: Callable[[Any], T]) -> T:
            raise StoreUnavailable("the database cannot be read")

        monkeypatch.setattr(store.directory, "_read", fails)
        assert (await client.say("RCPT TO:<noor@south.test>")).startswith("451 4.3.0 ")
        monkeypatch.setattr(store.directory, "_read", read)
        assert (await client.say("RCPT TO:<noor@south.test>")).startswith("250 ")

    with_store(store, talk)
    assert "internal error" not in caplog.text


CHECKS = ["iprev", "spf", "dkim", "dmarc", "format"]


def test_the_journey_tells_every_step(store: Store) -> None:
    make_account(store, "noor@south.test")

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        await client.say("MAIL FROM:<amal@north.test>")
        assert (await client.say("RCPT TO:<nobody@south.test>")).startswith("550 5.1.1")
        await client.say("RCPT TO:<noor@south.test>")
        await client.say("DATA")
        reply = await client.say(MESSAGE, ".\r\n")
        names = [event.name for event in await events_of(store, mail_id_of(reply))]
        assert names == [
            *("session.opened", "session.greeted", "mail.sender", "mail.recipient_refused"),
            *("mail.recipient", "mail.received", *["check.done"] * len(CHECKS), "check.verdict"),
            *("deliver.filed", "mail.accepted"),
        ]
        events = await events_of(store, mail_id_of(reply))
        assert [one.check for one in events if isinstance(one, CheckDone)] == CHECKS

    with_store(store, talk)


@pytest.mark.parametrize(
    ("recipient", "reply"),
    [
        ("nobody@south.test", "550 5.1.1 "),
        ("someone@elsewhere.test", "550 5.7.1 "),
        # Attacks O: the ways to hide a relay.
        ("someone%elsewhere.test@south.test", "550 5.1.1 "),
        ('"someone@elsewhere.test"@south.test', "550 5.1.1 "),
        ("@south.test:someone@elsewhere.test", "550 5.7.1 "),
        ("elsewhere.test!someone@south.test", "550 5.1.1 "),
        ("someone@[192.0.2.99]", "550 5.7.1 "),
        ("someone@[IPv6:2001:db8::1]", "550 5.7.1 "),
    ],
)
def test_strangers_are_not_relayed(store: Store, recipient: str, reply: str) -> None:
    make_account(store, "noor@south.test")

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        await client.say("MAIL FROM:<amal@north.test>")
        assert (await client.say(f"RCPT TO:<{recipient}>")).startswith(reply)
        assert (await client.say("DATA")).startswith("503 ")

    with_store(store, talk)


@pytest.mark.parametrize(
    "recipient", ["Postmaster", "postmaster@south.test", "ABUSE@south.test", "noor+tag@south.test"]
)
def test_addresses_that_must_exist_reach_the_first_admin(store: Store, recipient: str) -> None:
    """RFC 5321 section 4.5.1, RFC 2142 section 5; RFC 5233 section 1 for the subaddress."""
    make_account(store, "noor@south.test", admin=True)

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        reply = await client.send("amal@north.test", [recipient], MESSAGE)
        assert reply.startswith("250 ")
        assert len(await inbox_of(store, "noor@south.test")) == 1

    with_store(store, talk)


def test_one_account_gets_one_copy_however_often_it_is_named(store: Store) -> None:
    make_account(store, "noor@south.test")
    alias = AliasRow(parse_address("all@south.test"), (parse_address("noor@south.test"),))
    store.write_now(create_alias, alias)

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        named = ["noor@south.test", "NOOR@south.test", "all@south.test", "noor@south.test"]
        await client.send("amal@north.test", named, MESSAGE)
        assert len(await inbox_of(store, "noor@south.test")) == 1

    with_store(store, talk)


def test_a_catch_all_gives_one_copy_here_and_one_elsewhere(store: Store) -> None:
    """Attack: a dictionary of addresses in one mail must not become as many copies."""
    make_account(store, "noor@south.test")
    targets = (parse_address("noor@south.test"), parse_address("noor@elsewhere.test"))

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        assert (await client.say("RCPT TO:<a1@south.test>")).startswith("503")
        await client.say("MAIL FROM:<amal@north.test>")
        refused = await client.say("RCPT TO:<a1@south.test>")
        assert refused.startswith("550 5.1.1")
        await client.say("RSET")
        await store.write(create_alias, AliasRow(parse_address("*@south.test"), targets))
        named = [f"a{number}@south.test" for number in range(20)]
        reply = await client.send("amal@north.test", named, MESSAGE)
        assert len(await inbox_of(store, "noor@south.test")) == 1
        found = next(
            mail
            for mail in await store.read(lambda conn: find_mails(conn, MailQuery()))
            if mail.mail_id == mail_id_of(reply)
        )
        assert sum(who == "noor@elsewhere.test" for who, _ in found.recipients) == 1

    with_store(store, talk)


def test_an_alias_to_another_domain_is_forwarded_through_the_queue(store: Store) -> None:
    make_account(store, "noor@south.test")
    away = (parse_address("noor@elsewhere.test"),)
    store.write_now(create_alias, AliasRow(parse_address("away@south.test"), away))

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        reply = await client.send("amal@north.test", ["away@south.test"], MESSAGE)
        (found,) = await store.read(lambda conn: find_mails(conn, MailQuery()))
        assert found.mail_id == mail_id_of(reply)
        assert found.recipients == (("noor@elsewhere.test", "waiting"),)

    with_store(store, talk)


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"a\n.\nb", "550 5.5.2 "),
        (b"a\rb", "550 5.5.2 "),
        (b"a\0b", "550 5.6.0 "),
        (b"Received: by x\r\n" * 101 + b"\r\nhello", "554 5.4.6 "),
        (b"X: " + b"x" * 300_000 + b"\r\n\r\nhello", "552 5.3.4 "),
    ],
    ids=["bare-lf", "bare-cr", "nul", "loop", "header-size"],
)
def test_a_malformed_message_is_refused_and_leaves_nothing_but_its_trace(
    store: Store, data: bytes, reply: str
) -> None:
    make_account(store, "noor@south.test")

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        got = await client.send("amal@north.test", ["noor@south.test"], data)
        assert got.startswith(reply)
        assert await inbox_of(store, "noor@south.test") == []
        # The session goes on.
        good = await client.send("amal@north.test", ["noor@south.test"], MESSAGE)
        assert good.startswith("250 ")

    with_store(store, talk)


def test_too_large_a_message_is_refused_before_and_after_its_data(store: Store) -> None:
    """RFC 1870 section 6: the declared size at MAIL, the true one at the end."""
    make_account(store, "noor@south.test")

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store, LimitOptions(message_size="1KiB"))
        assert (await client.say("MAIL FROM:<a@north.test> SIZE=2000")).startswith("552 5.3.4")
        got = await client.send("a@north.test", ["noor@south.test"], "x" * 70 + "\r\n" * 1000)
        assert got.startswith("552 5.3.4")

    with_store(store, talk)


def test_too_many_recipients_are_told_to_come_again(store: Store) -> None:
    """RFC 5321 section 4.5.3.1.10: 452, and the accepted ones stay accepted."""
    for number in range(3):
        make_account(store, f"user{number}@south.test")

    async def talk(store: Store) -> None:
        limits = LimitOptions.model_construct(**{**LimitOptions().model_dump(), "recipients": 2})
        client = await talk_to_receiver(store, limits)
        await client.say("MAIL FROM:<a@north.test>")
        replies = [await client.say(f"RCPT TO:<user{n}@south.test>") for n in range(3)]
        assert [reply[:3] for reply in replies] == ["250", "250", "452"]

    with_store(store, talk)


def test_a_suspended_account_defers_and_loses_nothing(store: Store) -> None:
    noor = make_account(store, "noor@south.test")
    store.write_now(set_active, NewActive(noor.account_id, active=False))

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        await client.say("MAIL FROM:<a@north.test>")
        assert (await client.say("RCPT TO:<noor@south.test>")).startswith("450 4.2.1")

    with_store(store, talk)


def test_a_full_inbox_defers_and_costs_others_nothing(store_url: str, tmp_path: Path) -> None:
    """RFC 3463 section 3.3: X.2.2. Mail comes again when there is room."""
    store = open_test_store(store_url, tmp_path, caps=Caps(mailbox_messages=3))
    noor = make_account(store, "noor@south.test")
    make_account(store, "sami@south.test")
    both = tuple(parse_address(f"{name}@south.test") for name in ("noor", "sami"))
    store.write_now(create_alias, AliasRow(parse_address("both@south.test"), both))

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        for _ in range(3):
            await client.send("amal@north.test", ["noor@south.test"], MESSAGE)
        await client.say("MAIL FROM:<amal@north.test>")
        assert await client.say("RCPT TO:<noor@south.test>") == (
            "452 4.2.2 mailbox is full, try again later"
        )
        assert (await client.say("RCPT TO:<noor+tag@south.test>")).startswith("452 4.2.2 ")
        assert (await client.say("RCPT TO:<sami@south.test>")).startswith("250 ")
        assert (await client.say("RCPT TO:<both@south.test>")).startswith("250 ")
        await client.say("RSET")
        item = ExpungeMessages(noor.account_id, noor.inbox, (Uid(2),), deleted_only=False)
        await store.write(expunge_messages, item)
        reply = await client.send("amal@north.test", ["noor@south.test"], MESSAGE)
        assert reply.startswith("250 2.0.0 queued as ")

    with_store(store, talk)


def test_a_store_that_went_away_defers(store: Store) -> None:
    """Design section 4: database gone is 4yz, never 250, never 5yz."""
    make_account(store, "noor@south.test")

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        await client.say("MAIL FROM:<a@north.test>")
        await client.say("RCPT TO:<noor@south.test>")
        await client.say("DATA")
        await store.writer.close()
        assert (await client.say(MESSAGE, ".\r\n")).startswith("451 4.3.0")

    with_store(store, talk)


def test_a_full_disk_defers_with_452(store: Store) -> None:
    make_account(store, "noor@south.test")
    store._options = store._options.model_copy(update={"free_space_reserve": 1 << 62})

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        reply = await client.send("a@north.test", ["noor@south.test"], MESSAGE)
        assert reply.startswith("452 4.3.1")

    with_store(store, talk)


def test_a_forged_authentication_result_of_ours_is_cut_out(store: Store) -> None:
    """RFC 8601 section 5: whoever writes our name lies; other names stay."""
    make_account(store, "noor@south.test")
    forged = (
        "Authentication-Results: (c) MX.south.test; dkim=pass\r\n"
        "Authentication-Results: other.test; dkim=pass\r\n"
    )

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        await client.send("a@north.test", ["noor@south.test"], forged + MESSAGE)
        (text,) = await inbox_of(store, "noor@south.test")
        assert b"MX.south.test" not in text
        assert b"other.test; dkim=pass" in text

    with_store(store, talk)


def test_a_session_that_came_to_nothing_is_remembered(store: Store) -> None:
    """Design D7: refused recipients and idle sessions are events too."""
    recorded: list[object] = []

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        store.write_later = lambda unit, item: recorded.append(item)  # type: ignore[method-assign]
        await client.say("MAIL FROM:<a@north.test>")
        await client.say("RCPT TO:<someone@elsewhere.test>")
        await client.say("QUIT")
        client.session.closed("quit")

    with_store(store, talk)
    names = [[event.name for event in item.events] for item in recorded]  # type: ignore[attr-defined]
    assert names == [
        ["session.opened", "session.greeted", "mail.sender", "mail.recipient_refused"],
        ["session.closed"],
    ]


@pytest.mark.parametrize("end", ["RSET", "EHLO mx.north.test", "HELO mx.north.test"])
def test_what_was_refused_is_told_when_the_mail_is_given_up(store: Store, end: str) -> None:
    """Design D7; and it is not told in the journey of the next mail."""
    make_account(store, "noor@south.test")
    recorded: list[EventBatch] = []

    async def talk(store: Store) -> None:
        client = await talk_to_receiver(store)
        write_later = store.write_later

        def record(unit: Any, item: EventBatch) -> None:
            recorded.append(item)
            write_later(unit, item)

        store.write_later = record  # type: ignore[method-assign, assignment]
        await client.say("MAIL FROM:<a@north.test>")
        await client.say("RCPT TO:<someone@elsewhere.test>")
        await client.say(end)
        (batch,) = recorded
        assert batch.mail_id is not None
        assert batch.session_id == client.session.record.session_id
        assert [event.name for event in batch.events][-2:] == [
            "mail.sender",
            "mail.recipient_refused",
        ]
        reply = await client.send("a@north.test", ["noor@south.test"], MESSAGE)
        names = [event.name for event in await events_of(store, mail_id_of(reply))]
        assert names[:2] == ["session.opened", "session.greeted"]
        assert names.count("session.opened") == 1
        assert "mail.recipient_refused" not in names

    with_store(store, talk)


def test_accept_is_the_one_way_in() -> None:
    """Design D3; a second one would need its own proof of durability."""
    assert write_intakes.__module__ == "zajil.store.mail.intake"
