"""A store is made once, upgraded when nothing else uses it, and never made by accident."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from pysqlite3 import dbapi2

from kit.clock import FakeClock
from kit.store import NOW_MS, make_account, make_intake, open_test_store, small_store_options
from zajil.net.system import SystemClock
from zajil.store import migrations
from zajil.store.engine import life
from zajil.store.engine.errors import (
    NoStore,
    OlderSchema,
    StoreExists,
    StoreFull,
    StoreInUse,
    StoreUnavailable,
)
from zajil.store.engine.folder import LOCK_NAME, ServerLock, is_served
from zajil.store.engine.life import COPIES, create_store, prepare_store, upgrade_store
from zajil.store.engine.open import Store, open_store
from zajil.store.mail.intake import write_intakes
from zajil.store.people.accounts import list_accounts
from zajil.store.queue.queue import Claim, claim

FIRST = "0001"


def open_plain(url: str, data_dir: Path) -> Store:
    """Open as the server and every command do."""
    options = small_store_options(url)
    return open_store(options, data_dir, clock=SystemClock(), random=os.urandom)


def make_old(url: str, data_dir: Path) -> None:
    """Make a store with the tables of the first version."""
    store = open_test_store(url, data_dir)
    make_account(store, "amal@north.test")
    with store._dialect.writer.begin() as conn:
        for name in sa.inspect(conn).get_table_names():
            conn.execute(sa.text(f'DROP TABLE "{name}"'))
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = conn
        command.upgrade(config, FIRST)
        conn.execute(
            sa.text(
                "INSERT INTO account (login, address, address_key, display_name, password_hash, "
                "admin, active, created_ms) "
                "VALUES ('amal', 'amal@north.test', 'amal@north.test', '', '!', true, true, 1)"
            )
        )
    store.close_now()


@contextmanager
def started(code: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()


def upgrade(url: str, data_dir: Path) -> life.Upgrade | None:
    return upgrade_store(small_store_options(url), data_dir, clock=FakeClock(NOW_MS))


# ---- a store that is missing --------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["folder", "file"])
def test_a_missing_database_is_not_made(missing: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    if missing == "file":
        open_test_store("sqlite", data).close_now()
        for path in data.glob("store.sqlite*"):
            path.unlink()
    with pytest.raises(NoStore, match=r"is missing: restore it.*zajil store create"):
        open_plain("sqlite", data)
    assert not (data / "store.sqlite").exists()
    assert data.exists() is (missing == "file")


def _foreign(path: Path) -> None:
    other = dbapi2.connect(str(path))
    other.execute("CREATE TABLE photo (id INTEGER)")
    other.commit()
    other.close()


def _foreign_alembic(path: Path) -> None:
    other = dbapi2.connect(str(path))
    other.execute("CREATE TABLE alembic_version (version_num TEXT)")
    other.execute("INSERT INTO alembic_version VALUES ('0001')")
    other.commit()
    other.close()


def _without_tables(path: Path) -> None:
    other = dbapi2.connect(str(path))
    other.execute("PRAGMA user_version = 1")
    other.close()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b""), "is empty: .*zajil store create"),
        (lambda path: path.write_bytes(b"something else" * 100), "not a database"),
        (_foreign, "is not a store of Zajil"),
        (_foreign_alembic, "is not a store of Zajil"),
        (_without_tables, "holds no tables"),
        (lambda path: path.mkdir(), "database"),
    ],
    ids=["empty", "garbage", "foreign", "foreign-alembic", "no-tables", "folder"],
)
def test_what_is_not_our_store_is_not_touched(make: object, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    make(path)  # type: ignore[operator]
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StoreUnavailable, match=reason) as caught:
        open_plain("sqlite", tmp_path)
    assert "\n" not in str(caught.value)
    assert (path.read_bytes() if path.is_file() else b"") == before
    with pytest.raises(StoreExists, match="nothing was changed"):
        create_store(small_store_options("sqlite"), tmp_path)


def test_a_postgresql_schema_without_our_tables(postgres_url: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(NoStore, match=r"holds no tables: .*zajil store create"):
        open_plain(postgres_url, tmp_path)
    create_store(small_store_options(postgres_url), tmp_path)
    open_plain(postgres_url, tmp_path).close_now()


def test_a_store_is_made_once(store_url: str, tmp_path: Path) -> None:
    create_store(small_store_options(store_url), tmp_path / "data")
    with pytest.raises(StoreExists, match="nothing was changed"):
        create_store(small_store_options(store_url), tmp_path / "data")
    store = open_plain(store_url, tmp_path / "data")
    assert store.read_now(list_accounts) == []
    store.close_now()


def test_a_creation_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "migrations"
    broken.mkdir()
    monkeypatch.setattr("zajil.store.engine.migrate._FOLDER", broken)
    with pytest.raises(ImportError):
        create_store(small_store_options("sqlite"), tmp_path / "data")
    assert not list((tmp_path / "data").glob("store.sqlite*"))


def test_a_database_removed_under_a_server_is_not_made_anew(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path)
    for path in tmp_path.glob("store.sqlite*"):
        path.unlink()
    store._dialect.close()
    with pytest.raises(StoreUnavailable):
        make_account(store, "amal@north.test")
    store.close_now()
    assert not (tmp_path / "store.sqlite").exists()


# ---- upgrades -----------------------------------------------------------------------------------


def test_an_older_store_is_not_upgraded_by_opening_it(store_url: str, tmp_path: Path) -> None:
    make_old(store_url, tmp_path / "data")
    for _ in range(2):
        with pytest.raises(OlderSchema, match=r"schema 0001, .* needs .*run `zajil upgrade run`"):
            open_plain(store_url, tmp_path / "data")


def test_an_upgrade_keeps_a_copy(store_url: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_old(store_url, data)
    done = upgrade(store_url, data)
    assert done is not None
    assert done.found == FIRST
    store = open_plain(store_url, data)
    assert [row.login for row in store.read_now(list_accounts)] == ["amal"]
    store.close_now()
    assert upgrade(store_url, data) is None
    if store_url != "sqlite":
        assert done.copy is None
        return
    assert done.copy == data / COPIES / "store-0001-20231114T221320Z.sqlite"
    assert stat.S_IMODE(done.copy.stat().st_mode) == 0o600
    assert list(done.copy.parent.iterdir()) == [done.copy]
    copy = dbapi2.connect(str(done.copy))
    assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == (FIRST,)
    assert copy.execute("SELECT login FROM account").fetchall() == [("amal",)]
    copy.close()


def test_a_copy_takes_the_place_of_the_store(tmp_path: Path) -> None:
    """The way back that docs/run/upgrade.md describes."""
    make_old("sqlite", tmp_path)
    done = upgrade("sqlite", tmp_path)
    assert done is not None
    assert done.copy is not None
    for path in tmp_path.glob("store.sqlite*"):
        path.unlink()
    done.copy.rename(tmp_path / "store.sqlite")
    with pytest.raises(OlderSchema):
        open_plain("sqlite", tmp_path)
    assert upgrade("sqlite", tmp_path) is not None


def test_an_upgrade_needs_space_for_its_copy(tmp_path: Path) -> None:
    make_old("sqlite", tmp_path)
    options = small_store_options("sqlite", free_space_reserve=1 << 60)
    with pytest.raises(StoreFull, match="free_space_reserve"):
        upgrade_store(options, tmp_path, clock=SystemClock())
    assert not (tmp_path / COPIES).exists()
    with pytest.raises(OlderSchema):
        open_plain("sqlite", tmp_path)


_OLD_SERVER = """
import asyncio, os, sys
from pathlib import Path
from zajil.store.engine import open as opening
from zajil.net.system import SystemClock
from kit.store import running, small_store_options

