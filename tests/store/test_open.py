"""A store is opened as it must be, or refused in one sentence."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from pysqlite3 import dbapi2

from kit.store import (
    NOW_MS,
    make_account,
    open_test_store,
    small_store_options,
)
from zajil.config.options_server import StoreOptions
from zajil.core.mail_options import PLAIN_MAIL, PLAIN_RECIPIENT
from zajil.net.system import SystemClock
from zajil.store import migrations
from zajil.store.engine import sqlite
from zajil.store.engine.errors import StoreInUse, StoreUnavailable, WrongSchema
from zajil.store.engine.life import prepare_store, upgrade_store
from zajil.store.engine.open import Store
from zajil.store.partial_indexes import complete_metadata
from zajil.store.queue.queue import Claim, claim


def test_migrations_make_what_the_schema_says(store: Store) -> None:
    with store._dialect.writer.begin() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        assert compare_metadata(context, complete_metadata()) == []


def _shapes(conn: sa.Connection) -> set[tuple[str, frozenset[str], str]]:
    """Give each table and index: its name, its columns and constraints in any order, its end.

    A column that a migration added stands behind the constraints.
    """
    query = sa.text("SELECT sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND sql != ''")
    shapes = set()
    for sql in conn.scalars(query):
        name, _, rest = "".join(sql.split()).partition("(")
        inside, _, end = rest.rpartition(")")
        shapes.add((name, frozenset(inside.split(",")), end))
    return shapes


def test_migrations_make_the_very_tables_of_the_schema(tmp_path: Path) -> None:
    """Of what Alembic does not compare: WITHOUT ROWID, AUTOINCREMENT, conditions of indexes."""
    plain = sa.create_engine("sqlite://", module=dbapi2)
    complete_metadata().create_all(plain)
    with plain.connect() as conn:
        wanted = _shapes(conn)
    plain.dispose()
    store = open_test_store("sqlite", tmp_path)
    migrated = store.read_now(_shapes)
    store.close_now()
    assert migrated == wanted


def test_an_older_store_is_brought_up_to_date(store: Store, store_url: str, tmp_path: Path) -> None:
    """What lies in it is what it was; a mail of before asks for nothing."""
    with store._dialect.writer.begin() as conn:
        _make_first_tables(conn)
        for statement in _FIRST_MAIL:
            conn.execute(sa.text(statement))
    store._dialect.close()
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    claimed = again.write_now(claim, Claim("here/1/", "t", NOW_MS, NOW_MS + 1, 10))
    again.close_now()
    assert [(row.mail_id, row.mail_options, row.options) for row in claimed] == [
        ("m1", PLAIN_MAIL, PLAIN_RECIPIENT)
    ]


_FIRST_MAIL = (
    "INSERT INTO mail (id, at_ms, header_from, message_id, size, blob_id, needs_smtputf8)"
    " VALUES ('m1', 1, '', '<1@one.test>', 1, 'b1', FALSE)",
    "INSERT INTO recipient (mail_id, position, address, address_key, state, reason, at_ms,"
    " next_hop, tries, next_try_ms, expires_ms) VALUES ('m1', 0, 'a@one.test', 'a@one.test',"
    " 'waiting', '', 1, 'one.test', 0, 1, 2)",
    "INSERT INTO blob (id, size) VALUES ('b1', 1)",
)
"""A mail for elsewhere, as the first version wrote it."""


def _make_first_tables(conn: sa.Connection) -> None:
    complete_metadata().drop_all(conn)
    conn.execute(sa.text("DROP TABLE alembic_version"))
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = conn
    command.upgrade(config, "0001")


def test_a_second_open_finds_everything_again(store: Store, store_url: str, tmp_path: Path) -> None:
    amal = make_account(store, "amal@north.test")
    again = open_test_store(store_url, tmp_path / "data")
    with pytest.raises(Exception, match="already exists"):
        make_account(again, "amal@north.test")
    again.close_now()
    assert amal.active


def test_prepare_leaves_nothing_open(store_url: str, tmp_path: Path) -> None:
    options = StoreOptions(url=store_url)
    open_test_store(store_url, tmp_path / "data").close_now()
    before = len(os.listdir("/proc/self/fd"))
    prepare_store(options, tmp_path / "data", clock=SystemClock())
    prepare_store(options, tmp_path / "data", clock=SystemClock())
    assert len(os.listdir("/proc/self/fd")) == before


def test_sqlite_is_set_up_to_last(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path, synced=True)
    with store._dialect.writer.connect() as conn:
        settings = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "auto_vacuum", "mmap_size")
        }
    store.close_now()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2, "mmap_size": 0}


def test_a_snapshot_cannot_write(store: Store) -> None:
    def write(conn: sa.Connection) -> None:
        conn.execute(sa.text("INSERT INTO counter (name, value) VALUES ('x', 1)"))

    with pytest.raises((StoreUnavailable, sa.exc.DBAPIError)):
        store.read_now(write)


def test_a_snapshot_stands_still(store: Store) -> None:
    def accounts(conn: sa.Connection) -> int:
        return int(conn.execute(sa.text("SELECT count(*) FROM account")).scalar_one())

    def read(conn: sa.Connection) -> tuple[int, int]:
        before = accounts(conn)
        make_account(store, "amal@north.test")
        return before, accounts(conn)

    assert store.read_now(read) == (0, 0)
    assert store.read_now(accounts) == 1


def test_one_command_does_a_piece_of_work(store: Store, store_url: str, tmp_path: Path) -> None:
    other = open_test_store(store_url, tmp_path / "data")
    with store.working_alone("account move"):
        with (
            pytest.raises(StoreInUse, match="another `zajil account move` is running"),
            other.working_alone("account move"),
        ):
            pass
        with other.working_alone("something else"):
            pass
    for _ in range(600):  # PostgreSQL notices a moment later that the connection has ended
        with suppress(StoreInUse), other.working_alone("account move"):
            break
        time.sleep(0.1)
    else:
        pytest.fail("the lock stays")
    other.close_now()


def test_a_database_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"cannot open the database: .*refused") as caught:
        open_test_store("postgresql://u@127.0.0.1:1/x", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("name", ["store.sqlite", "blobs", "."])
def test_a_store_of_another_user_is_not_touched(tmp_path: Path, name: str) -> None:
    open_test_store("sqlite", tmp_path).close_now()
    if name == ".":
        (tmp_path / "store.sqlite").unlink()
        (tmp_path / "blobs").rmdir()
    if name == "blobs":
        (tmp_path / "store.sqlite").unlink()
    os.chown(tmp_path / name, 65534, 65534)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(
        StoreUnavailable, match="belongs to user nobody, but this runs as user root"
    ):
        open_test_store("sqlite", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_store_of_a_newer_version_is_not_touched(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    with store._dialect.writer.begin() as conn:
        conn.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        conn.execute(sa.text("UPDATE schema_floor SET floor = '9999'"))
    with pytest.raises(WrongSchema, match=r"schema 9999.*another version of Zajil"):
        open_test_store(store_url, tmp_path / "data")


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "OLDEST_SQLITE", (99, 0, 0))
    with pytest.raises(StoreUnavailable, match="can lose mail"):
        open_test_store("sqlite", tmp_path)
