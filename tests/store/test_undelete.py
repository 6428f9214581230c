"""Deleted messages are kept, can be taken back, and go for good when they are too old."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kit.store import NOW_MS, make_account, make_intake, open_test_store
from zajil.core.directory import AccountEntry
from zajil.core.ids import MailboxId, Uid
from zajil.store.engine.open import Store
from zajil.store.mail.caps import Caps
from zajil.store.mail.deleted import (
    Chosen,
    DeletedMessage,
    DeletedQuery,
    MakeRoom,
    find_deleted,
    make_room,
    purge_deleted,
    purge_old,
)
from zajil.store.mail.flag_changes import FlagChange, FlagMode, change_flags
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.mailbox_changes import (
    DeleteMailbox,
    NewMailbox,
    RenameMailbox,
    create_mailbox,
    delete_mailbox,
    rename_mailbox,
)
from zajil.store.mail.mailboxes import list_mailboxes
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    PutMessage,
    expunge_messages,
    put_messages,
)
from zajil.store.mail.message_copies import (
    CopyMessages,
    move_messages,
)
from zajil.store.mail.messages import get_messages
from zajil.store.mail.room import NewQuota, OverQuota, Usage, load_usage, set_quota
from zajil.store.mail.undelete import Undeleted, undelete_messages
from zajil.store.people.accounts import delete_account
from zajil.store.repair.check import find_damage
from zajil.store.schema import blob, deleted_message


@pytest.fixture
def amal(store: Store) -> AccountEntry:
    return make_account(store, "amal@north.test")


def put(store: Store, owner: AccountEntry, mailbox_id: MailboxId, content: bytes) -> Uid:
    item = PutMessage(
        owner.account_id, mailbox_id, store.blobs.stage([content]), frozenset({"\\Seen"}), 5
    )
    return store.write_now(put_messages, item).uid


def expunge(store: Store, owner: AccountEntry, mailbox_id: MailboxId, *uids: int) -> None:
    wanted = tuple(map(Uid, uids))
    store.write_now(
        expunge_messages, ExpungeMessages(owner.account_id, mailbox_id, wanted, deleted_only=False)
    )


def deleted(store: Store, owner: AccountEntry, **query: Any) -> list[DeletedMessage]:
    asked = DeletedQuery(account_id=owner.account_id, **query)
    return store.read_now(lambda conn: find_deleted(conn, asked, 100))


def take_back(store: Store, owner: AccountEntry, *found: DeletedMessage) -> list[Undeleted]:
    ids = tuple(one.deleted_id for one in found)
    return store.write_now(undelete_messages, Chosen(owner.account_id, ids))


def usage(store: Store, owner: AccountEntry) -> Usage:
    found = store.read_now(lambda conn: load_usage(conn, store.caps, owner.account_id))
    assert found is not None
    return found


def check(store: Store) -> None:
    assert find_damage(store, is_served=False, progress=lambda done, total: None) == []


def count_blobs(store: Store) -> int:
    query = sa.select(sa.func.count()).select_from(blob)
    return store.read_now(lambda conn: conn.execute(query).scalar_one())


def test_what_was_deleted_comes_back_as_it_was(store: Store, amal: AccountEntry) -> None:
    item = make_intake(store.blobs.stage([b"Subject: Tea\r\n\r\n"]), local=[amal])
    store.write_now(write_intakes, item)
    flags = frozenset({"\\Flagged", "\\Deleted", "work"})
    change = FlagChange(amal.account_id, amal.inbox, (Uid(1),), FlagMode.REPLACE, flags)
    store.write_now(change_flags, change)
    (before,) = store.read_now(lambda conn: get_messages(conn, amal.inbox, [Uid(1)]))
    store.write_now(expunge_messages, ExpungeMessages(amal.account_id, amal.inbox))
    assert store.read_now(lambda conn: get_messages(conn, amal.inbox, [Uid(1)])) == []
    (found,) = deleted(store, amal)
    assert (found.mailbox, found.uid, found.size) == ("INBOX", 1, before.size)
    assert take_back(store, amal, found) == [Undeleted("INBOX", Uid(2))]
    (after,) = store.read_now(lambda conn: get_messages(conn, amal.inbox, [Uid(2)]))
    assert after.flags == {"\\Flagged", "work"}
    assert after.modseq > before.modseq
    assert (after.received_at_ms, after.prefix, after.blob_id, after.mail_id, after.size) == (
        before.received_at_ms,
        before.prefix,
        before.blob_id,
        before.mail_id,
        before.size,
    )
    assert deleted(store, amal) == []
    assert take_back(store, amal, found) == []
    check(store)


def test_what_was_deleted_at_once_has_its_subject(store: Store, amal: AccountEntry) -> None:
    """No summary of it was made yet."""
    bare = make_intake(store.blobs.stage([b"x"]), local=[amal])
    store.write_now(write_intakes, replace(bare, subject="Bank statement"))
    expunge(store, amal, amal.inbox, 1)
    assert [one.subject for one in deleted(store, amal, subject="STATE")] == ["Bank statement"]
    assert deleted(store, amal, subject="letter") == []


def test_usage_counts_what_is_deleted_apart(store: Store, amal: AccountEntry) -> None:
    for size in (10, 20, 30):
        put(store, amal, amal.inbox, b"x" * size)
    expunge(store, amal, amal.inbox, 1, 3)
    now = usage(store, amal)
    assert (now.messages, now.size, now.deleted_messages, now.deleted_size) == (1, 20, 2, 40)
    take_back(store, amal, deleted(store, amal)[0])
    now = usage(store, amal)
    assert (now.messages, now.size, now.deleted_messages, now.deleted_size) == (2, 50, 1, 10)
    check(store)


def test_moving_deletes_nothing(store: Store, amal: AccountEntry) -> None:
    put(store, amal, amal.inbox, b"x")
    move = CopyMessages(amal.account_id, amal.inbox, (Uid(1),), amal.junk)
    store.write_now(move_messages, move)
    assert deleted(store, amal) == []
    check(store)


def test_a_deleted_mailbox_is_made_anew(store: Store, amal: AccountEntry) -> None:
    new = NewMailbox(amal.account_id, "Work/Old", NOW_MS)
    box = store.write_now(create_mailbox, new)
    put(store, amal, box, b"one")
    put(store, amal, box, b"two")
    store.write_now(delete_mailbox, DeleteMailbox(amal.account_id, "Work/Old"))
    found = deleted(store, amal, mailbox="Work/Old")
    assert [one.uid for one in found] == [2, 1]
    back = take_back(store, amal, *found)
    assert back == [Undeleted("Work/Old", Uid(1)), Undeleted("Work/Old", Uid(2))]
    (again,) = [
        box
        for box in store.read_now(lambda conn: list_mailboxes(conn, amal.account_id))
        if box.name == "Work/Old"
    ]
    assert again.mailbox_id != box
    check(store)


def test_a_renamed_mailbox_is_found(store: Store, amal: AccountEntry) -> None:
    box = store.write_now(create_mailbox, NewMailbox(amal.account_id, "Old", NOW_MS))
    put(store, amal, box, b"one")
    expunge(store, amal, box, 1)
    store.write_now(rename_mailbox, RenameMailbox(amal.account_id, "Old", "New", NOW_MS))
    assert take_back(store, amal, *deleted(store, amal)) == [Undeleted("New", Uid(2))]


def test_nobody_takes_back_the_mail_of_another(store: Store, amal: AccountEntry) -> None:
    badr = make_account(store, "badr@north.test")
    put(store, amal, amal.inbox, b"secret")
    expunge(store, amal, amal.inbox, 1)
    assert take_back(store, badr, *deleted(store, amal)) == []
    assert deleted(store, badr) == []
    assert len(deleted(store, amal)) == 1


def test_what_is_too_old_goes_for_good(store: Store, amal: AccountEntry) -> None:
    for content in (b"old", b"new"):
        put(store, amal, amal.inbox, content)
    expunge(store, amal, amal.inbox, 1)
    store.write_now(_age, 1000)
    expunge(store, amal, amal.inbox, 2)
    assert store.write_now(purge_old, 1001) == 1
    assert store.write_now(purge_old, 1001) == 0
    assert [one.uid for one in deleted(store, amal)] == [2]
    assert count_blobs(store) == 1
    assert usage(store, amal).deleted_size == 3
    check(store)


def _age(tx: sa.Connection, times: Any) -> list[None]:
    """Unit of work: pretend that everything was deleted at a time."""
    for at_ms in times:
        tx.execute(sa.update(deleted_message).values(deleted_ms=at_ms))
    return [None] * len(times)


def test_the_oldest_makes_room(store: Store, amal: AccountEntry) -> None:
    for size in (10, 20, 30):
        put(store, amal, amal.inbox, b"x" * size)
        expunge(store, amal, amal.inbox, 1, 2, 3)
    assert store.write_now(make_room, MakeRoom(amal.account_id, 0, 11)) == 2
    assert [one.size for one in deleted(store, amal)] == [30]
    assert store.write_now(make_room, MakeRoom(amal.account_id, 5, 0)) == 1
    assert count_blobs(store) == 0
    check(store)


def test_purging_really_deletes(store: Store, amal: AccountEntry) -> None:
    put(store, amal, amal.inbox, b"secret")
    expunge(store, amal, amal.inbox, 1)
    (found,) = deleted(store, amal)
    assert store.write_now(purge_deleted, Chosen(amal.account_id, (found.deleted_id,))) == 1
    assert count_blobs(store) == 0
    check(store)


def test_an_account_takes_what_it_deleted_along(store: Store, amal: AccountEntry) -> None:
    put(store, amal, amal.inbox, b"secret")
    expunge(store, amal, amal.inbox, 1)
    store.write_now(delete_account, amal.account_id)
    assert count_blobs(store) == 0
    check(store)


def test_a_full_account_takes_nothing_back(store: Store, amal: AccountEntry) -> None:
    put(store, amal, amal.inbox, b"x" * 60)
    expunge(store, amal, amal.inbox, 1)
    store.write_now(set_quota, NewQuota(amal.account_id, 100, None))
    put(store, amal, amal.inbox, b"x" * 60)
    with pytest.raises(OverQuota, match="at most 100 bytes"):
        take_back(store, amal, *deleted(store, amal))
    assert len(deleted(store, amal)) == 1
    check(store)


def test_without_days_deleted_is_gone(store_url: str, tmp_path: Path) -> None:
    store = open_test_store(store_url, tmp_path, caps=Caps(undelete_ms=0))
    amal = make_account(store, "amal@north.test")
    box = store.write_now(create_mailbox, NewMailbox(amal.account_id, "Old", NOW_MS))
    for mailbox_id in (amal.inbox, box):
        put(store, amal, mailbox_id, b"x")
    expunge(store, amal, amal.inbox, 1)
    store.write_now(delete_mailbox, DeleteMailbox(amal.account_id, "Old"))
    assert deleted(store, amal) == []
    assert count_blobs(store) == 0
    assert usage(store, amal).deleted_messages == 0
    check(store)
    store.close_now()
