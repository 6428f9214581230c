"""What is remembered of expunged messages, and for how long. (RFC 7162 section 5.3)"""

from __future__ import annotations

import asyncio
from array import array
from dataclasses import replace
from functools import partial

import pytest

from kit.store import NOW_MS, make_account, running
from zajil.app.upkeep import forget_old_expunged
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId, MailboxId, ModSeq, Uid
from zajil.store.engine.open import Store
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.mailbox_changes import NewMailbox, create_mailbox
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    PutMessage,
    expunge_messages,
    put_messages,
)
from zajil.store.mail.messages import changes_since
from zajil.store.mail.vanished import (
    Cursor,
    ForgetExpunged,
    expunged_after,
    find_forgettable,
    forget_expunged,
)

LATER_MS = 1 << 50
"""After all that tests do."""


def fill(store: Store, account: AccountEntry, count: int) -> None:
    for _ in range(count):
        staged = store.blobs.stage([b"Subject: x"])
        item = PutMessage(account.account_id, account.inbox, staged, frozenset(), NOW_MS)
        store.write_now(put_messages, item)


def expunge(store: Store, account: AccountEntry, *uids: int) -> None:
    chosen = tuple(map(Uid, uids))
    item = ExpungeMessages(account.account_id, account.inbox, chosen, deleted_only=False)
    store.write_now(expunge_messages, item)


def gone_after(store: Store, account: AccountEntry, modseq: int) -> list[int] | None:
    """Return what is remembered of expunges after a MODSEQ, portion by portion."""
    gone: list[int] = []
    cursor: Cursor | None = Cursor(modseq)
    while cursor is not None:
        read = partial(expunged_after, mailbox_id=account.inbox, modseq=modseq, cursor=cursor)
        portion = store.read_now(read)
        if portion is None:
            return None
        some, cursor = portion
        gone += some
    return gone


def test_the_oldest_are_forgotten_and_the_mark_says_so(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    fill(store, amal, 9)  # MODSEQs 2 to 10
    expunge(store, amal, 8, 1)  # 11
    expunge(store, amal, 3)
    expunge(store, amal, 5)  # 13
    assert gone_after(store, amal, 1) == [1, 8, 3, 5]
    assert gone_after(store, amal, 11) == [3, 5]
    item = ForgetExpunged(amal.account_id, amal.inbox, 1, LATER_MS)
    assert store.write_now(forget_expunged, item) == 2, "expunged together, forgotten together"
    assert gone_after(store, amal, 10) is None
    assert gone_after(store, amal, 11) == [3, 5]
    assert store.write_now(forget_expunged, replace(item, before_ms=1)) == 0, "too young"
    assert gone_after(store, amal, 11) == [3, 5]
    assert store.write_now(forget_expunged, replace(item, most=9)) == 2
    assert store.write_now(forget_expunged, item) == 0
    assert gone_after(store, amal, 12) is None
    assert gone_after(store, amal, 13) == []
    with pytest.raises(NoSuchMailbox):
        store.write_now(forget_expunged, replace(item, account_id=AccountId(99)))


def test_who_follows_from_before_the_mark_is_told_what_is_there(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    fill(store, amal, 3)
    expunge(store, amal, 2)
    store.write_now(forget_expunged, ForgetExpunged(amal.account_id, amal.inbox, 9))

    def since(modseq: int) -> tuple[object, object]:
        place = (amal.account_id, amal.inbox, ModSeq(modseq), Uid(4))
        found = store.read_now(lambda conn: changes_since(conn, *place))
        assert found is not None
        return found.expunged, found.present

    assert since(4) == ((), [1, 3])
    assert since(5) == ((), None)


def test_the_table_in_memory_survives_forgetting(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    fill(store, amal, 3)

    def uids() -> array[int]:
        return store.read_now(
            lambda conn: store.tables.current(conn, amal.account_id, amal.inbox)
        ).uids

    assert list(uids()) == [1, 2, 3]
    expunge(store, amal, 2)
    store.write_now(forget_expunged, ForgetExpunged(amal.account_id, amal.inbox, 9))
    assert list(uids()) == [1, 3]


def test_all_mailboxes_are_looked_at(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    fill(store, amal, 700)
    for start in range(1, 601, 100):
        expunge(store, amal, *range(start, start + 100))
    for number in range(600):
        store.write_now(create_mailbox, NewMailbox(amal.account_id, f"b{number}", NOW_MS, 0))
    found, last = store.read_now(lambda conn: find_forgettable(conn, LATER_MS, MailboxId(0)))
    assert found == [(amal.account_id, amal.inbox)]
    assert last is not None
    assert store.read_now(lambda conn: find_forgettable(conn, LATER_MS, last)) == ([], None)
    assert store.read_now(lambda conn: find_forgettable(conn, 1, MailboxId(0)))[0] == []

    async def run() -> None:
        async with running(store):
            await forget_old_expunged(store, 1)
            assert len(gone_after(store, amal, 1) or ()) == 600
            await forget_old_expunged(store, LATER_MS)
            assert gone_after(store, amal, 1) is None

    asyncio.run(run())


def test_many_expunges_are_read_in_portions(store: Store) -> None:
    """What has one MODSEQ is cut in the middle as well, and nothing is left out."""
    amal = make_account(store, "amal@north.test")
    items = [
        PutMessage(amal.account_id, amal.inbox, store.blobs.stage([b"x"]), frozenset(), NOW_MS)
        for _ in range(6000)
    ]

    chosen = tuple(map(Uid, range(1, 6001)))
    all_of_them = ExpungeMessages(amal.account_id, amal.inbox, chosen, deleted_only=False)

    async def run() -> None:
        async with running(store):
            await asyncio.gather(*[store.write(put_messages, item) for item in items])
            await store.write(expunge_messages, all_of_them)
            assert gone_after(store, amal, 6001) == list(range(1, 6001))

    asyncio.run(run())
