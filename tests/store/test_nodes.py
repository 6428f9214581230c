"""Nodes of one store: who is gone, who may write, and clocks that differ."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.blobs import KEY, OTHER, key_file
from kit.nodes import take_over
from kit.store import make_account, make_intake, open_test_store, running, small_store_options
from zajil.app import nodes as keeping
from zajil.app.nodes import NodeKeeper
from zajil.config.load import parse_configuration
from zajil.core.ids import NodeId
from zajil.monitor.conditions import AlertKind
from zajil.monitor.finders import find_ill_nodes
from zajil.net.system import SystemClock
from zajil.operations.blob_moves import OthersRun, move_large_messages
from zajil.store.blobs.keys import key_id
from zajil.store.blobs.moving import move_blobs
from zajil.store.blobs.prefix import NewMark, remember_mark
from zajil.store.blobs.used_keys import load_used_keys, record_key, require_keys
from zajil.store.engine import life
from zajil.store.engine.chores import NOBODY, ChoreTake, load_chores, take_chores
from zajil.store.engine.errors import FilesOfOneNode, NodeGone, StoreUnavailable
from zajil.store.engine.life import prepare_store
from zajil.store.engine.node import load_node_id, own_facts
from zajil.store.engine.nodes import (
    ALIVE,
    Freed,
    NodeRow,
    NodeState,
    _insert,
    drain_nodes,
    enter_node,
    find_node,
    forget_nodes,
    list_nodes,
)
from zajil.store.engine.open import Store, open_store
from zajil.store.engine.standing import Silence
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.mailbox_changes import NewMailbox, create_mailbox
from zajil.store.mail.maildrops import MaildropTake, take_maildrops
from zajil.store.queue.queue import Claim, claim
from zajil.store.schema import blob_key, mailbox, message


def row(name: str, beat: int, state: NodeState = NodeState.ACTIVE, epoch: int = 1) -> NodeRow:
    return NodeRow(
        node_id=NodeId(name),
        host=name,
        version="1",
        schema="0053",
        state=state,
        epoch=epoch,
        is_cleared=True,
        beat=beat,
        age_ms=0,
        started_ms=0,
        skew_ms=0,
        workers=1,
        sessions=0,
    )


def test_a_node_whose_count_stays_the_same_is_silent() -> None:
    silence = Silence()
    for now in range(0, 9, 2):
        assert silence.look([row("a", 5), row("b", now)], now) == []
    assert silence.look([row("a", 5), row("b", 10)], 10) == [row("a", 5)]


@pytest.mark.parametrize("change", ["beat", "epoch", "state", "absence"])
def test_any_sign_of_life_begins_the_count_anew(change: str) -> None:
    silence = Silence()
    for now in range(0, 9, 2):
        silence.look([row("a", 5)], now)
    changed = {
        "beat": [row("a", 6)],
        "epoch": [row("a", 5, epoch=2)],
        "state": [row("a", 5, NodeState.STOPPED)],
        "absence": [],
    }
    assert silence.look(changed[change], 9) == []
    assert silence.look([row("a", 5)], 10) == []
    assert silence.look([row("a", 5)], 12) == []


def test_a_look_that_failed_makes_nobody_silent() -> None:
    """Else an outage of the database would make all nodes gone."""
    silence = Silence()
    for now in range(0, 9, 2):
        silence.look([row("a", 5)], now)
    silence.forget()
    for now in range(10, 19, 2):
        assert silence.look([row("a", 5)], now) == []
    assert silence.look([row("a", 5)], 20) == [row("a", 5)]


def test_a_beat_is_as_young_as_the_answer() -> None:
    """A slow database: the answer to a look may tell of a beat that came after the question."""
    silence = Silence()
    assert silence.look([row("a", 5)], 0, 4.5) == []
    for now in (4.5, 6.5, 8.5, 10.5, 12.5):
        assert silence.look([row("a", 5)], now) == []
    assert silence.look([row("a", 5)], 14.5) == [row("a", 5)]


def test_an_observer_that_was_suspended_makes_nobody_silent() -> None:
    """The others were perhaps suspended, too, and beat again within two seconds."""
    silence = Silence()
    silence.look([row("a", 5)], 0)
    silence.look([row("a", 5)], 2)
    assert silence.look([row("a", 5)], 3600) == []
    assert silence.look([row("a", 5)], 3602) == []
    assert silence.look([row("a", 6)], 3604) == []


@pytest.mark.parametrize("pause", [4, 5, 6, 60])
def test_an_observer_that_always_looks_late_sees_a_death(pause: int) -> None:
    """One that has too much to do: it needs three looks or four."""
    silence = Silence()
    silence.look([row("a", 4)], 0)
    looks = [silence.look([row("a", 5)], number * pause) for number in range(1, 5)]
    assert looks[:2] == [[], []]
    assert looks[3] == [row("a", 5)]


def test_nobody_is_alerted_of_a_node_that_starts_for_the_first_time(
    postgres_url: str, tmp_path: Path
) -> None:
    """Its row is there before it has served."""
    store = open_test_store(postgres_url, tmp_path / "one")
    with store._dialect.writer.begin() as conn:
        _insert(conn, store._dialect, NodeId("starts"))

    async def run() -> None:
        async with running(store):
            assert not await find_ill_nodes(store)

    asyncio.run(run())


def test_what_a_node_held_is_free_when_it_is_gone(postgres_url: str, tmp_path: Path) -> None:
    """And it can write and read nothing more; a new process of it joins again."""
    one, two = (open_test_store(postgres_url, tmp_path / name) for name in ("one", "two"))
    amal = make_account(one, "amal@north.test")
    gone: list[bool] = []
    one.standing.when_gone = lambda: gone.append(True)

    async def run() -> None:
        async with running(one), running(two):
            content = await one.blobs.stage_any([b"Subject: x\r\n\r\n"])
            await one.write(write_intakes, make_intake(content, remote=["x@south.test"]))
            taken = Claim(f"{one.node_id}/0/", "t", 1_800_000_000_000, 1_900_000_000_000, 10)
            leased = await one.write(claim, taken)
            assert len(leased) == 1
            await one.write(take_chores, ChoreTake("keys", f"{one.node_id}/0", None))
            drop = MaildropTake(
                account_id=amal.account_id,
                holder=f"{one.node_id}/0",
                token="s",
                now_ms=0,
                until_ms=1_900_000_000_000,
            )
            assert await one.write(take_maildrops, drop)
            assert not one.standing.is_sure
            assert one.standing.ask()
            await asyncio.to_thread(one.standing.beat, 1, 0)
            assert one.standing.is_sure

            assert await asyncio.to_thread(take_over, two, one.node_id) == Freed(1, 1, 1)
            with pytest.raises(StoreUnavailable):
                await one.write(claim, replace(taken, token="u"))
            for _ in range(2):
                with pytest.raises(NodeGone):
                    await one.write(claim, replace(taken, token="u"))
                with pytest.raises(NodeGone):
                    await one.read(list_nodes)
            assert gone
            assert one.standing.is_gone
            assert not one.standing.is_sure
            assert not one.standing.ask()
            again = replace(taken, owner=f"{two.node_id}/0/", token="v", now_ms=2_000_000_000_000)
            leased = await two.write(claim, again)
            assert len(leased) == 1
            assert (await two.read(load_chores))["keys"].holder == NOBODY
            assert await two.write(take_maildrops, replace(drop, token="t"))
            (alert,) = await find_ill_nodes(two) or ()
            assert (alert.kind, alert.subject) == (AlertKind.NODE, one.node_id)

            new = open_test_store(postgres_url, tmp_path / "one", 1)
            assert new.standing.epoch == (one.standing.epoch or 0) + 1
            assert len(new.read_now(list_nodes)) == 2
            assert {one.state for one in new.read_now(list_nodes)} == {NodeState.ACTIVE}
            with pytest.raises(NodeGone):
                await one.read(list_nodes)
            new.close_now()

    asyncio.run(run())


def test_a_transaction_under_way_is_rolled_back(postgres_url: str, tmp_path: Path) -> None:
    """The process was suspended between its statements; nothing of them is there."""
    one, two = (open_test_store(postgres_url, tmp_path / name) for name in ("one", "two"))
    amal = make_account(one, "amal@north.test")
    begun, go_on = threading.Event(), threading.Event()

    def suspended(tx: Connection, items: Sequence[str]) -> list[None]:
        for name in items:
            create_mailbox(tx, [NewMailbox(amal.account_id, name, 0, 0)])
        begun.set()
        assert go_on.wait(60)
        return [None] * len(items)

    async def run() -> None:
        async with running(one), running(two):
            write = asyncio.create_task(one.write(suspended, "Lost"))
            await asyncio.to_thread(begun.wait, 60)
            assert await asyncio.to_thread(take_over, two, one.node_id) is not None
            go_on.set()
            with pytest.raises(StoreUnavailable):
                await write
            names = await two.read(lambda conn: set(conn.scalars(sa.select(mailbox.c.name))))
            assert "Lost" not in names

    asyncio.run(run())


def keeper_of(store: Store) -> NodeKeeper:
    """Return what looks at the other nodes; it declares one gone that is silent in three looks."""
    keeper = NodeKeeper(
        store,
        is_first=True,
        workers=1,
        sessions=lambda: 0,
        when_gone=lambda: None,
        when_draining=lambda: None,
    )
    keeper._silence = Silence(0.02)
    return keeper


def states_of(store: Store) -> dict[NodeId, NodeState]:
    return {row.node_id: row.state for row in store.read_now(list_nodes)}


def test_a_node_that_stopped_in_the_middle_of_a_sign_of_life(
    postgres_url: str, tmp_path: Path
) -> None:
    """Its row is locked until the database ends that. Then it has been silent all the time."""
    one, two = (open_test_store(postgres_url, tmp_path / name) for name in ("one", "two"))
    keeper, lock = keeper_of(one), sa.text("SELECT 1 FROM node WHERE id = :id FOR UPDATE")

    async def run() -> None:
        loop = asyncio.get_running_loop()
        with two._dialect.writer.begin() as conn:
            conn.execute(lock, {"id": two.node_id})
            for _ in range(5):
                await keeper._look(loop.time())
                await asyncio.sleep(0.02)
            assert states_of(one)[two.node_id] is NodeState.ACTIVE
        await keeper._look(loop.time())

    asyncio.run(run())
    assert states_of(one)[two.node_id] is NodeState.GONE
    for store in (one, two):
        store.close_now()


def test_many_deaths_do_not_delay_the_own_sign_of_life(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections of many nodes do not end: each look waits for those of one."""
    names = ("one", "two", "three", "four")
    one, *others = (open_test_store(postgres_url, tmp_path / name) for name in names)
    monkeypatch.setattr(keeping, "_CLEAR_SECONDS", 0.05)
    monkeypatch.setattr(one._dialect, "end_connections", lambda *_: 1)
    keeper = keeper_of(one)

    async def run() -> list[NodeState]:
        loop, found = asyncio.get_running_loop(), list[NodeState]()
        while NodeState.GONE not in found:
            await keeper._look(loop.time())
            await asyncio.sleep(0.02)
            found = list(states_of(one).values())
        return found

    assert asyncio.run(run()).count(NodeState.GONE) == 1
    for store in (one, *others):
        store.close_now()


