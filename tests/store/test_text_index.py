"""The index of words in a store: what is found, what is told to be read, what goes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kit.mail import make_message
from kit.store import NOW_MS, make_account, make_intake, open_test_store, running
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.message.word_query import parse_query
from zajil.read.index_merger import merge_account_now
from zajil.read.indexer import Indexer, read_summaries, reindex
from zajil.store.engine.open import Store
from zajil.store.mail.append import Appended
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.mailboxes import find_mailbox
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
from zajil.store.mail.messages import get_messages, list_uids
from zajil.store.mail.summaries import (
    find_threadless,
    find_waiting,
    has_threadless,
    write_summaries,
)
from zajil.store.mail.text_cache import TextCache
from zajil.store.mail.text_lookup import (
    SearchScope,
    TextHits,
    find_hits,
    find_unindexed,
    find_words,
)
from zajil.store.mail.text_merge import (
    FAN,
    Replacement,
    find_mergeable,
    find_stale,
    load_segments,
    merge_segments,
    replace_segments,
)
from zajil.store.people.accounts import delete_account
from zajil.store.repair.check import find_damage, repair
from zajil.store.schema import blob, message, text_block, text_segment


def put(store: Store, who: AccountEntry, *texts: str, subject: str = "Lunch") -> list[Uid]:
    datas = [make_message(subject=subject, text=text) for text in texts]
    items = [
        PutMessage(who.account_id, who.inbox, store.blobs.stage([data]), frozenset(), NOW_MS)
        for data in datas
    ]
    return [one.uid for one in store.write_now(put_together, items)]


def put_together(tx: sa.Connection, items: Sequence[Sequence[PutMessage]]) -> list[list[Appended]]:
    """Unit of work: put several messages as one item."""
    return [put_messages(tx, messages) for messages in items]


def index(store: Store, *whose: AccountEntry) -> None:
    """Index as the background does, in this thread."""
    index_now(store)
    for who in whose:
        merge_account_now(store, who.account_id)


def index_now(store: Store) -> None:
    """Index without merging."""
    while waiting := store.read_now(lambda conn: find_waiting(conn, 1000)):
        new = store.read_now(lambda conn: read_summaries(conn, store.blobs, waiting))
        store.write_now(write_summaries, new)


def possible(
    store: Store, who: AccountEntry, term: str, scope: SearchScope = SearchScope.TEXT
) -> set[int] | None:
    return possible_in(store, who.inbox, term, scope)


def possible_in(
    store: Store, mailbox_id: MailboxId, term: str, scope: SearchScope = SearchScope.TEXT
) -> set[int] | None:
    """Look up by what is kept in memory, without it, and where there is no room for it: all say the
    same of what is there.
    """

    def look(conn: sa.Connection) -> tuple[TextHits | None, TextHits | None, set[Uid]]:
        kept = find_hits(conn, mailbox_id, term, scope, store.text_cache)
        small = TextCache(1, 1, 1)
        for name in ("Archive", "INBOX"):
            other = find_mailbox(conn, AccountId(1), name)
            if other is not None:
                find_hits(conn, other.mailbox_id, term, scope, small)
        assert find_hits(conn, mailbox_id, term, scope, small) == find_hits(
            conn, mailbox_id, term, scope
        )
        assert small.opened.memory == 0
        return kept, find_hits(conn, mailbox_id, term, scope), set(list_uids(conn, mailbox_id))

    kept, anew, there = store.read_now(look)
    if kept is None or anew is None:
        assert kept is anew
        return None
    assert sorted(there & set(kept.possible)) == list(anew.possible)
    assert sorted(there & set(kept.sure)) == list(anew.sure)
    return set(anew.possible)


def by_words(store: Store, who: AccountEntry, query: str) -> set[Uid]:
    def find(conn: sa.Connection) -> set[Uid]:
        blobs = find_words(conn, who.account_id, parse_query(query))
        rows = get_messages(conn, who.inbox, list_uids(conn, who.inbox))
        return {row.uid for row in rows if row.blob_id in blobs}

    return store.read_now(find)


def count(store: Store, table: sa.Table) -> int:
    query = sa.select(sa.func.count()).select_from(table)
    return store.read_now(lambda conn: conn.scalar(query) or 0)


def segments(store: Store) -> list[int]:
    query = sa.select(text_segment.c.messages).order_by(text_segment.c.id)
    return store.read_now(lambda conn: list(conn.scalars(query)))


def test_what_is_not_indexed_yet_is_read(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    first, second = put(store, amal, "apple pie", "cherry cake")
    assert possible(store, amal, "pie") == {first, second}
    index_now(store)
    assert possible(store, amal, "pie") == {first}
    (third,) = put(store, amal, "nothing")
    assert possible(store, amal, "pie") == {first, third}


def test_pieces_of_texts(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    put(store, amal, "apple pie", "السَّلام عليكم")
    put(store, amal, "cake", "中文邮件", subject="Pie")
    index(store)
    for term, scope, uids in (
        ("ppl", SearchScope.TEXT, {1}),
        ("apple pi", SearchScope.BODY, {1}),
        ("pie", SearchScope.BODY, {1, 3, 4}),
        ("pie", SearchScope.SUBJECT, {3, 4}),
        ("PIE", SearchScope.TEXT, {1, 3, 4}),
        ("سلام", SearchScope.BODY, {2}),
        ("عليك", SearchScope.BODY, {2}),
        ("文邮", SearchScope.BODY, {4}),
        ("邮", SearchScope.BODY, {4}),
        ("zebra", SearchScope.TEXT, set()),
        ("sami@", SearchScope.SENDER, set()),
        ("sami@", SearchScope.RECIPIENT, {1, 2, 3, 4}),
        ("amal@north.test", SearchScope.SENDER, {1, 2, 3, 4}),
        ("a@", SearchScope.SENDER, None),
        ("!", SearchScope.TEXT, None),
    ):
        assert possible(store, amal, term, scope) == uids, term


def test_a_mailbox_is_looked_up_in_the_index_of_its_owner(store: Store) -> None:
    """Whoever may read it finds what is in it, and nothing of the owner's other mailboxes."""
    amal, sami = make_account(store, "amal@y.test"), make_account(store, "sami@y.test")
    put(store, amal, "apple pie", "cake")
    put(store, sami, "pie")
    index(store, amal, sami)
    archive = store.read_now(lambda conn: find_mailbox(conn, amal.account_id, "Archive"))
    assert archive is not None
    assert possible_in(store, amal.inbox, "pie") == {1}
    assert possible_in(store, archive.mailbox_id, "pie") == set()


