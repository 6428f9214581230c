"""Owners are told when their mailboxes are nearly full, once for each mark."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from kit.reading import inbox_of
from kit.store import make_account, open_test_store, running
from zajil.accept.own_mail import OwnMailer
from zajil.accept.quota_notice import notify_of_full_mailboxes
from zajil.app.upkeep import make_room_for_all
from zajil.core.directory import AccountEntry
from zajil.net.system import SystemClock
from zajil.store.engine.open import Store
from zajil.store.mail.caps import Caps
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    PutMessage,
    expunge_messages,
    put_messages,
)
from zajil.store.mail.room import Usage, load_usage
from zajil.store.mail.tracking import EventBatch
from zajil.tracking.events import QuotaReached


@pytest.fixture
def limited(store_url: str, tmp_path: Path) -> Store:
    """Accounts may have 100,000 bytes."""
    return open_test_store(store_url, tmp_path, caps=Caps(account_size=100_000))


async def put(store: Store, owner: AccountEntry, size: int) -> None:
    staged = await store.blobs.stage_any([b"Subject: x\r\n\r\n" + b"x" * (size - 14)])
    item = PutMessage(owner.account_id, owner.junk, staged, frozenset(), 5)
    await store.write(put_messages, item)


async def usage_of(store: Store, owner: AccountEntry) -> Usage:
    found = await store.read(lambda conn: load_usage(conn, store.caps, owner.account_id))
    assert found is not None
    return found


def test_each_mark_is_told_once(limited: Store) -> None:
    amal = make_account(limited, "amal@north.test")
    told: list[int] = []

    def observe(batches: Sequence[EventBatch]) -> None:
        events = [event for batch in batches for event in batch.events]
        told.extend(event.percent for event in events if isinstance(event, QuotaReached))

    async def story() -> list[bytes]:
        mailer = OwnMailer(
            store=limited, clock=SystemClock(), random=os.urandom, lifetime_ms=432_000_000
        )
        limited.observe(observe)
        async with running(limited):
            for size in (70_000, 12_000, 1_000, 13_000):
                await put(limited, amal, size)
                for _ in range(2):
                    await notify_of_full_mailboxes(mailer)
            item = ExpungeMessages(amal.account_id, amal.junk, deleted_only=False)
            await limited.write(expunge_messages, item)
            await notify_of_full_mailboxes(mailer)
            await put(limited, amal, 85_000)
            await notify_of_full_mailboxes(mailer)
            return await inbox_of(limited, "amal@north.test")

    mails = asyncio.run(story())
    assert told[0] == 82
    assert 95 <= told[1] < 100
    assert 85 <= told[2] < 95
    assert len(mails) == len(told) == 3
    first = message_from_bytes(mails[0], policy=default)
    assert "Your mailbox is 82 % full" in first["Subject"]
    assert "ممتلئ" in first["Subject"]
    assert first["Auto-Submitted"] == "auto-generated"


def test_deleted_mail_gives_way(limited: Store) -> None:
    """What is in mailboxes and what was deleted have the quota together."""
    amal = make_account(limited, "amal@north.test")

    async def story() -> None:
        async with running(limited):
            for _ in range(3):
                await put(limited, amal, 30_000)
            item = ExpungeMessages(amal.account_id, amal.junk, deleted_only=False)
            await limited.write(expunge_messages, item)
            await make_room_for_all(limited)
            assert (await usage_of(limited, amal)).deleted_messages == 3
            await put(limited, amal, 35_000)
            await make_room_for_all(limited)
            usage = await usage_of(limited, amal)
            assert (usage.size, usage.deleted_size) == (35_000, 60_000)

    asyncio.run(story())