def test_connections_that_do_not_end_hide_no_other_node(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node whose connections stay, because its user is another one, keeps nobody from seeing
    that the next node is gone.
    """
    names = ("one", "two", "three")
    one, two, three = (open_test_store(postgres_url, tmp_path / name) for name in names)
    monkeypatch.setattr(keeping, "_CLEAR_SECONDS", 0.05)
    dialect = one.reader._dialect
    end_connections = dialect.end_connections

    def end(node_id: NodeId, epoch: int) -> int:
        return 1 if node_id == two.node_id else end_connections(node_id, epoch)

    async def run() -> None:
        keeper = keeper_of(one)
        loop, alive = asyncio.get_running_loop(), 3
        while alive > 1:
            await keeper._look(loop.time())
            await asyncio.sleep(0.01)
            alive = sum(row.state in ALIVE for row in one.read_now(list_nodes))
        await keeper._look(loop.time())

    with monkeypatch.context() as patched:
        patched.setattr(dialect, "end_connections", end)
        asyncio.run(run())
    rows = {row.node_id: (row.state, row.is_cleared) for row in one.read_now(list_nodes)}
    assert rows[two.node_id] == (NodeState.GONE, False)
    assert rows[three.node_id] == (NodeState.GONE, True)
    for store in (one, two, three):
        store.close_now()


def test_two_nodes_that_start_at_the_same_moment(postgres_url: str, tmp_path: Path) -> None:
    """Both remember the first key, and the mark of a prefix; one mark counts."""
    one, two = (open_test_store(postgres_url, tmp_path / name) for name in ("one", "two"))
    marks: list[str] = []

    def write() -> None:
        two.write_now(record_key, "k")
        marks.append(two.write_now(remember_mark, NewMark("s3://mail/x", "b")))

    with one.reader._dialect.writer.begin() as conn:
        remember_mark(conn, [NewMark("s3://mail/x", "a")])
        conn.execute(sa.insert(blob_key).values(id="k", since_ms=1))
        other = threading.Thread(target=write)
        other.start()
        time.sleep(0.2)
    other.join(60)
    assert marks == ["a"]
    assert one.read_now(load_used_keys) == ["k"]
    for store in (one, two):
        store.close_now()


def test_a_node_that_beats_is_not_declared_gone(postgres_url: str, tmp_path: Path) -> None:
    one, two = (open_test_store(postgres_url, tmp_path / name) for name in ("one", "two"))
    seen = two.read_now(lambda conn: find_node(conn, one.node_id))
    assert seen is not None
    one.standing.beat(2, 7)
    assert two.standing.declare_gone(seen) is None
    (again,) = [row for row in two.standing.look() if row.node_id == one.node_id]
    assert (again.beat, again.workers, again.sessions) == (seen.beat + 1, 2, 7)
    # Of two that notice a death, one declares it; both may clear.
    epoch = two.standing.declare_gone(again)
    assert epoch is not None
    assert two.standing.declare_gone(again) is None
    assert two.standing.clear(one.node_id, epoch) == Freed(0, 0, 0)
    assert two.standing.clear(one.node_id, epoch) is None
    for store in (one, two):
        store.close_now()


def test_a_node_whose_readers_are_busy_beats(postgres_url: str, tmp_path: Path) -> None:
    """Some long searches and a check of the store would make a healthy node gone."""
    one = open_test_store(postgres_url, tmp_path / "one", connections=6)
    busy, end = threading.Semaphore(0), threading.Event()

    def read_long(_conn: Connection) -> None:
        busy.release()
        end.wait(60)

    async def run() -> None:
        async with running(one):
            count = one.reader._dialect.readers
            reads = [asyncio.create_task(one.read(read_long)) for _ in range(count)]
            reads.append(asyncio.create_task(asyncio.to_thread(one.read_now, read_long)))
            try:
                for _ in range(count + 1):
                    await asyncio.to_thread(busy.acquire, timeout=60)
                rows = await asyncio.wait_for(asyncio.to_thread(one.standing.beat, 1, 0), 20)
            finally:
                end.set()
            await asyncio.gather(*reads)
            assert [row.node_id for row in rows] == [one.node_id]

    asyncio.run(run())


def test_a_drained_node_that_is_gone_can_be_forgotten(postgres_url: str, tmp_path: Path) -> None:
    one, two = (open_test_store(postgres_url, tmp_path / name) for name in ("one", "two"))
    assert two.write_now(drain_nodes, one.node_id)
    one.standing.beat(1, 0)
    assert one.standing.state is NodeState.DRAINING
    assert not two.write_now(forget_nodes, one.node_id)
    take_over(two, one.node_id)
    assert not two.write_now(drain_nodes, one.node_id)
    assert two.write_now(forget_nodes, one.node_id)
    with pytest.raises(NodeGone):
        one.standing.beat(1, 0)
    # It never gets an epoch again that an old process may have.
    new = open_test_store(postgres_url, tmp_path / "one")
    assert (new.standing.epoch or 0) > (one.standing.epoch or 0) + 1
    for store in (one, two, new):
        store.close_now()


def test_messages_do_not_move_to_files_while_another_node_runs(
    postgres_url: str, tmp_path: Path
) -> None:
    one, two = (open_test_store(postgres_url, tmp_path / name) for name in ("one", "two"))
    for store in (one, two):
        store.standing.beat(1, 0)
    text = f'[server]\nhostname = "a.example"\ndata_dir = "{tmp_path}/one"\n'
    configuration = parse_configuration(text, tmp_path / "z.toml")
    with pytest.raises(OthersRun, match=rf"other nodes run.*{two.node_id} on .*stop them first"):
        move_large_messages(one, configuration, "files", lambda _done, _all: None)
    take_over(one, two.node_id)
    assert move_large_messages(one, configuration, "files", lambda _done, _all: None).blobs == 0
    for store in (one, two):
        store.close_now()


def test_of_two_first_nodes_with_files_one_enters(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would have files that the other cannot read."""
    open_test_store(postgres_url, tmp_path / "maker", None).close_now()
    options = small_store_options(postgres_url)
    both = threading.Barrier(2)
    refused: list[FilesOfOneNode] = []

    def enter(*arguments: Any, **others: Any) -> int:
        both.wait(60)
        return enter_node(*arguments, **others)

    def start(name: str) -> None:
        (tmp_path / name).mkdir(mode=0o700)
        load_node_id(tmp_path / name, os.urandom)
        try:
            prepare_store(options, tmp_path / name, clock=SystemClock(), largest_message=1 << 20)
        except FilesOfOneNode as error:
            refused.append(error)

    monkeypatch.setattr(life, "enter_node", enter)
    threads = [threading.Thread(target=start, args=(name,)) for name in ("one", "two")]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert len(refused) == 1


def test_a_key_stays_known_while_a_node_may_encrypt_with_it(
    postgres_url: str, tmp_path: Path
) -> None:
    """A node that was not started again since the new key came still uses the old one."""

    def start(name: str, *keys: bytes) -> Store:
        path = key_file(tmp_path / f"{name}.key", *keys)
        command = open_test_store(postgres_url, tmp_path / name, None, key_file=path)
        require_keys(command)
        enter_node(command.reader._dialect, command.node_id, own_facts(), 0)
        command.close_now()
        return open_test_store(postgres_url, tmp_path / name, key_file=path)

    def move(store: Store) -> tuple[list[str], list[str]]:
        done = move_blobs(store, to_objects=False, progress=lambda _done, _all: None)
        return done.older, store.read_now(load_used_keys)

    one, two = start("one", KEY), start("two", KEY)
    one.close_now()
    one = start("one", OTHER, KEY)
    older, keys = move(one)
    assert older == [f"{two.node_id} on {socket.gethostname()}"]
    assert keys == sorted([key_id(KEY), key_id(OTHER)])
    two.close_now()
    two = start("two", OTHER, KEY)
    assert move(one) == ([], [key_id(OTHER)])
    for store in (one, two):
        store.close_now()


_LAST_UID = sa.select(sa.func.max(message.c.uid))


def value_of(conn: Connection, query: sa.Select[Any]) -> int:
    return int(conn.execute(query).scalar_one())


class SkewedClock(SystemClock):
    """A clock that is wrong."""

    def __init__(self, skew_ms: int) -> None:
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        return super().now_ms() + self._skew_ms


def test_clocks_that_differ_by_a_minute(postgres_url: str, tmp_path: Path) -> None:
    """No UID and no UIDVALIDITY comes twice or goes back, and no lease ends too early."""
    first = open_test_store(postgres_url, tmp_path / "0")
    amal = make_account(first, "amal@north.test")
    first.close_now()
    options, lease_ms, skews = small_store_options(postgres_url), 180_000, (0, 61_000, -1000)
    stores = []
    for number, skew_ms in enumerate(skews):
        (tmp_path / f"{number}").mkdir(exist_ok=True, mode=0o700)
        clock = SkewedClock(skew_ms)
        folder = tmp_path / f"{number}"
        stores.append(open_store(options, folder, clock=clock, random=os.urandom, worker=0))

    async def run() -> None:
        validities, uids = [], []
        async with running(stores[0]), running(stores[1]), running(stores[2]):
            for turn in range(9):
                store = stores[turn % 3]
                now_ms = store._clock.now_ms()
                new = NewMailbox(amal.account_id, f"Box {turn}", now_ms, 0)
                box = await store.write(create_mailbox, new)
                content = await store.blobs.stage_any([b"Subject: x\r\n\r\n"])
                mail = make_intake(content, local=[amal], remote=["x@south.test"], at_ms=now_ms)
                await store.write(write_intakes, mail)
                validity = sa.select(mailbox.c.uid_validity).where(mailbox.c.id == box)
                validities.append(await store.read(partial(value_of, query=validity)))
                uids.append(await store.read(partial(value_of, query=_LAST_UID)))
            assert validities == sorted(set(validities))
            assert uids == list(range(1, 10))
            # A worker renews after a third; until then a clock that is early takes nothing.
            slow, fast = stores[2], stores[1]
            now_ms = slow._clock.now_ms()
            taken = Claim(f"{slow.node_id}/0/", "t", now_ms + 10**6, now_ms + lease_ms, 100)
            leased = await slow.write(claim, taken)
            assert len(leased) == 9
            at_ms = fast._clock.now_ms() + lease_ms // 3
            early = Claim(f"{fast.node_id}/0/", "u", at_ms, at_ms + lease_ms, 100)
            assert await fast.write(claim, early) == []
            for store, skew_ms in zip(stores, skews, strict=True):
                rows = await asyncio.to_thread(store.standing.beat, 1, 0)
                (own,) = [row for row in rows if row.node_id == store.node_id]
                assert abs(own.skew_ms - skew_ms) < 500
            alerts = await find_ill_nodes(fast) or ()
            assert [(one.kind, one.subject) for one in alerts] == [(AlertKind.CLOCK, fast.node_id)]

    asyncio.run(run())


def test_sqlite_has_no_list_of_nodes(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "data")
    assert store.read_now(list_nodes) == []
    assert store.standing.is_sure
    store.close_now()
