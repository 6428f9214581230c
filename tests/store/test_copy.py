"""A store goes from SQLite to PostgreSQL as it is, and the old one takes no more writes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.store import make_account, make_intake, open_test_store, running, small_store_options
from zajil.core.directory import AccountEntry
from zajil.net.system import SystemClock
from zajil.read.indexer import Indexer
from zajil.store.copy.move import MovedStore, move_store
from zajil.store.engine.dialect import Progress
from zajil.store.engine.errors import NoStore, StoreExists, StoreInUse, StoreUnavailable
from zajil.store.engine.life import create_store
from zajil.store.engine.moved import MOVED_NAME, moved_to, moving
from zajil.store.engine.open import Store, open_store
from zajil.store.mail.intake import write_intakes
from zajil.store.people.accounts import delete_account
from zajil.store.people.domains import DomainRow, create_domain
from zajil.store.schema import metadata

LETTER = (
    b"From: b@elsewhere.test\r\nTo: amal@north.test\r\nSubject: =?utf-8?q?=D8=B3?=\r\n\r\n%b\r\n"
)


@contextmanager
def silent(_name: str) -> Iterator[Progress]:
    yield lambda _done, _total: None


def fill(store: Store) -> None:
    """Accounts, one of them gone; small and large mails, some waiting, with an index of words."""
    gone, amal, basim = (make_account(store, f"{name}@north.test") for name in ("x", "a", "b"))
    store.write_now(delete_account, gone.account_id)
    bring(store, 21, amal, basim)


def bring(store: Store, count: int, *accounts: AccountEntry) -> None:
    async def run() -> None:
        async with running(store):
            for number in range(count):
                size = 400_000 if number % 20 == 0 else 50
                letter = LETTER % (b"word%d " % number * (size // 8))
                content = await store.blobs.stage_any([letter])
                item = make_intake(content, local=accounts, remote=["x@far.test"])
                await store.write(write_intakes, item)
            await Indexer(store).index_waiting()

    asyncio.run(run())


def everything(conn: Connection) -> dict[str, list[str]]:
    """Return the rows of all tables, in a form that both databases give alike.

    Without the nodes: one that opens PostgreSQL has a row.
    """
    return {
        name: sorted(repr(tuple(row)) for row in conn.execute(sa.select(table)))
        for name, table in metadata.tables.items()
        if name != "node"
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder of a store in SQLite that was used."""
    store = open_test_store("sqlite", tmp_path / "data")
    fill(store)
    store.close_now()
    return tmp_path / "data"


@pytest.fixture
def old(folder: Path) -> Iterator[Store]:
    store = open_test_store("sqlite", folder)
    yield store
    store.close_now()


@pytest.fixture
def new_url(postgres_url: str) -> Iterator[str]:
    """A schema that nobody has made."""
    url = f"{postgres_url}_copy"
    yield url
    name = url.rpartition("%3D")[2]
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE'.encode())


def move(old: Store, url: str) -> MovedStore:
    return move_store(old._options, old.data_dir, url, random=os.urandom, stage=silent)


@contextmanager
def opened(url: str, folder: Path) -> Iterator[Store]:
    store = open_test_store(url, folder)
    try:
        yield store
    finally:
        store.close_now()


def test_everything_is_there(old: Store, new_url: str) -> None:
    """Rows, bytes in the database and in files, and no number is given again."""
    before = old.read_now(everything)
    last = old.read_now(
        lambda conn: conn.scalar(sa.text("SELECT seq FROM sqlite_sequence WHERE name = 'account'"))
    )
    moved = move(old, new_url)
    with opened(new_url, old.data_dir) as new:
        assert new.read_now(everything) == before
        assert make_account(new, "dalia@north.test").account_id == int(last or 0) + 1
    assert (moved.messages, moved.in_files, moved.replaced) == (21, 2, 0)
    assert moved.rows == sum(map(len, before.values())) - 21