opening.require_usable = lambda dialect: None  # a server of the version before opened it

async def main():
    options = small_store_options(sys.argv[1])
    store = opening.open_store(
        options, Path(sys.argv[2]), clock=SystemClock(), random=os.urandom
    )
    async with running(store):
        await store.directory.load()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


def test_nothing_is_upgraded_beside_an_older_server(store_url: str, tmp_path: Path) -> None:
    """It does not hold the lock of the data folder: it is of before there was one."""
    data = tmp_path / "data"
    make_old(store_url, data)
    with started(_OLD_SERVER, store_url, str(data)) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        for run in (upgrade_store, prepare_store):
            with pytest.raises(StoreInUse, match="stop"):
                run(small_store_options(store_url), data, clock=SystemClock())
        with pytest.raises(OlderSchema):
            open_plain(store_url, data)
    assert upgrade(store_url, data) is not None


def test_an_older_server_without_the_advisory_lock_is_seen(
    postgres_url: str, tmp_path: Path
) -> None:
    """It listens for commits as every server does."""
    make_old(postgres_url, tmp_path)
    engine = sa.create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as conn:
        schema = conn.exec_driver_sql("SELECT current_schema()").scalar()
        conn.exec_driver_sql(f'LISTEN "zajil.{schema}"')
        conn.commit()
        conn.exec_driver_sql(f'LISTEN "zajil.{schema}"')
        with pytest.raises(StoreInUse, match="stop it first"):
            upgrade(postgres_url, tmp_path)
    engine.dispose()
    assert upgrade(postgres_url, tmp_path) is not None


