"""Whoever must hear of a commit hears of it: in this process, in others, and without a hint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Set
from pathlib import Path

import pytest

from kit.load import count_calls
from kit.store import make_account, make_intake, open_test_store, running
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId, MailboxId
from zajil.store.engine.batch import DIRECTORY, QUEUE, Topic, mailbox_topic, names_topic
from zajil.store.engine.changes import _values_of
from zajil.store.engine.hints import Datagrams
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.mailboxes import get_mailbox
from zajil.store.people.domains import DomainRow, create_domain


@pytest.fixture
def sibling(store: Store, store_url: str, tmp_path: Path) -> Iterator[Store]:
    """Another worker of the same store."""
    opened = open_test_store(store_url, tmp_path / "data", worker=1)
    yield opened
    opened.close_now()


async def wait_for(event: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await event.wait()
    event.clear()


def test_subscribers_hear_before_the_caller_goes_on(store: Store) -> None:
    amal, salma = make_account(store, "amal@north.test"), make_account(store, "salma@north.test")
    heard: list[str] = []

    async def run() -> None:
        async with running(store):
            store.changes.subscribe(mailbox_topic(amal.inbox), lambda: heard.append("amal"))
            store.changes.subscribe(mailbox_topic(salma.inbox), lambda: heard.append("salma"))
            stop = store.changes.subscribe(QUEUE, lambda: heard.append("queue"))
            await store.write(write_intakes, make_intake(store.blobs.stage([b"x"]), local=[amal]))
            assert heard == ["amal"]
            away = make_intake(store.blobs.stage([b"x"]), remote=["a@south.test"])
            await store.write(write_intakes, away)
            assert heard == ["amal", "queue"]
            stop()
            stop()
            await store.write(
                write_intakes, make_intake(store.blobs.stage([b"x"]), remote=["a@b.test"])
            )
            assert heard == ["amal", "queue"]

    asyncio.run(run())


def test_another_worker_hears_of_new_mail(store: Store, sibling: Store) -> None:
    amal = make_account(store, "amal@north.test")

    async def run() -> None:
        async with running(store), running(sibling):
            heard = asyncio.Event()
            sibling.changes.subscribe(mailbox_topic(amal.inbox), heard.set)
            await store.write(write_intakes, make_intake(store.blobs.stage([b"x"]), local=[amal]))
            await wait_for(heard)

    asyncio.run(run())


def test_the_command_line_is_heard_by_a_worker(store: Store, sibling: Store) -> None:
    async def run() -> None:
        async with running(sibling):
            heard = asyncio.Event()
            sibling.changes.subscribe(DIRECTORY, heard.set)
            store.write_now(create_domain, DomainRow("north.test", 0))
            await wait_for(heard)

    asyncio.run(run())


async def _change_mailbox(store: Store, amal: AccountEntry) -> None:
    await store.write(write_intakes, make_intake(store.blobs.stage([b"x"]), local=[amal]))


async def _change_queue(store: Store, amal: AccountEntry) -> None:
    await store.write(
        write_intakes, make_intake(store.blobs.stage([b"x"]), remote=["a@south.test"])
    )


async def _change_directory(store: Store, amal: AccountEntry) -> None:
    await store.write(create_domain, DomainRow("south.test", 0))


@pytest.mark.parametrize(
    "change",
    [_change_mailbox, _change_queue, _change_directory],
    ids=["mailbox", "queue", "directory"],
)
def test_a_lost_hint_is_found_by_looking(
    store: Store,
    sibling: Store,
    change: Callable[[Store, AccountEntry], Awaitable[None]],
) -> None:
    amal = make_account(store, "amal@north.test")
    heard: set[str] = set()

    async def run() -> None:
        # Without the hints of the other worker there is only the look.
        sibling.changes.close_now()
        sibling.reader.start()
        async with running(store):
            for topic in (mailbox_topic(amal.inbox), QUEUE, DIRECTORY):
                sibling.changes.subscribe(topic, lambda topic=topic: heard.add(topic))  # type: ignore[misc]
            await sibling.changes.look()
            heard.clear()
            await sibling.changes.look()
            assert heard == set()
            await change(store, amal)
            await sibling.changes.look()
            assert len(heard) == 1
        await sibling.reader.close()

    asyncio.run(run())


def test_a_look_at_many_mailboxes_costs_little(store: Store) -> None:
    """Thousands of clients may wait for mail in IDLE, and it is done each second."""
    amal = make_account(store, "amal@north.test")
    store.write_now(write_intakes, make_intake(store.blobs.stage([b"x"]), local=[amal]))
    box = store.read_now(lambda conn: get_mailbox(conn, amal.account_id, amal.inbox))
    topics = [mailbox_topic(MailboxId(number)) for number in range(amal.inbox + 2500)]
    topics += [names_topic(AccountId(number)) for number in range(amal.account_id + 2500)]
    store.read_now(lambda conn: _values_of(conn, topics[:1]))
    values, calls = count_calls(lambda: store.read_now(lambda conn: _values_of(conn, topics)))
    assert values.keys() == set(topics)
    assert box is not None
    seen = values[mailbox_topic(amal.inbox)]
    assert isinstance(seen, tuple)
    assert box.modseq in seen
    assert values[names_topic(amal.account_id)] != ()
    assert values[topics[-1]] == ()  # there is none of this number
    assert calls < 5 * len(topics)


def test_the_stamp_of_sqlite_tells_of_any_commit(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path)
    dialect = store._dialect
    before = dialect.stamp()
    assert dialect.stamp() == before
    store.write_now(create_domain, DomainRow("north.test", 0))
    assert dialect.stamp() != before
    store.close_now()


def test_a_hint_to_a_dead_worker_removes_its_socket(tmp_path: Path) -> None:
    first = open_test_store("sqlite", tmp_path)
    second = open_test_store("sqlite", tmp_path, worker=1)

    async def run() -> None:
        async with running(first):
            async with running(second):
                (folder,) = (tmp_path / "run").iterdir()
                (left,) = [path for path in folder.iterdir() if "-1-" in path.name]
                left.rename(tmp_path / "kept")
            (tmp_path / "kept").rename(left)  # as a killed process leaves it
            await first.write(create_domain, DomainRow("north.test", 0))
            assert not left.exists()

    asyncio.run(run())


def test_hints_that_follow_each_other_closely_go_together(tmp_path: Path) -> None:
    """Mail comes by the hundred a second; the other workers are not woken for each commit."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        heard: list[set[Topic]] = []
        sender, listener = Datagrams(tmp_path, "0-a"), Datagrams(tmp_path, "1-b")
        the_last_came = asyncio.Event()

        def hear(topics: Set[Topic]) -> None:
            heard.append(set(topics))
            if topics & {mailbox_topic(MailboxId(99)), QUEUE}:
                the_last_came.set()

        listener.start(loop, hear)
        sender.start(loop, lambda topics: None)
        for number in range(100):
            sender.send({mailbox_topic(MailboxId(number))})
        await wait_for(the_last_came)
        assert len(heard) == 2
        assert heard[0] | heard[1] == {mailbox_topic(MailboxId(n)) for n in range(100)}
        sender.send({QUEUE})  # in the pause: told when the sender ends
        sender.close()
        await wait_for(the_last_came)
        listener.close()
        assert heard[2] == {QUEUE}

    asyncio.run(run())


def test_a_very_long_folder_is_no_obstacle(tmp_path: Path) -> None:
    """The name of a Unix socket has about a hundred bytes; a data folder may be deeper."""
    data_dir = tmp_path / ("deep" * 30) / "data"
    first = open_test_store("sqlite", data_dir)
    second = open_test_store("sqlite", data_dir, worker=1)

    async def run() -> None:
        async with running(first), running(second):
            heard = asyncio.Event()
            second.changes.subscribe(DIRECTORY, heard.set)
            await first.write(create_domain, DomainRow("north.test", 0))
            await wait_for(heard)

    asyncio.run(run())


def test_the_directory_of_another_worker_forgets(store: Store, sibling: Store) -> None:
    make_account(store, "amal@north.test")
    who = parse_address("salma@north.test")

    async def run() -> None:
        async with running(store), running(sibling):
            forgotten = asyncio.Event()
            assert (await sibling.directory.find(who)).entry is None
            sibling.changes.subscribe(DIRECTORY, forgotten.set)
            await asyncio.to_thread(make_account, store, "salma@north.test")
            await wait_for(forgotten)
            assert sibling.directory.peek(who) is None
            assert (await sibling.directory.find(who)).entry is not None

    asyncio.run(run())