def test_the_old_store_says_where_it_is_now(old: Store, new_url: str) -> None:
    """A server that has it open reads on, and takes no mail."""
    move(old, new_url)
    assert len(old.read_now(everything)["blob"]) == 21
    with pytest.raises(StoreUnavailable, match=r"has moved to the schema .*set store\.url"):
        old.write_now(create_domain, DomainRow("late.test", 1))
    with pytest.raises(StoreUnavailable, match="has moved to the schema"):
        open_test_store("sqlite", old.data_dir)
    with pytest.raises(StoreUnavailable, match="has moved to the schema"):
        move(old, new_url)


def test_mail_is_deferred_at_once_while_rows_are_copied(old: Store) -> None:
    """It is not kept waiting; and afterwards all is as before."""
    with moving(old.data_dir):
        with pytest.raises(StoreUnavailable, match="being copied"):
            old.write_now(create_domain, DomainRow("a.test", 1))
        with pytest.raises(StoreInUse, match="another"), moving(old.data_dir):
            pass
        assert old.read_now(everything)["domain"]
    old.write_now(create_domain, DomainRow("a.test", 1))


def test_what_comes_and_goes_meanwhile_is_followed(old: Store, new_url: str) -> None:
    """Between the early copy of the messages and that of the rows."""
    amal = make_account(old, "amal@north.test")

    @contextmanager
    def stage(name: str) -> Iterator[Progress]:
        yield lambda _done, _total: None
        if name == "copying the messages":
            with opened("sqlite", old.data_dir) as other:
                bring(other, 3, amal)
            with old._dialect.writer.begin() as conn:
                some = sa.text("SELECT id FROM blob WHERE content IS NOT NULL ORDER BY id LIMIT 2")
                first, second = conn.scalars(some)
                conn.execute(sa.text("DELETE FROM blob WHERE id = :id"), {"id": first})
                conn.execute(
                    sa.text("UPDATE blob SET digest = NULL WHERE id = :id"), {"id": second}
                )

    move_store(old._options, old.data_dir, new_url, random=os.urandom, stage=stage)
    with opened(new_url, old.data_dir) as new:
        assert new.read_now(everything) == old.read_now(everything)


def test_a_table_that_is_locked_after_the_copy_does_no_harm(old: Store, new_url: str) -> None:
    """The server's own upkeep holds such locks; the store has moved all the same."""
    locked, late = psycopg.connect(new_url), []

    @contextmanager
    def stage(name: str) -> Iterator[Progress]:
        if name == "counting values for the planner":
            locked.execute("LOCK TABLE domain IN SHARE UPDATE EXCLUSIVE MODE")
            late.append(threading.Timer(0.3, locked.close))
            late[0].start()
        yield lambda _done, _total: None

    moved = move_store(old._options, old.data_dir, new_url, random=os.urandom, stage=stage)
    late[0].join()
    assert moved.messages
    with pytest.raises(StoreUnavailable, match="has moved"):
        old.write_now(create_domain, DomainRow("late.test", 1))


def test_text_that_postgresql_cannot_store_is_named(old: Store, new_url: str) -> None:
    with old._dialect.writer.begin() as conn:
        conn.execute(sa.text("UPDATE account SET display_name = 'a' || char(0) || 'b'"))
    moved = move(old, new_url)
    with opened(new_url, old.data_dir) as new:
        names = new.read_now(
            lambda conn: set(conn.scalars(sa.text("SELECT display_name FROM account")))
        )
    assert names == {"a\ufffdb"}
    assert moved.replaced == 2


def test_other_tables_are_left_alone(old: Store, store_url: str, postgres_url: str) -> None:
    if store_url == "sqlite":
        with (
            pytest.raises(StoreExists, match="already contains tables"),
            opened(postgres_url, old.data_dir.with_name("other")),
        ):
            move(old, postgres_url)
        return
    with (
        opened(store_url, old.data_dir.with_name("other")) as other,
        pytest.raises(StoreUnavailable, match="only a store in SQLite"),
    ):
        move(other, postgres_url)