def test_nothing_is_upgraded_beside_a_server(store_url: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_old(store_url, data)
    lock = ServerLock(data)
    lock.take()
    with pytest.raises(StoreInUse, match=rf"process {os.getpid()}\) .*stop it first"):
        upgrade(store_url, data)
    lock.release()
    assert upgrade(store_url, data) is not None


# ---- the lock of the data folder ----------------------------------------------------------------


def test_a_second_server_is_refused(tmp_path: Path) -> None:
    first, second = ServerLock(tmp_path), ServerLock(tmp_path)
    assert not is_served(tmp_path)
    first.take()
    assert is_served(tmp_path)
    with pytest.raises(StoreInUse, match=f"process {os.getpid()}"):
        second.take(patience_seconds=60)  # it lives: nothing to wait for
    first.release()
    second.take()
    second.release()
    assert stat.S_IMODE((tmp_path / LOCK_NAME).stat().st_mode) == 0o600


def test_the_workers_of_a_killed_server_hold_the_lock(tmp_path: Path) -> None:
    code = """
import os, sys, time
from pathlib import Path
from zajil.store.engine.folder import ServerLock
lock = ServerLock(Path(sys.argv[1]))
lock.take()
if os.fork() == 0:
    print("forked", flush=True)
    sys.stdin.read()
    os._exit(0)
time.sleep(60)
"""
    lock = ServerLock(tmp_path)
    with started(code, str(tmp_path)) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"forked\n"
        server.send_signal(signal.SIGKILL)
        server.wait()
        with pytest.raises(StoreInUse):
            lock.take()
    lock.take(patience_seconds=60)  # the worker ends now
    lock.release()


# ---- permissions --------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_files_are_for_their_owner_alone_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        store = open_test_store("sqlite", tmp_path / "data", inline_limit=0)
        store.blobs.stage_now([b"x" * 10])
        make_account(store, "amal@north.test")
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in (tmp_path / "data").rglob("*")
            if path.is_file()
        }
        store.close_now()
    finally:
        os.umask(before)
    assert {"store.sqlite", "store.sqlite-wal", "store.sqlite-shm"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_what_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    open_test_store("sqlite", tmp_path).close_now()
    for path, mode in ((tmp_path, 0o755), (tmp_path / "store.sqlite", 0o644)):
        path.chmod(mode)
    done = prepare_store(small_store_options("sqlite"), tmp_path, clock=SystemClock())
    assert set(done.closed) >= {tmp_path / ".", tmp_path / "store.sqlite"}
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "store.sqlite").stat().st_mode) == 0o600
    assert prepare_store(small_store_options("sqlite"), tmp_path, clock=SystemClock()).closed == []


def test_what_killed_workers_had_claimed_is_due_at_the_next_start(
    store_url: str, tmp_path: Path
) -> None:
    """Also where fewer workers start than there were: a reload had made more of them."""
    options = small_store_options(store_url)
    create_store(options, tmp_path)
    store = open_plain(store_url, tmp_path)
    try:
        content = store.blobs.stage([b"Subject: x\r\n\r\n"])
        store.write_now(write_intakes, make_intake(content, remote=["a@far.test"]))
        now_ms = SystemClock().now_ms()
        item = Claim(
            owner=f"{store.node_id}/7/",
            token="t",
            now_ms=now_ms,
            until_ms=now_ms + 900_000,
            limit=9,
        )
        assert len(store.write_now(claim, item)) == 1
    finally:
        store.close_now()
    prepare_store(options, tmp_path, clock=SystemClock())
    store = open_plain(store_url, tmp_path)
    try:
        again = replace(item, owner=f"{store.node_id}/0/", now_ms=SystemClock().now_ms())
        assert len(store.write_now(claim, again)) == 1
    finally:
        store.close_now()
