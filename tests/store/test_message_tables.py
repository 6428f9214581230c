"""The table of a mailbox: after any changes it is what the store has."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.store import NOW_MS, make_account
from zajil.core.directory import AccountEntry
from zajil.core.ids import MailboxId, ModSeq, Uid
from zajil.store.engine.open import Store
from zajil.store.mail import message_table, message_tables
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.flag_changes import FlagChange, FlagMode, change_flags
from zajil.store.mail.flags import FLAG_BITS, TooManyKeywords
from zajil.store.mail.mailbox_changes import (
    DeleteMailbox,
    NewMailbox,
    create_mailbox,
    delete_mailbox,
)
from zajil.store.mail.mailboxes import count_messages, find_mailbox
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    PutMessage,
    expunge_messages,
    put_messages,
)
from zajil.store.mail.message_copies import (
    CopyMessages,
    copy_messages,
)
from zajil.store.mail.message_table import MessageTable
from zajil.store.mail.message_tables import MailboxSnapshot, MessageTables
from zajil.store.mail.messages import get_messages, list_uids
from zajil.store.schema import message

_FLAGS = ("\\Seen", "\\Deleted", "$Forwarded", "Work", "work", "$Junk")


def put(store: Store, amal: AccountEntry, count: int, flags: Sequence[str] = ()) -> None:
    def unit(tx: Connection, items: Sequence[Sequence[PutMessage]]) -> list[int]:
        return [len(put_messages(tx, item)) for item in items]

    new = [
        PutMessage(
            amal.account_id,
            amal.inbox,
            store.blobs.stage([b"Subject: %d\r\n\r\n" % number + b"x" * number]),
            frozenset(flags),
            NOW_MS + number,
        )
        for number in range(count)
    ]
    store.write_now(unit, new)


def current(store: Store, amal: AccountEntry, box: MailboxId | None = None) -> MessageTable:
    wanted = box or amal.inbox
    return store.read_now(lambda conn: store.tables.current(conn, amal.account_id, wanted))


def require_equal(store: Store, amal: AccountEntry, table: MessageTable) -> None:
    """Compare a table with the rows, and what it counts with what SQL counts."""
    box = amal.inbox
    rows = store.read_now(lambda conn: get_messages(conn, box, list_uids(conn, box)))
    assert list(table.uids) == [row.uid for row in rows]
    assert list(table.modseqs) == [row.modseq for row in rows]
    assert list(table.received_at_ms) == [row.received_at_ms for row in rows]
    assert list(table.sizes) == [row.size for row in rows]
    saved = sa.select(message.c.saved_at_ms).where(message.c.mailbox_id == box)
    saved_at_ms = store.read_now(lambda conn: conn.scalars(saved.order_by(message.c.uid)).all())
    assert list(table.saved_at_ms) == saved_at_ms
    assert [table.flag_sets[kind].flags for kind in table.kinds] == [row.flags for row in rows]
    words: dict[str, str] = {}
    for row in rows:
        for word in sorted(flag for flag in row.flags if not flag.startswith("\\")):
            words.setdefault(word.lower(), word)
    assert table.keywords() == tuple(words.values())
    unseen = [place for place, row in enumerate(rows) if "\\Seen" not in row.flags]
    assert table.first_without(FLAG_BITS["\\Seen"]) == (unseen[0] if unseen else None)
    assert table.count_without(FLAG_BITS["\\Seen"]) == len(unseen)
    shown = store.read_now(lambda conn: store.tables.snapshot(conn, amal.account_id, "INBOX"))
    assert shown is not None
    assert shown.keywords == table.keywords()
    assert shown.first_unseen == (rows[unseen[0]].uid if unseen else None)
    require_counted(store, amal, store.tables)


def require_counted(store: Store, amal: AccountEntry, tables: MessageTables) -> None:
    """Compare the counts of an account's mailboxes, and of one that is not there, with SQL's."""
    ids = [amal.inbox, amal.junk, MailboxId(999_999)]
    counted, expected = store.read_now(
        lambda conn: (tables.count(conn, ids), count_messages(conn, ids))
    )
    assert counted == expected


def test_changes_are_followed(store: Store) -> None:
    """Random changes, and a look at the table after some of them."""
    amal = make_account(store, "amal@north.test")
    chance = random.Random(12)
    put(store, amal, 30)
    require_equal(store, amal, current(store, amal))
    tableless = MessageTables()
    for _ in range(60):
        uids = store.read_now(lambda conn: list_uids(conn, amal.inbox))
        some = tuple(sorted(chance.sample(uids, min(len(uids), chance.randint(1, 12)))))
        match chance.randrange(4):
            case 0:
                put(store, amal, chance.randint(1, 6), chance.sample(_FLAGS, 2))
            case 1 | 2:
                mode = chance.choice(list(FlagMode))
                flags = frozenset(chance.sample(_FLAGS, 2))
                change = FlagChange(amal.account_id, amal.inbox, some, mode, flags)
                store.write_now(change_flags, change)
            case 3:
                gone = ExpungeMessages(amal.account_id, amal.inbox, some[:4], deleted_only=False)
                store.write_now(expunge_messages, gone)
        if chance.random() < 0.6:
            for tables in (tableless, tableless, store.tables):  # by SQL, remembered, by the table
                require_counted(store, amal, tables)
            require_equal(store, amal, current(store, amal))
    require_equal(store, amal, current(store, amal))


def test_a_table_never_changes(store: Store) -> None:
    """Who reads one in another thread meets no half of a change."""
    amal = make_account(store, "amal@north.test")
    put(store, amal, 5)
    before = current(store, amal)
    uids, kinds = list(before.uids), list(before.kinds)
    add = FlagChange(amal.account_id, amal.inbox, (Uid(2),), FlagMode.ADD, frozenset({"\\Deleted"}))
    store.write_now(change_flags, add)
    store.write_now(expunge_messages, ExpungeMessages(amal.account_id, amal.inbox))
    put(store, amal, 1)
    after = current(store, amal)
    assert list(after.uids) == [1, 3, 4, 5, 6]
    assert (list(before.uids), list(before.kinds)) == (uids, kinds)


def test_many_changes_are_loaded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """More changes than are followed, more rows than are loaded at a time."""
    monkeypatch.setattr(message_tables, "_MOST_CHANGES", 4)
    monkeypatch.setattr(message_tables, "_ROWS", 3)
    amal = make_account(store, "amal@north.test")
    put(store, amal, 9)
    require_equal(store, amal, current(store, amal))
    put(store, amal, 4)
    require_equal(store, amal, current(store, amal))
    uids = tuple(map(Uid, range(1, 6)))
    gone = ExpungeMessages(amal.account_id, amal.inbox, uids, deleted_only=False)
    store.write_now(expunge_messages, gone)
    require_equal(store, amal, current(store, amal))


def test_sets_that_nothing_has_any_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that gives one message ever new keywords makes the table no larger."""
    monkeypatch.setattr(message_tables, "_MOST_SETS", 8)
    amal = make_account(store, "amal@north.test")
    put(store, amal, 2)
    for number in range(40):
        item = FlagChange(
            amal.account_id, amal.inbox, (Uid(1),), FlagMode.REPLACE, frozenset({f"k{number}"})
        )
        store.write_now(change_flags, item)
        require_equal(store, amal, current(store, amal))
    assert len(current(store, amal).flag_sets) <= 10