def test_what_is_kept_in_memory_follows_copies_moves_and_merges(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    archive = store.read_now(lambda conn: find_mailbox(conn, amal.account_id, "Archive"))
    assert archive is not None
    uids = put(store, amal, *[f"word{n} pie" for n in range(40)])
    index(store, amal)
    assert possible(store, amal, "word7") == {8}
    assert possible_in(store, archive.mailbox_id, "pie") == set()

    # The blobs of copies are in segments that are known already, some of them twice.
    some = uids[5:9]
    copy = CopyMessages(amal.account_id, amal.inbox, tuple(some), archive.mailbox_id)
    store.write_now(copy_messages, copy)
    store.write_now(copy_messages, copy)
    assert possible_in(store, archive.mailbox_id, "word7") == {3, 7}
    assert possible_in(store, archive.mailbox_id, "pie") == set(range(1, 9))
    back = CopyMessages(amal.account_id, archive.mailbox_id, (Uid(3),), amal.inbox)
    store.write_now(copy_messages, back)
    assert possible(store, amal, "word7") == {8, 41}

    # New segments, and old ones that were merged.
    for number in range(40, 60):
        put(store, amal, f"word{number} pie")
        index(store, amal)
        assert possible(store, amal, f"word{number}") == {number + 2}
    assert possible(store, amal, "pie") == set(range(1, 62))
    assert possible_in(store, archive.mailbox_id, "pie") == set(range(1, 9))


def test_words_of_header_fields_that_are_put_in_front(store: Store) -> None:
    """Delivered-To belongs to a copy: it is found, and only by whose copy it is."""
    huda, nour = make_account(store, "huda@y.test"), make_account(store, "nour@y.test")
    item = make_intake(store.blobs.stage([make_message()]), local=[huda, nour])
    store.write_now(write_intakes, item)
    index_now(store)
    assert count(store, text_segment) == 2
    prefixes = store.read_now(lambda conn: list(conn.scalars(sa.select(message.c.prefix))))
    assert all("Delivered-To" in prefix for prefix in prefixes)
    assert possible(store, huda, "delivered-to: huda@") == {1}
    assert possible(store, huda, "delivered-to: nour@") == set()
    assert by_words(store, huda, "delivered") == set()


def test_copies_are_found_where_they_are(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    (uid,) = put(store, amal, "apple pie")
    index_now(store)
    archive = store.read_now(lambda conn: find_mailbox(conn, amal.account_id, "Archive"))
    assert archive is not None
    copy = CopyMessages(amal.account_id, amal.inbox, (uid,), archive.mailbox_id)
    store.write_now(copy_messages, copy)
    assert store.read_now(lambda conn: find_waiting(conn, 10)) == []
    for term, wanted in (("pie", {1}), ("zebra", set())):
        assert possible_in(store, archive.mailbox_id, term) == wanted


def test_a_message_that_cannot_be_read_is_always_read(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    (lost,) = put(store, amal, "apple pie")
    with store._dialect.writer.begin() as conn:  # what no unit of work does
        conn.execute(sa.delete(blob))
    put(store, amal, "word " * 300_000, "cherry")
    index(store)
    assert possible(store, amal, "zebra") == {lost, 2}
    assert store.read_now(lambda conn: find_unindexed(conn, amal.inbox)) == [lost, 2]


def test_words_in_any_form(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    put(store, amal, "annual meetings, many reports", "والسَّلام عليكم", subject="Plans")
    put(store, amal, "中文邮件")
    index(store)
    rows = store.read_now(lambda conn: get_messages(conn, amal.inbox, [Uid(1), Uid(2), Uid(3)]))
    for query, uids in (
        ("meeting", {1}),
        ("MEET", {1}),
        ("سلام", {2}),
        ("meetings reports", {1}),
        ("meeting zebra", set()),
        ("subject:plan", {1, 2}),
        ("subject:meeting", set()),
        ("from:amal@north.test plan", {1, 2}),
        ("from:zebra", set()),
        ('"annual meetings"', {1}),
        ("邮件", {3}),
        ("件", {3}),
        ("...", set()),
        ("", set()),
    ):
        assert by_words(store, amal, query) == uids, query
        parsed = parse_query(query)
        read = store.read_now(lambda conn: [store.blobs.read(conn, row.blob_id) for row in rows])
        held = {row.uid for row, data in zip(rows, read, strict=True) if parsed.holds(data)}
        assert held == (uids if parsed.words else {1, 2, 3}), query


def test_phrases_are_looked_for_in_the_text(store: Store) -> None:
    data = make_message(subject="The annual report", text="We meet in the\r\ngreat hall.")
    for query, wanted in (
        ('"the great hall"', True),
        ('"great the"', False),
        ('subject:"annual report"', True),
        ('subject:"report annual"', False),
        ('"annual report" halls', True),
    ):
        assert parse_query(query).phrases
        assert parse_query(query).holds(data) is wanted


def test_segments_are_merged(store: Store) -> None:
    amal, sami = make_account(store, "amal@y.test"), make_account(store, "sami@y.test")
    uids = put(store, amal, *[f"number n{number} common" for number in range(FAN * 9 - 1)])
    put(store, sami, "common zebra")
    index(store, amal, sami)
    sizes = segments(store)
    assert sum(sizes) == len(uids) + 1
    assert len(sizes) <= 2 * FAN
    for number, uid in list(enumerate(uids))[::10]:
        assert possible(store, amal, f" n{number} ") == {uid}
    assert possible(store, amal, "common") == set(uids)
    assert possible(store, amal, "zebra") == set()
    assert store.read_now(lambda conn: find_mergeable(conn, amal.account_id)) == []


def test_deleted_messages_leave_the_index(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    uids = put(store, amal, *[f"number n{number} common" for number in range(FAN)])
    gone = ExpungeMessages(
        amal.account_id, amal.inbox, tuple(uids[:3]), deleted_only=False, for_good=True
    )

    async def run() -> None:
        async with running(store):
            indexer = Indexer(store)
            await indexer.index_waiting()
            assert segments(store) == [FAN]
            await store.write(expunge_messages, gone)
            assert possible(store, amal, "common") == set(uids[3:])
            assert store.read_now(lambda conn: len(find_stale(conn, amal.account_id))) == 1
            await indexer.prune()
            assert segments(store) == [FAN - 3]
            assert possible(store, amal, " n4 ") == {uids[4]}
            await store.write(expunge_messages, replace(gone, uids=None))
            await indexer.prune()

    asyncio.run(run())
    assert (count(store, text_segment), count(store, text_block)) == (0, 0)


def test_the_index_goes_with_the_account(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    put(store, amal, "apple pie", "cherry")
    index(store)
    store.write_now(delete_account, amal.account_id)
    assert (count(store, text_segment), count(store, text_block)) == (0, 0)


def test_indexing_anew(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    first, second = put(store, amal, "apple pie", "cherry cake")
    index(store)
    before = store.read_now(lambda conn: list(conn.scalars(sa.select(text_segment.c.id))))
    with store._dialect.writer.begin() as conn:  # an index that lost its words
        conn.execute(sa.delete(text_block))
    assert possible(store, amal, "pie") == set()
    damage = find_damage(store, is_served=False, progress=lambda _done, _total: None)
    assert {one.kind for one in damage} == {"wrong-count"}
    reindex(store, lambda _done, _total: None)
    assert possible(store, amal, "pie") == {first}
    assert possible(store, amal, "cake") == {second}
    after = store.read_now(lambda conn: list(conn.scalars(sa.select(text_segment.c.id))))
    assert not set(before) & set(after)
    assert find_damage(store, is_served=False, progress=lambda _done, _total: None) == []


def test_what_is_left_of_accounts_that_are_gone_is_removed(store: Store) -> None:
    make_account(store, "amal@y.test")
    with store._dialect.writer.begin() as conn:  # what no unit of work does
        conn.execute(sa.insert(text_segment).values(account_id=99, messages=1, blob_ids=b""))
        conn.execute(
            sa.insert(text_block).values(
                segment_id=77, first_word=b"a", last_word=b"a", words=b"", numbers=b""
            )
        )
    damage = find_damage(store, is_served=False, progress=lambda _done, _total: None)
    assert [one.can_repair for one in damage] == [True] * 3
    repair(store, is_served=False)
    assert find_damage(store, is_served=False, progress=lambda _done, _total: None) == []
    assert (count(store, text_segment), count(store, text_block)) == (0, 0)


def test_a_merge_that_came_too_late_changes_nothing(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    uids = put(store, amal, *["apple pie"] * FAN)
    index_now(store)
    ids = store.read_now(lambda conn: find_mergeable(conn, amal.account_id))
    assert len(ids) == FAN
    loaded = store.read_now(lambda conn: load_segments(conn, ids))
    item = Replacement(amal.account_id, loaded, list(merge_segments(loaded)))
    results: Sequence[bool] = [store.write_now(replace_segments, item) for _ in range(2)]
    assert list(results) == [True, False]
    assert segments(store) == [FAN]
    assert possible(store, amal, "pie") == set(uids)


def test_sqlite_looks_at_no_message_that_is_indexed(tmp_path: Path) -> None:
    """What waits, and what is always read, is found by an index of these messages alone."""
    store = open_test_store("sqlite", tmp_path / "data")
    amal = make_account(store, "amal@y.test")
    statements: list[tuple[str, Any]] = []
    sa.event.listens_for(store.reader.engine, "before_cursor_execute")(
        lambda conn, cursor, statement, given, context, many: statements.append((statement, given))
    )
    store.read_now(lambda conn: find_waiting(conn, 10))
    store.read_now(lambda conn: find_unindexed(conn, amal.inbox))
    store.read_now(lambda conn: find_threadless(conn, amal.inbox, "", 10))
    store.read_now(lambda conn: has_threadless(conn, amal.inbox))
    plans = []
    for statement, given in statements[:4]:
        with store.reader.engine.connect() as conn:
            rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given).all()
            plans.append([row[3] for row in rows])
    store.close_now()
    waiting, unindexed, *threadless = plans
    assert waiting == ["SCAN message USING COVERING INDEX ix_message_waiting"]
    wanted = "SEARCH message USING COVERING INDEX ix_message_unindexed (mailbox_id=?)"
    assert unindexed == [wanted]
    for plan in threadless:
        assert "SEARCH message USING PRIMARY KEY (mailbox_id=? AND uid=?)" in plan
        assert wanted in plan
