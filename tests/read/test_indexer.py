"""The indexer: every message gets a summary and a thread, whatever it is and whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from imap.test_message import LINES
from kit.mail import make_message
from kit.store import NOW_MS, make_account, make_intake, open_test_store, running
from zajil.core.directory import AccountEntry
from zajil.core.ids import BlobId, MailboxId, ThreadId, Uid
from zajil.imap.body_structure import body_structure
from zajil.imap.envelope import envelope
from zajil.message.parse import parse_message
from zajil.message.summary import Summary
from zajil.read.indexer import MAX_FORM, Indexer, make_summary, read_summaries, reindex
from zajil.store.engine.open import Store
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
    move_messages,
)
from zajil.store.mail.message_rows import RowItem, read_rows
from zajil.store.mail.messages import Message, get_messages, list_uids
from zajil.store.mail.summaries import (
    MAX_TRIES,
    ReadingTry,
    WaitingBlob,
    find_summaries,
    find_waiting,
    newest_summaries,
    note_tries,
    write_summaries,
)
from zajil.store.mail.text_lookup import find_hits, find_unindexed
from zajil.store.mail.threads import prune_threads
from zajil.store.people.accounts import delete_account
from zajil.store.schema import blob, message, summary, thread_link


@given(LINES)
def test_what_is_kept_is_what_the_message_says(data: bytes) -> None:
    """Also of a message with header fields in front of it, as its recipient sees it."""
    made = make_summary(BlobId("b"), data)
    for prefix in (b"", b"Return-Path: <a@b>\r\nDelivered-To: c@d\r\n"):
        seen = prefix + data
        root = parse_message(seen)
        assert made.envelope in (None, envelope(root))
        assert made.body in (None, body_structure(root, seen, extended=False))
        assert made.body_structure in (None, body_structure(root, seen, extended=True))


@given(st.lists(LINES, max_size=3).map(b"\r\n".join))
def test_a_message_that_was_received_is_kept_ready(data: bytes) -> None:
    made = make_summary(BlobId("b"), b"Received: from x; y\r\n" + data)
    assert None not in (made.envelope, made.body, made.body_structure)


def put(store: Store, who: AccountEntry, *messages: bytes) -> list[Uid]:
    """Put messages into the INBOX, as APPEND does."""
    uids = []
    for data in messages:
        item = PutMessage(who.account_id, who.inbox, store.blobs.stage([data]), frozenset(), NOW_MS)
        uids.append(store.write_now(put_messages, item).uid)
    return uids


def deliver(store: Store, data: bytes, *whom: AccountEntry) -> None:
    store.write_now(write_intakes, make_intake(store.blobs.stage([data]), local=whom))


def index(store: Store) -> int:
    async def run() -> int:
        async with running(store):
            return await Indexer(store).index_waiting()

    return asyncio.run(run())


def index_now(store: Store) -> None:
    """Index as the background does, in this thread."""
    waiting = store.read_now(lambda conn: find_waiting(conn, 1000))
    new = store.read_now(lambda conn: read_summaries(conn, store.blobs, waiting))
    store.write_now(write_summaries, new)


def rows(store: Store, mailbox_id: MailboxId) -> list[Message]:
    return store.read_now(lambda conn: get_messages(conn, mailbox_id, list_uids(conn, mailbox_id)))


def threads(store: Store, mailbox_id: MailboxId) -> list[ThreadId | None]:
    return [one.thread_id for one in rows(store, mailbox_id)]


def count(store: Store, table: sa.Table) -> int:
    query = sa.select(sa.func.count()).select_from(table)
    return store.read_now(lambda conn: conn.scalar(query) or 0)


def letter(number: int, *references: int, subject: str = "Lunch") -> bytes:
    named = " ".join(f"<{one}@north.test>" for one in references)
    extra = f"References: {named}\r\n".encode() if references else b""
    return make_message(message_id=f"<{number}@north.test>", extra=extra, subject=subject)


def test_new_mail_is_indexed_by_the_hint(store: Store) -> None:
    amal, sami = make_account(store, "amal@y.test"), make_account(store, "sami@y.test")

    async def run() -> list[tuple[Message, Summary | None]]:
        async with running(store):
            background = asyncio.create_task(Indexer(store).run())
            try:
                intake = make_intake(store.blobs.stage([letter(1)]), local=[amal, sami])
                await store.write(write_intakes, intake)
                while True:
                    page = await store.read(lambda conn: newest_summaries(conn, sami.inbox, 10))
                    if page[0][0].thread_id is not None:
                        return page
            finally:
                background.cancel()

    ((_, found),) = asyncio.run(run())
    assert found is not None
    assert found.subject == "Lunch"


def test_accepting_writes_no_summary(store: Store) -> None:
    """It comes later; a message has a column without a value until then."""
    amal = make_account(store, "amal@y.test")
    deliver(store, letter(1), amal)
    assert threads(store, amal.inbox) == [None]
    assert count(store, summary) == 0


def test_one_summary_for_all_copies(store: Store) -> None:
    """Two recipients, a copy and a move: one summary, and the thread goes along."""
    amal, sami = make_account(store, "amal@y.test"), make_account(store, "sami@y.test")
    deliver(store, letter(1), amal, sami)
    index_now(store)
    assert count(store, summary) == 1
    archive = store.read_now(lambda conn: find_mailbox(conn, amal.account_id, "Archive"))
    trash = store.read_now(lambda conn: find_mailbox(conn, amal.account_id, "Trash"))
    assert archive is not None
    assert trash is not None
    (before,) = rows(store, amal.inbox)
    copy = CopyMessages(amal.account_id, amal.inbox, (before.uid,), archive.mailbox_id)
    store.write_now(copy_messages, copy)
    move = CopyMessages(amal.account_id, amal.inbox, (before.uid,), trash.mailbox_id)
    store.write_now(move_messages, move)
    for box in (archive, trash):
        (after,) = rows(store, box.mailbox_id)
        assert (after.blob_id, after.thread_id) == (before.blob_id, before.thread_id)
    assert store.read_now(lambda conn: find_waiting(conn, 1)) == []


def test_the_summary_goes_with_the_blob(store: Store) -> None:
    amal, sami = make_account(store, "amal@y.test"), make_account(store, "sami@y.test")
    deliver(store, letter(1), amal, sami)
    index_now(store)
    gone = ExpungeMessages(amal.account_id, amal.inbox, None, deleted_only=False, for_good=True)
    store.write_now(expunge_messages, gone)
    assert count(store, summary) == 1
    store.write_now(delete_account, sami.account_id)
    assert (count(store, blob), count(store, summary)) == (0, 0)
    # What became of the thread of the account that is gone, and of the one that has no message.
    assert count(store, thread_link) == 1
    store.write_now(prune_threads, amal.account_id)
    assert count(store, thread_link) == 0


def test_threads(store: Store) -> None:
    amal, sami = make_account(store, "amal@y.test"), make_account(store, "sami@y.test")
    put(
        store,
        amal,
        letter(1),
        letter(2, 1, subject="Re: Lunch"),
        letter(3, 1, subject="Dinner"),
        letter(5, 4),
    )
    put(store, sami, letter(2, 1))
    index_now(store)
    first, answer, other, early = threads(store, amal.inbox)
    assert first == answer
    assert len({first, other, early}) == 3
    assert threads(store, sami.inbox)[0] not in (first, None)
    # The message that was answered comes later; one that connects two threads joins the older.
    put(store, amal, letter(4), letter(6, 1, 5), letter(1), b"no header\r\n\r\n", b"")
    index_now(store)
    later = threads(store, amal.inbox)
    assert later[:4] == [first, answer, other, early]
    assert later[4:7] == [early, first, first]
    assert len({*later[7:], None}) == 3
    # A thread outlives the message that began it.
    gone = ExpungeMessages(amal.account_id, amal.inbox, (Uid(1), Uid(7)), deleted_only=False)
    store.write_now(expunge_messages, gone)
    store.write_now(prune_threads, amal.account_id)
    put(store, amal, letter(8, 1))
    index_now(store)
    assert threads(store, amal.inbox)[-1] == first


def test_hostile_messages_do_not_stop_it(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(300)
    )
    wide = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5000
    people = b"To: " + b"a@b.test, " * 20_000 + b"\r\n\r\n"
    uids = put(store, amal, b"", b"\0\xff\r\n", nested, wide, people, letter(1))
    assert index(store) == len(uids)
    page = store.read_now(lambda conn: newest_summaries(conn, amal.inbox, 10))
    assert [found is not None and found.fault for _, found in page] == [""] * len(uids)
    kinds = (RowItem.ENVELOPE, RowItem.BODY, RowItem.BODY_STRUCTURE)
    read = store.read_now(lambda conn: read_rows(conn, amal.inbox, sorted(uids), kinds, 1 << 20))
    assert len(read.rows) == len(uids)
    for _, *forms in read.rows:
        assert max([len(one) for one in forms if one], default=0) <= MAX_FORM


def test_bytes_that_are_missing_are_told_and_not_tried_for_ever(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    staged = store.blobs.stage_now([letter(1)])
    assert staged.location is not None
    store.write_now(write_intakes, make_intake(staged, local=[amal]))
    (store.blobs.files.folder / staged.location).unlink()
    deliver(store, letter(2), amal)
    (lost,) = put(store, amal, letter(3))
    with store._dialect.writer.begin() as conn:  # what no unit of work does
        which = sa.select(message.c.blob_id).where(message.c.uid == lost).scalar_subquery()
        conn.execute(sa.delete(blob).where(blob.c.id == which))
    assert index(store) == 3
    again = store.read_now(lambda conn: newest_summaries(conn, amal.inbox, 10))
    faults = [None if found is None else found.fault for _, found in again]
    assert faults[:2] == [None, ""]
    assert faults[2] is not None
    assert faults[2].startswith("cannot read the message in")
    assert store.read_now(lambda conn: find_waiting(conn, 1)) == []


def test_a_message_that_ends_the_program_is_left_alone(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    put(store, amal, letter(1))
    for tries in range(MAX_TRIES):
        (one,) = store.read_now(lambda conn: find_waiting(conn, 1))
        assert one.tries == tries
        store.write_now(note_tries, ReadingTry(one.blob_id, one.tries + 1))
        # What a reader sees meanwhile is no summary.
        assert store.read_now(lambda conn: find_summaries(conn, [one.blob_id])) == {}  # noqa: B023
    index_now(store)
    ((_, found),) = store.read_now(lambda conn: newest_summaries(conn, amal.inbox, 1))
    assert found is not None
    assert found.fault == "the program ended when it read the message"
    # Reindexing reads it once more.
    steps: list[tuple[int, int]] = []
    assert reindex(store, lambda done, total: steps.append((done, total))) == 1
    assert steps[-1] == (1, 1)
    ((_, found),) = store.read_now(lambda conn: newest_summaries(conn, amal.inbox, 1))
    assert found is not None
    assert found.subject == "Lunch"


def test_a_message_that_is_gone_meanwhile_is_not_noted(store: Store) -> None:
    """Else a summary without a blob would stay for ever."""
    amal = make_account(store, "amal@y.test")
    put(store, amal, letter(1))
    (one,) = store.read_now(lambda conn: find_waiting(conn, 1))
    gone = BlobId(one.blob_id[:-1] + ("0" if one.blob_id[-1] != "0" else "1"))
    store.write_now(note_tries, ReadingTry(gone, 1))
    assert store.read_now(lambda conn: conn.scalars(sa.select(summary.c.blob_id)).all()) == []


def test_after_a_start_messages_are_noted_in_one_commit(store: Store) -> None:
    """Only one that was noted before, and may have ended the program, is read alone."""
    amal = make_account(store, "amal@y.test")
    put(store, amal, *[letter(number) for number in range(20)])
    suspect = store.read_now(lambda conn: find_waiting(conn, 20))[7]
    store.write_now(note_tries, ReadingTry(suspect.blob_id, 1))

    async def run() -> int:
        async with running(store):
            before = store.writer.commits
            assert await Indexer(store).index_waiting() == 20
            return store.writer.commits - before

    # Notes and summaries of the one, and of the others; the merges.
    assert asyncio.run(run()) <= 2 + 2 + 2
    tries = store.read_now(lambda conn: conn.scalars(sa.select(summary.c.tries)).all())
    assert list(tries) == [0] * 20


def test_another_version_is_as_good_as_none(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    put(store, amal, letter(1), letter(2))
    index_now(store)
    before = threads(store, amal.inbox)
    with store._dialect.writer.begin() as conn:
        conn.execute(sa.update(summary).values(version=0))
    page = store.read_now(lambda conn: newest_summaries(conn, amal.inbox, 10))
    assert [found for _, found in page] == [None, None]
    reindex(store, lambda _done, _total: None)
    page = store.read_now(lambda conn: newest_summaries(conn, amal.inbox, 10))
    assert [found is not None and found.subject for _, found in page] == ["Lunch", "Lunch"]
    assert threads(store, amal.inbox) == before


def test_a_blob_that_goes_meanwhile_leaves_nothing(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    put(store, amal, letter(1))
    waiting = store.read_now(lambda conn: find_waiting(conn, 1))
    new = store.read_now(lambda conn: read_summaries(conn, store.blobs, waiting))
    gone = ExpungeMessages(amal.account_id, amal.inbox, None, deleted_only=False, for_good=True)
    store.write_now(expunge_messages, gone)
    assert store.write_now(write_summaries, new) == 0
    assert count(store, summary) == 0


@pytest.mark.timeout(120)
def test_it_goes_on_where_it_was_killed(store_url: str, tmp_path: Path) -> None:
    """Killed again and again at any instruction: each message is indexed in the end, once."""
    store = open_test_store(store_url, tmp_path / "data")
    amal = make_account(store, "amal@y.test")
    for number in range(150):
        deliver(store, letter(number, *range(number)), amal)
    for pause in (0.0, 0.02, 0.05):
        command = [sys.executable, "-c", _INDEX, store_url, str(tmp_path / "data")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
            assert process.stdout is not None
            process.stdout.readline()
            # The kill comes at another point each time; the test holds wherever it comes.
            process.stdout.read(int(pause * 100))
            process.send_signal(signal.SIGKILL)
    index_now(store)
    found = rows(store, amal.inbox)
    assert len({one.thread_id for one in found}) == 1
    ids = [one.blob_id for one in found]
    assert len(store.read_now(lambda conn: find_summaries(conn, ids))) == len(found) == 150
    # Each is in the index of words, and none is hidden by it.
    assert store.read_now(lambda conn: find_unindexed(conn, amal.inbox)) == []
    for number in (0, 70, 149):
        hits = store.read_now(
            lambda conn: find_hits(conn, amal.inbox, f"id: <{number}@")  # noqa: B023
        )
        assert hits is not None
        assert found[number].uid in hits.possible
    store.close_now()


_INDEX = """
import asyncio, sys
from pathlib import Path
from kit.store import open_test_store, running
from zajil.read.indexer import Indexer

async def main():
    store = open_test_store(sys.argv[1], Path(sys.argv[2]), worker=1)
    async with running(store):
        task = asyncio.create_task(Indexer(store).run())
        while not task.done():
            print("x", flush=True)
            await asyncio.sleep(0.005)

asyncio.run(main())
"""


def _waiting(ids: Sequence[BlobId]) -> list[WaitingBlob]:
    return [WaitingBlob(one, 0, 0) for one in ids]


def test_two_that_index_the_same_do_no_harm(store: Store) -> None:
    amal = make_account(store, "amal@y.test")
    put(store, amal, letter(1), letter(2, 1))
    ids = [one.blob_id for one in rows(store, amal.inbox)]
    new = store.read_now(lambda conn: read_summaries(conn, store.blobs, _waiting(ids)))
    assert store.write_now(write_summaries, new) == 2
    before = threads(store, amal.inbox)
    assert store.write_now(write_summaries, new) == 2
    assert threads(store, amal.inbox) == before