def test_keywords_have_a_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    amal = make_account(store, "amal@north.test")
    put(store, amal, 1, ["a" * 60])
    put(store, amal, 1, ["b" * 60])
    monkeypatch.setattr(message_table, "MAX_TEXT", 100)
    with pytest.raises(TooManyKeywords):
        current(store, amal)
    monkeypatch.setattr(message_table, "MAX_TEXT", 150)
    current(store, amal)
    for word in "cde":  # each takes the place of the one before, and is no more text
        item = FlagChange(
            amal.account_id, amal.inbox, (Uid(1),), FlagMode.REPLACE, frozenset({word * 60})
        )
        store.write_now(change_flags, item)
        require_equal(store, amal, current(store, amal))


def test_memory_has_a_bound(store: Store) -> None:
    """The table used last stays; those used longest ago leave."""
    amal = make_account(store, "amal@north.test")
    put(store, amal, 50)
    boxes = [
        store.write_now(create_mailbox, NewMailbox(amal.account_id, name, NOW_MS)) for name in "abc"
    ]
    uids = tuple(map(Uid, range(1, 51)))
    for box in boxes:
        store.write_now(copy_messages, CopyMessages(amal.account_id, amal.inbox, uids, box))
    one = current(store, amal).memory
    tables = MessageTables(2 * one + one // 2)

    def look(box: MailboxId) -> MessageTable:
        return store.read_now(lambda conn: tables.current(conn, amal.account_id, box))

    first, second = look(boxes[0]), look(boxes[1])
    assert look(boxes[0]) is first
    look(boxes[2])
    assert tables.memory <= 2 * one + one // 2
    assert look(boxes[0]) is first
    assert look(boxes[1]) is not second


def test_an_old_table_is_loaded_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what was expunged long ago, the store may have forgotten that it was."""
    amal = make_account(store, "amal@north.test")
    put(store, amal, 3)
    old = current(store, amal)
    assert current(store, amal) is old
    later = time.monotonic() + 7200
    monkeypatch.setattr(time, "monotonic", lambda: later)
    new = current(store, amal)
    assert new is not old
    require_equal(store, amal, new)


def test_of_whose_mailbox(store: Store) -> None:
    """Another account gets nothing, also where the table is in memory; a deleted one is gone."""
    amal, sami = make_account(store, "amal@north.test"), make_account(store, "sami@north.test")
    box = store.write_now(create_mailbox, NewMailbox(amal.account_id, "Trip", NOW_MS))
    current(store, amal, box)
    with pytest.raises(NoSuchMailbox):
        current(store, sami, box)
    store.write_now(delete_mailbox, DeleteMailbox(amal.account_id, "Trip"))
    with pytest.raises(NoSuchMailbox):
        current(store, amal, box)


def test_an_older_snapshot_gets_the_newer_table(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    put(store, amal, 2)

    def look(conn: Connection) -> tuple[MessageTable, MessageTable]:
        older = store.tables.current(conn, amal.account_id, amal.inbox)
        put(store, amal, 1)
        newer = current(store, amal)
        assert newer.modseq > older.modseq
        return store.tables.current(conn, amal.account_id, amal.inbox), newer

    found, newer = store.read_now(look)
    assert found is newer


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([], []),
        ([1], [0]),
        ([2], []),
        ([3, 5, 7], [1, 2, 3]),
        ([1, 2, 3, 99], [0, 1, 49]),
        ([1, 199], [0, 99]),
        ([99, 100], [49]),
        (list(range(1, 200)), list(range(100))),
    ],
)
def test_places(wanted: list[int], places: list[int]) -> None:
    builder = message_table.TableBuilder(MailboxId(1), ModSeq(9), Uid(200))
    builder.add([(uid, 1, 0, "", 0, 1, 0) for uid in range(1, 200, 2)])
    table = builder.finish()
    assert list(table.places_of(wanted)) == places


def test_a_uid_that_is_named_twice(store: Store) -> None:
    """UIDs 2, 2, 4 are no range: the message between them stays as it is."""
    amal = make_account(store, "amal@north.test")
    put(store, amal, 5)
    uids = (Uid(2), Uid(2), Uid(4))
    mark = FlagChange(amal.account_id, amal.inbox, uids, FlagMode.ADD, frozenset({"\\Flagged"}))
    assert [one.uid for one in store.write_now(change_flags, mark)] == [2, 4]
    table = current(store, amal)
    assert ["\\Flagged" in table.flag_sets[kind].flags for kind in table.kinds] == [
        number in uids for number in range(1, 6)
    ]
    gone = ExpungeMessages(amal.account_id, amal.inbox, uids, deleted_only=False)
    assert store.write_now(expunge_messages, gone) == (2, 4)
    assert list(current(store, amal).uids) == [1, 3, 5]


def test_what_is_in_memory_is_given_only_while_it_is_true(store: Store) -> None:
    amal, sami = make_account(store, "amal@north.test"), make_account(store, "sami@north.test")
    put(store, amal, 3)
    tables = store.tables

    def kept(account: AccountEntry) -> list[object]:
        def look(conn: Connection) -> list[object]:
            box = find_mailbox(conn, amal.account_id, "INBOX")
            assert box is not None
            snapshot = tables.kept_snapshot(conn, account.account_id, "INBOX")
            is_amal = snapshot is not None and snapshot.mailbox.mailbox_id == amal.inbox
            return [
                tables.kept(conn, account.account_id, amal.inbox),
                snapshot if is_amal else None,
                tables.kept_count(box) if account is amal else None,
            ]

        return store.read_now(look)

    def load() -> None:
        account_id, boxes = amal.account_id, [amal.inbox]
        store.read_now(lambda conn: tables.snapshot(conn, account_id, "INBOX"))
        store.read_now(lambda conn: tables.count(conn, boxes))

    assert kept(amal) == [None] * 3
    for change in (None, "\\Seen", "\\Deleted"):
        if change is not None:
            uids, words = (Uid(2),), frozenset({change})
            add = FlagChange(amal.account_id, amal.inbox, uids, FlagMode.ADD, words)
            store.write_now(change_flags, add)
            assert kept(amal) == [None] * 3
        load()
        table, snapshot, counts = kept(amal)
        assert isinstance(table, MessageTable)
        assert isinstance(snapshot, MailboxSnapshot)
        require_equal(store, amal, table)
        assert snapshot.uids == table.uids
        assert snapshot.mailbox.modseq == table.modseq
        asked = [amal.inbox]
        assert counts == store.read_now(lambda conn: count_messages(conn, asked))[amal.inbox]  # noqa: B023
        assert kept(sami) == [None] * 3, "an id is never enough"


def test_only_a_local_database_is_read_at_once(store: Store) -> None:
    found = store.read_at_once(lambda conn: conn.scalar(sa.text("SELECT 1")))
    assert found == (1 if store.read_now(lambda conn: conn.dialect.name) == "sqlite" else None)