_KILLED = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from kit.store import small_store_options
from zajil.store.copy.move import move_store

end = sys.argv[3]

@contextmanager
def stage(name):
    def progress(done, total):
        if name == end and done * 2 >= total:
            os.kill(os.getpid(), signal.SIGKILL)
    yield progress

options = small_store_options("sqlite")
move_store(options, Path(sys.argv[1]), sys.argv[2], random=os.urandom, stage=stage)
"""


@pytest.mark.parametrize("end", ["copying the messages", "copying the rows"])
def test_a_copy_that_was_killed_goes_on(old: Store, new_url: str, end: str) -> None:
    program = [sys.executable, "-c", _KILLED, str(old.data_dir), new_url, end]
    assert subprocess.run(program, check=False).returncode == -signal.SIGKILL
    old.write_now(create_domain, DomainRow("between.test", 1))
    with pytest.raises(StoreExists, match="unfinished copy"):
        create_store(small_store_options(new_url), old.data_dir)
    with pytest.raises(NoStore, match="unfinished copy"):
        open_store(
            small_store_options(new_url), old.data_dir, clock=SystemClock(), random=os.urandom
        )
    before = old.read_now(everything)
    move(old, new_url)
    with opened(new_url, old.data_dir) as new:
        assert new.read_now(everything) == before


def test_a_server_that_writes_all_the_time_loses_nothing(old: Store, new_url: str) -> None:
    """What was acknowledged before the end is in PostgreSQL, and nothing was afterwards."""
    written: list[str] = []
    is_over = threading.Event()

    def write() -> None:
        with opened("sqlite", old.data_dir) as server:
            number = 0
            while not is_over.is_set():
                number += 1
                name = f"d{number}.test"
                try:
                    server.write_now(create_domain, DomainRow(name, 1))
                    written.append(name)
                except StoreUnavailable:
                    continue

    writer = threading.Thread(target=write)
    writer.start()
    try:
        move(old, new_url)
    finally:
        is_over.set()
        writer.join()
    with opened(new_url, old.data_dir) as new:
        names = new.read_now(
            lambda conn: set(conn.scalars(sa.text("SELECT ascii_name FROM domain")))
        )
    assert written
    assert set(written) <= names


class LateFile:
    """Stands for the file ``store.moved``: the store moves just after somebody looked for it."""

    def __init__(self, folder: Path) -> None:
        self.parent = folder
        self._looks = 0

    def exists(self) -> bool:
        self._looks += 1
        if self._looks > 1:
            return True
        with moving(self.parent) as move:
            move("elsewhere")
        return False


def test_a_write_that_waits_while_the_store_moves_is_refused(tmp_path: Path) -> None:
    """Else a mail that was accepted would be in the old store alone."""
    old = open_test_store("sqlite", tmp_path / "old")
    old.writer._dialect._moved = LateFile(old.data_dir)  # type: ignore[attr-defined]
    with pytest.raises(StoreUnavailable, match="has moved to elsewhere"):
        old.write_now(create_domain, DomainRow("late.test", 1))
    with pytest.raises(StoreUnavailable, match="has moved to elsewhere"):
        old.write_now(create_domain, DomainRow("later.test", 1))
    assert old.read_now(lambda conn: conn.execute(sa.select(metadata.tables["domain"])).all()) == []
    old.close_now()


def test_a_copy_that_begins_as_another_ends_holds_the_file_that_servers_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one removes the file; a lock on a file without a name would keep nobody away."""
    lock = fcntl.flock

    def lock_late(descriptor: int, kind: int) -> None:
        monkeypatch.undo()
        (tmp_path / MOVED_NAME).unlink()
        lock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with pytest.raises(StoreInUse, match="run the command again"), moving(tmp_path):
        pass
    with moving(tmp_path) as move:
        move("elsewhere")
    assert moved_to(tmp_path) == "elsewhere"
