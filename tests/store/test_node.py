"""The id of a node: made once, kept, and never shared by two running nodes of one database."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import stat
from pathlib import Path

import pytest

from kit.clock import CountingRandom
from kit.store import open_test_store, running, small_store_options
from zajil.net.system import SystemClock
from zajil.store.engine.errors import NodeGone, NodeTaken, StoreUnavailable
from zajil.store.engine.life import leave_store, prepare_store
from zajil.store.engine.node import NODE_FILE, load_node_id, own_facts, own_node_id
from zajil.store.engine.nodes import NodeState, enter_node, list_nodes
from zajil.store.engine.open import make_dialect, open_store


def test_it_is_made_with_the_store_and_stays(store_url: str, tmp_path: Path) -> None:
    ids = []
    for worker in (None, 0, 1):
        store = open_test_store(store_url, tmp_path / "data", worker)
        ids.append(store.node_id)
        store.close_now()
    assert len(set(ids)) == 1
    assert not prepare_store(
        small_store_options(store_url), tmp_path / "data", clock=SystemClock()
    ).has_new_node_id
    assert load_node_id(tmp_path / "data", os.urandom) == ids[0]


def test_only_the_server_may_read_the_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_node_id(tmp_path, CountingRandom())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / NODE_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [NODE_FILE]


def test_two_data_folders_have_two_ids(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    assert len({load_node_id(folder, os.urandom) for folder in folders}) == 2


@pytest.mark.parametrize("damaged", [b"", b"mx.example.org\n", b"\xff" * 17, b"0" * 15])
def test_a_damaged_file_is_replaced(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / NODE_FILE).write_bytes(damaged)
    made = load_node_id(tmp_path, CountingRandom())
    assert load_node_id(tmp_path, CountingRandom(100)) == made


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / NODE_FILE).mkdir()
    with pytest.raises(StoreUnavailable, match=NODE_FILE):
        load_node_id(tmp_path, CountingRandom())


def test_a_copied_data_folder_gets_an_id_of_its_own(postgres_url: str, tmp_path: Path) -> None:
    """While a server with the same id runs; a copy that replaces it keeps the id."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    options, clock = small_store_options(postgres_url), SystemClock()
    store = open_test_store(postgres_url, data, 0)
    shutil.copytree(data, copy)

    async def beat() -> None:
        while True:
            store.standing.beat(1, 0)
            await asyncio.sleep(0.1)

    async def run() -> None:
        async with running(store):
            assert load_node_id(copy, os.urandom) == store.node_id
            beats = asyncio.create_task(beat())
            prepared = await asyncio.to_thread(prepare_store, options, copy, clock=clock)
            beats.cancel()
            assert prepared.has_new_node_id
            assert load_node_id(copy, os.urandom) != store.node_id
            prepared = await asyncio.to_thread(prepare_store, options, copy, clock=clock)
            assert not prepared.has_new_node_id

    asyncio.run(run())
    assert not prepare_store(options, data, clock=clock).has_new_node_id
    assert load_node_id(data, os.urandom) == store.node_id


def test_connections_that_a_power_failure_left_are_ended(postgres_url: str, tmp_path: Path) -> None:
    """The machine comes back sooner than the database notices: the node keeps its id."""
    store = open_test_store(postgres_url, tmp_path / "data", 0)

    async def run() -> None:
        async with running(store):
            dialect = make_dialect(small_store_options(postgres_url), tmp_path / "data")
            found = await asyncio.to_thread(
                own_node_id,
                dialect,
                tmp_path / "data",
                os.urandom,
                patience_seconds=0.1,
                silence_seconds=0.3,
            )
            assert found == (store.node_id, False)
            enter = functools.partial(enter_node, dialect, store.node_id, own_facts(), 0)
            await asyncio.to_thread(enter)
            with pytest.raises(NodeGone):
                await store.read(list_nodes)
            dialect.close()

    asyncio.run(run())


def test_two_copies_of_a_data_folder_that_start_at_the_same_moment(
    postgres_url: str, tmp_path: Path
) -> None:
    """Neither sees that the other one is connected: one of them may work, the other one ends."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    open_test_store(postgres_url, data, None).close_now()
    shutil.copytree(data, copy)
    options, clock = small_store_options(postgres_url), SystemClock()
    open_one = functools.partial(open_store, options, clock=clock, random=os.urandom, worker=0)
    first, second = (prepare_store(options, one, clock=clock) for one in (data, copy))
    assert not first.has_new_node_id
    assert not second.has_new_node_id
    with pytest.raises(NodeTaken, match="start it again, and it gets its own id"):
        open_one(data, start_ms=first.start_ms)
    store = open_one(copy, start_ms=second.start_ms)
    leave_store(options, data, first.start_ms)  # the end of one is not that of the other
    assert [row.state for row in store.read_now(list_nodes)] == [NodeState.ACTIVE]
    leave_store(options, copy, second.start_ms)
    assert [row.state for row in store.read_now(list_nodes)] == [NodeState.STOPPED]
    store.close_now()


def test_the_workers_of_one_that_was_first_end(postgres_url: str, tmp_path: Path) -> None:
    """They joined before the other server entered: they are cut off, and join no more."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    options, clock = small_store_options(postgres_url), SystemClock()
    open_test_store(postgres_url, data, None).close_now()
    shutil.copytree(data, copy)
    first = prepare_store(options, data, clock=clock)
    open_one = functools.partial(open_store, options, clock=clock, random=os.urandom, worker=0)
    store = open_one(data, start_ms=first.start_ms)
    second = prepare_store(options, copy, clock=clock)
    with pytest.raises(NodeGone):
        store.standing.beat()
    with pytest.raises(NodeTaken):
        open_one(data, start_ms=first.start_ms)
    other = open_one(copy, start_ms=second.start_ms)
    for one in (store, other):
        one.close_now()


def test_a_command_beside_a_starting_server_is_no_second_node(
    postgres_url: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    store = open_test_store(postgres_url, data, None)

    async def run() -> None:
        async with running(store):
            options = small_store_options(postgres_url)
            prepared = await asyncio.to_thread(prepare_store, options, data, clock=SystemClock())
            assert not prepared.has_new_node_id

    asyncio.run(run())
