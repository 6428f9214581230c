"""Messages in the store: MODSEQ, tombstones, shared blobs, prefix and blob as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.store import NOW_MS, make_account, make_intake
from zajil.core.directory import AccountEntry
from zajil.core.ids import MailboxId, ModSeq, Uid
from zajil.store.engine.open import Store
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.flag_changes import (
    FlagChange,
    FlagChanges,
    FlagMode,
    KnownFlags,
    change_flags,
    change_known_flags,
)
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    PutMessage,
    expunge_messages,
    put_messages,
)
from zajil.store.mail.message_copies import (
    CopyMessages,
    copy_messages,
    move_messages,
)
from zajil.store.mail.messages import (
    MailboxChanges,
    Message,
    changes_since,
    get_messages,
    list_uids,
    open_message,
    read_message,
)
from zajil.store.mail.right_changes import ChangeRights, Grant, change_rights
from zajil.store.mail.summaries import newest_summaries
from zajil.store.schema import blob, message


def put(store: Store, account: AccountEntry, text: bytes = b"Subject: x\r\n\r\n") -> Uid:
    staged = store.blobs.stage([text])
    item = PutMessage(account.account_id, account.inbox, staged, frozenset({"$x"}), NOW_MS)
    return store.write_now(put_messages, item).uid


def changes(
    store: Store, account: AccountEntry, known: MailboxChanges | None = None
) -> MailboxChanges:
    """Return what happened since the caller knew something; ``None``: it knew nothing."""
    place = (ModSeq(0), Uid(1)) if known is None else (known.modseq, known.uid_next)
    found = store.read_now(
        lambda conn: changes_since(conn, account.account_id, account.inbox, *place)
    )
    assert found is not None
    return found


def all_of(store: Store, box: MailboxId) -> list[Message]:
    return store.read_now(lambda conn: get_messages(conn, box, list_uids(conn, box)))


def blob_count(store: Store) -> int:
    count = sa.select(sa.func.count()).select_from(blob)
    return store.read_now(lambda conn: conn.execute(count).scalar_one())


def flags(account: AccountEntry, uids: tuple[int, ...], mode: FlagMode, *words: str) -> FlagChange:
    return FlagChange(
        account.account_id, account.inbox, tuple(map(Uid, uids)), mode, frozenset(words)
    )


def spell_keywords(tx: Connection, items: Sequence[tuple[int, str]]) -> list[None]:
    """Write rows as they were before keywords were compared without case."""
    for uid, words in items:
        tx.execute(sa.update(message).where(message.c.uid == uid).values(keywords=words))
    return [None] * len(items)


def test_who_follows_sees_every_change_once(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    start = changes(store, amal)
    assert [put(store, amal) for _ in range(3)] == [1, 2, 3]
    first = changes(store, amal, start)
    assert [one.uid for one in first.changed] == [1, 2, 3]
    assert first.uid_next == 4
    store.write_now(change_flags, flags(amal, (1, 3, 99), FlagMode.ADD, "\\Seen", "$y"))
    second = changes(store, amal, first)
    assert [(one.uid, one.flags) for one in second.changed] == [
        (Uid(1), frozenset({"\\Seen", "$x", "$y"})),
        (Uid(3), frozenset({"\\Seen", "$x", "$y"})),
    ]
    expunge = ExpungeMessages(amal.account_id, amal.inbox, (Uid(2), Uid(99)), deleted_only=False)
    assert store.write_now(expunge_messages, expunge) == (2,)
    third = changes(store, amal, second)
    assert (third.changed, third.expunged) == ((), (2,))
    assert changes(store, amal, third) == MailboxChanges(
        modseq=third.modseq, uid_next=Uid(4), recent_from=Uid(1), changed=(), expunged=()
    )


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_who_follows_in_portions_sees_every_message(store: Store, most: int) -> None:
    """Also those that came in an early portion of changes, and did not change since."""
    amal = make_account(store, "amal@north.test")
    put(store, amal)
    start = changes(store, amal)
    for _ in range(5):
        put(store, amal)
    store.write_now(change_flags, flags(amal, (1, 3), FlagMode.ADD, "\\Seen"))
    expunge = ExpungeMessages(amal.account_id, amal.inbox, (Uid(4),), deleted_only=False)
    store.write_now(expunge_messages, expunge)
    place, more, told = (start.modseq, start.uid_next), True, []
    while more:
        found = store.read_now(
            lambda conn: changes_since(conn, amal.account_id, amal.inbox, *place, most)  # noqa: B023
        )
        assert found is not None
        told += [one.uid for one in found.changed]
        place, more = (found.modseq, found.uid_next), found.more
    assert sorted(told) == [1, 2, 3, 5, 6]
    assert place == (changes(store, amal).modseq, 7)


def test_flags_that_stay_the_same_keep_their_modseq(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    put(store, amal)
    (one,) = store.write_now(change_flags, flags(amal, (1,), FlagMode.ADD, "\\Seen"))
    (again,) = store.write_now(change_flags, flags(amal, (1,), FlagMode.ADD, "\\Seen"))
    assert again == one
    (less,) = store.write_now(change_flags, flags(amal, (1,), FlagMode.REMOVE, "$x"))
    assert less.flags == {"\\Seen"}
    assert less.modseq > one.modseq
    (new,) = store.write_now(change_flags, flags(amal, (1,), FlagMode.REPLACE, "\\Draft"))
    assert new.flags == {"\\Draft"}


def test_keywords_have_no_case(store: Store) -> None:
    """RFC 3501 section 9: strings of the grammar are without case; the first spelling stays."""
    amal = make_account(store, "amal@north.test")
    put(store, amal)
    (one,) = store.write_now(change_flags, flags(amal, (1,), FlagMode.ADD, "$X", "Work"))
    assert one.flags == {"$x", "Work"}
    (same,) = store.write_now(change_flags, flags(amal, (1,), FlagMode.ADD, "WORK", "\\Seen"))
    assert same.flags == {"$x", "Work", "\\Seen"}
    (other,) = store.write_now(change_flags, flags(amal, (1,), FlagMode.REPLACE, "work", "New"))
    assert other.flags == {"Work", "New"}
    (again,) = store.write_now(change_flags, flags(amal, (1,), FlagMode.REPLACE, "NEW", "WORK"))
    assert again == other, "nothing changed, so the MODSEQ stays"
    (less,) = store.write_now(change_flags, flags(amal, (1,), FlagMode.REMOVE, "wOrK"))
    assert less.flags == {"New"}


def test_a_keyword_that_is_stored_in_two_spellings_is_one(store: Store) -> None:
    """As stores have it from before keywords were compared without case."""
    amal = make_account(store, "amal@north.test")
    put(store, amal)
    put(store, amal)
    for uid, words in ((1, "Seen WORK Work"), (2, "seen work")):
        store.write_now(spell_keywords, (uid, words))
    snapshot = store.read_now(lambda conn: store.tables.snapshot(conn, amal.account_id, "INBOX"))
    assert snapshot is not None
    assert snapshot.keywords == ("Seen", "WORK")
    (one,) = changes(store, amal).changed[:1]
    assert one.flags == {"Seen", "WORK"}
    (less,) = store.write_now(change_flags, flags(amal, (1,), FlagMode.REMOVE, "work"))
    assert less.flags == {"Seen"}
    assert changes(store, amal).changed[0].flags == {"Seen"}


def test_copies_share_a_blob_until_the_last_is_gone(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    item = make_intake(store.blobs.stage([b"Subject: x\r\n\r\nbody\r\n"]), local=[amal])
    store.write_now(write_intakes, item)
    want = b"Delivered-To: amal@north.test\r\nSubject: x\r\n\r\nbody\r\n"
    copy = CopyMessages(amal.account_id, amal.inbox, (Uid(1), Uid(9)), amal.junk)
    assert store.write_now(copy_messages, copy).uids == ((1, 1),)
    assert store.write_now(move_messages, copy).uids == ((1, 2),)
    assert all_of(store, amal.inbox) == []
    copies = all_of(store, amal.junk)
    assert blob_count(store) == 1
    for one in copies:
        assert (one.size, one.mail_id) == (len(want), item.mail_id)
        assert store.read_now(lambda conn: read_message(conn, store.blobs, one)) == want  # noqa: B023
    expunge = ExpungeMessages(amal.account_id, amal.junk, deleted_only=False, for_good=True)
    assert store.write_now(expunge_messages, expunge) == (1, 2)
    assert blob_count(store) == 0


def test_a_message_is_read_from_any_place(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    store.write_now(write_intakes, make_intake(store.blobs.stage([b"0123456789"]), local=[amal]))
    (one,) = all_of(store, amal.inbox)
    whole = one.prefix + b"0123456789"
    reader = store.read_now(lambda conn: open_message(conn, store.blobs, one))
    with reader:
        for start in range(len(whole) + 2):
            for size in (0, 1, 5, 100):
                assert reader.read_at(start, size) == whole[start : start + size]


def test_only_what_is_marked_is_expunged(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    for _ in range(3):
        put(store, amal)
    store.write_now(change_flags, flags(amal, (1, 2), FlagMode.ADD, "\\Deleted"))
    only = ExpungeMessages(amal.account_id, amal.inbox, (Uid(2), Uid(3)))
    assert store.write_now(expunge_messages, only) == (2,)
    assert store.write_now(expunge_messages, only) == ()
    assert [one.uid for one in all_of(store, amal.inbox)] == [1, 3]
    newest = store.read_now(lambda conn: newest_summaries(conn, amal.inbox, 1))
    assert [one.uid for one, _ in newest] == [3]


def test_nobody_changes_the_messages_of_another(store: Store) -> None:
    amal, sami = make_account(store, "amal@north.test"), make_account(store, "sami@north.test")
    put(store, amal)
    mine, theirs = sami.account_id, amal.inbox
    add = FlagChange(mine, theirs, (Uid(1),), FlagMode.ADD, frozenset({"\\Seen"}))
    with pytest.raises(NoSuchMailbox):
        store.write_now(change_flags, add)
    with pytest.raises(NoSuchMailbox):
        store.write_now(expunge_messages, ExpungeMessages(mine, theirs, deleted_only=False))
    for source, target in ((theirs, sami.inbox), (sami.inbox, theirs)):
        with pytest.raises(NoSuchMailbox):
            store.write_now(copy_messages, CopyMessages(mine, source, (Uid(1),), target))
        with pytest.raises(NoSuchMailbox):
            store.write_now(move_messages, CopyMessages(mine, source, (Uid(1),), target))
    assert store.read_now(lambda conn: changes_since(conn, mine, theirs, ModSeq(0), Uid(1))) is None


def test_a_snapshot_says_what_select_needs(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    put(store, amal)
    put(store, amal)
    store.write_now(change_flags, flags(amal, (1,), FlagMode.ADD, "\\Seen"))
    snapshot = store.read_now(lambda conn: store.tables.snapshot(conn, amal.account_id, "INBOX"))
    assert snapshot is not None
    assert list(snapshot.uids) == [1, 2]
    assert snapshot.keywords == ("$x",)
    assert snapshot.first_unseen == 2


def test_many_messages_in_one_command(store: Store) -> None:
    """More than one statement can name."""
    amal = make_account(store, "amal@north.test")
    staged = store.blobs.stage([b"x"])
    store.write_now(write_intakes, make_intake(staged, local=[amal] * 2500))
    uids = tuple(store.read_now(lambda conn: list_uids(conn, amal.inbox)))
    assert len(uids) == 2500
    move = CopyMessages(amal.account_id, amal.inbox, uids, amal.junk)
    assert len(store.write_now(move_messages, move).uids) == 2500
    first = changes(store, amal)
    assert (first.more, first.expunged) == (True, ()), "what one commit changed is told at once"
    assert len(changes(store, amal, first).expunged) == 2500


def put_many(store: Store, account: AccountEntry, count: int) -> list[Uid]:
    """Put messages with 40 different texts of keywords in all, and expunge every seventh."""
    for number in range(count):
        words = frozenset({f"$k{number % 40}", *(["\\Seen"] if number % 3 else [])})
        staged = store.blobs.stage([b"Subject: %d\r\n\r\n" % number])
        item = PutMessage(account.account_id, account.inbox, staged, words, NOW_MS + number)
        store.write_now(put_messages, item)
    gone = tuple(Uid(uid) for uid in range(1, count + 1) if uid % 7 == 0)
    expunge = ExpungeMessages(account.account_id, account.inbox, gone, deleted_only=False)
    store.write_now(expunge_messages, expunge)
    return store.read_now(lambda conn: list_uids(conn, account.inbox))


def test_messages_with_many_different_flags_are_changed_at_once(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    uids = put_many(store, amal, 130)
    before = {one.uid: one for one in all_of(store, amal.inbox)}
    change = flags(amal, tuple(range(1, 131)), FlagMode.ADD, "\\Seen", "$k3")
    changed = store.write_now(change_flags, change)
    done = list(changed)
    assert [one.uid for one in done] == uids
    assert len({one.modseq for one in done if one.modseq != one.previous}) == 1
    for one, now in zip(done, all_of(store, amal.inbox), strict=True):
        assert (one.uid, one.modseq, one.flags) == (now.uid, now.modseq, now.flags)
        assert now.flags == before[now.uid].flags | {"\\Seen", "$k3"}
        assert one.previous == before[now.uid].modseq
        is_same = now.flags == before[now.uid].flags
        assert (one.modseq == one.previous) is is_same
    # What was changed since is refused; the others are changed.
    newest = min(one.modseq for one in done if one.modseq != one.previous) - 1
    remove = replace(flags(amal, tuple(uids), FlagMode.REMOVE, "$k3"), unchanged_since=newest)
    left = store.write_now(change_flags, remove)
    assert [one.refused for one in left] == [one.modseq > newest for one in done]
    for one in left:
        assert ("$k3" in one.flags) is one.refused


def test_copies_have_the_flags_that_the_account_may_set(store: Store) -> None:
    """RFC 4314 section 4: right ``w`` is for keywords, ``s`` for \\Seen."""
    amal, sami = make_account(store, "amal@north.test"), make_account(store, "sami@north.test")
    uids = put_many(store, amal, 130)
    grant = Grant("amal", frozenset("lrsi"))
    store.write_now(change_rights, ChangeRights(sami.account_id, "INBOX", grant))
    own = all_of(store, amal.inbox)
    copy = CopyMessages(amal.account_id, amal.inbox, tuple(uids), sami.inbox)
    copied = store.write_now(copy_messages, copy)
    assert copied.uids == tuple(zip(uids, range(1, len(uids) + 1), strict=True))
    copies = all_of(store, sami.inbox)
    assert [one.uid for one in copies] == list(copied.targets)
    for one, other in zip(own, copies, strict=True):
        assert other.flags == one.flags & {"\\Seen"}
        assert (other.blob_id, other.received_at_ms) == (one.blob_id, one.received_at_ms)
    assert [one.modseq for one in copies] == sorted({one.modseq for one in copies})
    again = store.write_now(copy_messages, replace(copy, target_id=amal.junk))
    assert again.uids == copied.uids
    assert [one.flags for one in all_of(store, amal.junk)] == [one.flags for one in own]


def test_what_is_known_of_flags_is_used_only_while_it_is_true(store: Store) -> None:
    """A table in memory stands for the rows, unless something was changed since."""
    amal = make_account(store, "amal@north.test")
    uids = put_many(store, amal, 60)
    account_id, half = amal.account_id, len(uids) // 2
    table = store.read_now(lambda conn: store.tables.current(conn, account_id, amal.inbox))
    first = flags(amal, tuple(uids[:half]), FlagMode.ADD, "$one")
    done = store.write_now(change_known_flags, (first, KnownFlags(table, table.modseq)))
    assert done.modseq == table.modseq + 1
    # The other half is as it was; then somebody else changes it.
    known = KnownFlags(table, done.modseq)
    change = flags(amal, tuple(uids), FlagMode.ADD, "$two")
    store.write_now(change_known_flags, (replace(change, uids=tuple(uids[half:])), known))
    assert {("$one" in one.flags, "$two" in one.flags) for one in all_of(store, amal.inbox)} == {
        (True, False),
        (False, True),
    }
    last = store.write_now(change_known_flags, (change, known))
    now = all_of(store, amal.inbox)
    assert [(one.uid, one.modseq, one.flags) for one in last] == [
        (one.uid, one.modseq, one.flags) for one in now
    ]
    assert all("$two" in one.flags for one in now)
    # One that is gone by now is passed over.
    known = KnownFlags(table, table.modseq)
    gone = ExpungeMessages(amal.account_id, amal.inbox, (uids[0],), deleted_only=False)
    store.write_now(expunge_messages, gone)
    assert len(store.write_now(change_known_flags, (change, known))) == len(uids) - 1


def test_changes_that_share_a_commit_see_each_other(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    uids = put_many(store, amal, 10)
    account_id = amal.account_id
    table = store.read_now(lambda conn: store.tables.current(conn, account_id, amal.inbox))

    def both(tx: Connection, items: Sequence[tuple[str, ...]]) -> list[list[FlagChanges]]:
        known = KnownFlags(table, table.modseq)
        changes = [flags(amal, tuple(uids), FlagMode.ADD, word) for word in items[0]]
        return [change_known_flags(tx, [(one, known) for one in changes])]

    store.write_now(both, ("$one", "$two"))
    assert all(one.flags >= {"$one", "$two"} for one in all_of(store, amal.inbox))
