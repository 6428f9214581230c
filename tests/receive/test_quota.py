"""Mail for an account that is full is refused before its body, where that is possible."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kit.store import make_account, open_test_store, running
from kit.talk import acceptance_context, talk_to_lmtp, talk_to_receiver
from zajil.core.ids import Uid
from zajil.store.engine.open import Store
from zajil.store.mail.caps import Caps
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.mail.room import NewQuota, load_usage, set_quota
from zajil.store.mail.tracking import (
    EventBatch,
    MailQuery,
    find_mails,
    load_journey,
    record_events,
)
from zajil.tracking.events import MailRefused, RecipientRefused

MESSAGE = (
    b"From: a@north.test\r\nTo: noor@south.test\r\nSubject: hi\r\n"
    b"Date: Mon, 23 Nov 2026 19:09:21 +0000\r\nMessage-ID: <1@north.test>\r\n\r\n"
    + b"hello\r\n"
    * 550
)
"""3,960 bytes."""
FULL = "452 4.2.2 mailbox is full, try again later"


@pytest.fixture
def limited(store_url: str, tmp_path: Path) -> Store:
    """Accounts may have 10,000 bytes: two of these messages, and a small one."""
    return open_test_store(store_url, tmp_path, caps=Caps(account_size=10_000))


def talk(store: Store, story: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        async with running(store):
            await story(store)

    asyncio.run(run())


def test_a_declared_size_is_refused_at_rcpt(limited: Store) -> None:
    make_account(limited, "noor@south.test")

    async def story(store: Store) -> None:
        client = await talk_to_receiver(store)
        await client.say("MAIL FROM:<a@north.test> SIZE=10001")
        assert await client.say("RCPT TO:<noor@south.test>") == FULL
        await client.say("RSET")
        # Whoever asks why no mail came finds the reply in its journey.
        await store.write(record_events, EventBatch(None, None, 0, ()))  # behind the refusal
        (mail,) = await store.read(lambda conn: find_mails(conn, MailQuery(to="noor@south.test")))
        journey = await store.read(lambda conn: load_journey(conn, mail.mail_id))
        assert journey is not None
        said = [one.event for one in journey.events if isinstance(one.event, RecipientRefused)]
        assert [(one.recipient, one.reply) for one in said] == [("noor@south.test", FULL)]
        await client.say("MAIL FROM:<a@north.test> SIZE=10000")
        assert (await client.say("RCPT TO:<noor@south.test>")).startswith("250 ")

    talk(limited, story)


def test_what_is_accepted_is_seen_at_once(limited: Store) -> None:
    """Near the limit each RCPT asks the store; deleted mail makes room again."""
    noor = make_account(limited, "noor@south.test")

    async def story(store: Store) -> None:
        client = await talk_to_receiver(store)
        for _ in range(2):
            reply = await client.send("a@north.test", ["noor@south.test"], MESSAGE)
            assert reply.startswith("250 ")
        await client.say(f"MAIL FROM:<a@north.test> SIZE={len(MESSAGE)}")
        assert await client.say("RCPT TO:<noor@south.test>") == FULL
        item = ExpungeMessages(noor.account_id, noor.inbox, (Uid(1),), deleted_only=False)
        await store.write(expunge_messages, item)
        assert (await client.say("RCPT TO:<noor@south.test>")).startswith("250 ")

    talk(limited, story)


def test_a_size_that_was_not_declared_is_refused_at_the_end(limited: Store) -> None:
    noor = make_account(limited, "noor@south.test")
    sami = make_account(limited, "sami@south.test")
    limited.write_now(set_quota, NewQuota(sami.account_id, 0, None))

    async def story(store: Store) -> None:
        client = await talk_to_receiver(store)
        large = MESSAGE * 3
        reply = await client.send("a@north.test", ["noor@south.test"], large)
        assert reply.startswith("452 4.2.2 mailbox is full, try again later (")
        await store.write(record_events, EventBatch(None, None, 0, ()))  # behind the refusal
        (mail,) = await store.read(lambda conn: find_mails(conn, MailQuery()))
        assert mail.recipients == (("noor@south.test", "refused"),)
        journey = await store.read(lambda conn: load_journey(conn, mail.mail_id))
        assert journey is not None
        (refused,) = [one.event for one in journey.events if isinstance(one.event, MailRefused)]
        assert refused.reply.startswith("452 4.2.2 mailbox is full")
        # SMTP has one answer for both: what one can take is taken for both.
        reply = await client.send("a@north.test", ["noor@south.test", "sami@south.test"], large)
        assert reply.startswith("250 ")
        usage = await store.read(lambda conn: load_usage(conn, store.caps, noor.account_id))
        assert usage is not None
        assert usage.percent > 100
        await client.say("MAIL FROM:<a@north.test>")
        assert await client.say("RCPT TO:<noor@south.test>") == FULL
        assert (await client.say("RCPT TO:<sami@south.test>")).startswith("250 ")

    talk(limited, story)


def test_lmtp_answers_for_each_recipient(limited: Store) -> None:
    make_account(limited, "noor@south.test")
    sami = make_account(limited, "sami@south.test")
    limited.write_now(set_quota, NewQuota(sami.account_id, 0, None))

    async def story(store: Store) -> None:
        client = await talk_to_lmtp(store)
        await client.say("MAIL FROM:<a@north.test>")
        for name in ("noor", "sami"):
            assert (await client.say(f"RCPT TO:<{name}@south.test>")).startswith("250 ")
        await client.say("DATA")
        answers = await client.say_all(MESSAGE * 3 + b".\r\n")
        assert [answer[:9] for answer in answers] == ["452 4.2.2", "250 2.0.0"]

    talk(limited, story)


def test_a_full_mailbox_may_be_refused_for_good(limited: Store) -> None:
    make_account(limited, "noor@south.test")

    async def story(store: Store) -> None:
        policy = replace(acceptance_context(store).policy, defers_full=False)
        client = await talk_to_receiver(store, policy=policy)
        await client.say("MAIL FROM:<a@north.test> SIZE=20000")
        assert await client.say("RCPT TO:<noor@south.test>") == "552 5.2.2 mailbox is full"

    talk(limited, story)


def test_an_account_may_have_a_limit_of_its_own(limited: Store) -> None:
    noor = make_account(limited, "noor@south.test")
    limited.write_now(set_quota, NewQuota(noor.account_id, 20_000, 1))

    async def story(store: Store) -> None:
        client = await talk_to_receiver(store)
        await client.say("MAIL FROM:<a@north.test> SIZE=20000")
        assert (await client.say("RCPT TO:<noor@south.test>")).startswith("250 ")
        await client.say("RSET")
        await client.send("a@north.test", ["noor@south.test"], MESSAGE)
        await client.say("MAIL FROM:<a@north.test>")
        assert await client.say("RCPT TO:<noor@south.test>") == FULL

    talk(limited, story)
