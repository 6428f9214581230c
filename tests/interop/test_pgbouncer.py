"""A store behind PgBouncer in session mode: locks, hints, fencing, and a restart of the server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kit.pgbouncer import pgbouncer
from kit.postgres_servers import Server, one_server, wait_for
from kit.store import make_account, make_intake, open_test_store, running
from zajil.store.engine.batch import Topic
from zajil.store.engine.errors import NodeGone, StoreUnavailable
from zajil.store.engine.nodes import find_node
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with one_server() as one:
        yield one


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """Return an address with a schema of its own, which the user brings with it."""
    user = f"u{os.urandom(6).hex()}"
    server.run(f"CREATE USER {user} SUPERUSER")
    server.run(f"ALTER USER {user} SET search_path = {user}")
    with pgbouncer(server, user) as behind:
        yield behind


def accept(store: Store, address: str) -> None:
    """File a mail in a new account."""
    staged = store.blobs.stage_now([b"Subject: x\r\n\r\n"])
    account = make_account(store, address)
    store.write_now(write_intakes, make_intake(staged, local=[account]))


def is_accepted(store: Store, address: str) -> bool:
    with suppress(StoreUnavailable):
        accept(store, address)
        return True
    return False


def announce(store: Store) -> None:
    with store._dialect.writer.connect() as conn:
        store.changes.announce_on(conn, {Topic("elsewhere")})


def test_a_hint_reaches_another_node(url: str, tmp_path: Path) -> None:
    one, two = (open_test_store(url, tmp_path / name) for name in ("one", "two"))

    async def run() -> None:
        async with running(two):
            heard = asyncio.Event()
            # Nothing looks at what this topic stands at: the hint alone tells of it.
            two.changes.subscribe("elsewhere", heard.set)
            await asyncio.to_thread(announce, one)
            await asyncio.wait_for(heard.wait(), 60)

    asyncio.run(run())
    one.close_now()


def test_a_node_that_is_gone_writes_nothing(url: str, tmp_path: Path) -> None:
    gone = open_test_store(url, tmp_path / "one")
    other = open_test_store(url, tmp_path / "two")
    accept(gone, "a@north.test")
    node_id = gone.standing.node_id
    row = other.read_now(lambda conn: find_node(conn, node_id))
    assert row is not None
    epoch = other.standing.declare_gone(row)
    assert epoch is not None
    assert other.standing.clear(node_id, epoch) is not None
    with pytest.raises(StoreUnavailable):
        accept(gone, "b@north.test")
    for _ in range(2):
        with pytest.raises(NodeGone):
            accept(gone, "b@north.test")
    accept(other, "b@north.test")
    gone.close_now()
    other.close_now()


def test_a_restart_of_the_server_needs_no_restart_of_ours(
    url: str, server: Server, tmp_path: Path
) -> None:
    store = open_test_store(url, tmp_path / "one", timeout_ms=3000)
    accept(store, "a@north.test")
    server.stop()
    with pytest.raises(StoreUnavailable):
        accept(store, "b@north.test")
    server.start()
    wait_for(lambda: is_accepted(store, "b@north.test"))  # after "server_login_retry" seconds
    store.close_now()
