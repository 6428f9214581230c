"""Upgrades are taken back, are killed, meet a full disk, and a store of the future."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.old_store import contents, load_into_postgres, unpack
from kit.store import make_account, make_intake, open_test_store, small_store_options
from zajil.net.system import SystemClock
from zajil.store.engine import life, migrate
from zajil.store.engine.dialect import Dialect
from zajil.store.engine.errors import (
    CannotUndo,
    OlderSchema,
    StoreFull,
    StoreInUse,
    StoreUnavailable,
    WrongSchema,
)
from zajil.store.engine.folder import ServerLock
from zajil.store.engine.life import COPIES, undo_store, upgrade_store
from zajil.store.engine.migrate import examine, known_schemas, one_way_schemas
from zajil.store.engine.open import make_dialect
from zajil.store.engine.upgrades import last_upgrade
from zajil.store.mail.intake import write_intakes
from zajil.store.repair.check import find_damage
from zajil.store.schema import schema_upgrade

_NEWEST = known_schemas()[-1]
_LAST_ONE_WAY = "0045"


def old_store(url: str, folder: Path) -> dict[str, Any]:
    """Make a store of the last schema without a way back; return what is in it."""
    expected = unpack(_LAST_ONE_WAY, folder)
    if url != "sqlite":
        load_into_postgres(folder, _LAST_ONE_WAY, url)
    return expected


def upgrade(url: str, folder: Path) -> life.Upgrade | None:
    return upgrade_store(small_store_options(url), folder, clock=SystemClock())


def undo(url: str, folder: Path) -> life.Upgrade:
    return undo_store(small_store_options(url), folder, clock=SystemClock())


@pytest.fixture
def dialect(store_url: str, tmp_path: Path) -> Iterator[Dialect]:
    """The database of such a store."""
    old_store(store_url, tmp_path)
    found = make_dialect(small_store_options(store_url), tmp_path)
    yield found
    found.close()


_OF_UPGRADES = ("alembic_version", "schema_floor", "schema_upgrade")


def _shape(conn: Connection, dialect: Dialect) -> dict[str, object]:
    """Return all tables with their columns and indexes."""
    look, schema = sa.inspect(conn), dialect.schema_of(conn)
    # A few questions for all tables together: PostgreSQL takes seconds to describe them one by one.
    keys, indexes = look.get_multi_pk_constraint(schema), look.get_multi_indexes(schema)
    return {
        place[1]: (
            [(one["name"], str(one["type"]), one["nullable"]) for one in columns],
            keys[place]["constrained_columns"],
            sorted(map(_spell, indexes[place])),
        )
        for place, columns in look.get_multi_columns(schema).items()
    }


def _spell(index: Any) -> str:
    options = {name: str(value) for name, value in index["dialect_options"].items()}
    return f"{index['name']} {index['column_names']} {index['unique']} {options}"


def _rows(conn: Connection, dialect: Dialect, shape: dict[str, object]) -> dict[str, list[Any]]:
    kept = [name for name in shape if name not in _OF_UPGRADES]
    tables = sa.MetaData()
    tables.reflect(conn, dialect.schema_of(conn), only=kept, resolve_fks=False)
    return {
        table.name: sorted(map(repr, conn.execute(sa.select(table))))
        for table in tables.tables.values()
    }


def _fill(conn: Connection, dialect: Dialect, names: set[str]) -> None:
    """Put a row into each of these tables."""
    for name in names:
        table = sa.Table(name, sa.MetaData(), schema=dialect.schema_of(conn), autoload_with=conn)
        row = {column.name: _value(column.type.python_type) for column in table.columns}
        conn.execute(sa.insert(table).values(row))


def _value(kind: type) -> object:
    return {bool: True, bytes: b"x", str: "x", float: 1.0}.get(kind, 7)


def test_each_migration_since_0046_has_a_way_back() -> None:
    assert one_way_schemas()[-1] == _LAST_ONE_WAY


def test_each_migration_up_down_and_up(dialect: Dialect) -> None:
    """After the way back tables and rows are what they were, although new tables have rows."""
    for schema in [one for one in known_schemas() if one > _LAST_ONE_WAY]:
        before = known_schemas()[known_schemas().index(schema) - 1]
        with dialect.upgrading() as conn:
            shape = _shape(conn, dialect)
            rows = _rows(conn, dialect, shape)
            migrate.run_migrations(conn, to=schema)
            new = set(_shape(conn, dialect)) - set(shape)
            _fill(conn, dialect, new)
            migrate.run_migrations(conn, back_to=before)
            assert _shape(conn, dialect) == shape
            assert _rows(conn, dialect, shape) == rows
            migrate.run_migrations(conn, to=schema)
            _fill(conn, dialect, new)


def test_mail_since_the_upgrade_stays(store_url: str, tmp_path: Path) -> None:
    expected = old_store(store_url, tmp_path)
    upgrade(store_url, tmp_path)
    store = open_test_store(store_url, tmp_path)
    carim = make_account(store, "carim@north.test")
    mail = make_intake(store.blobs.stage([b"Subject: new\r\n\r\n"]), local=[carim])
    store.write_now(write_intakes, mail)
    after = contents(store)
    store.close_now()
    assert len(after["messages"]) == len(expected["messages"]) + 1

    undone = undo(store_url, tmp_path)
    assert (undone.found, undone.needed) == (_LAST_ONE_WAY, _NEWEST)
    with pytest.raises(OlderSchema, match=rf"schema {_LAST_ONE_WAY}.*zajil upgrade run"):
        open_test_store(store_url, tmp_path)
    with pytest.raises(CannotUndo, match=f"has schema {_LAST_ONE_WAY} and this program needs"):
        undo(store_url, tmp_path)
    if store_url == "sqlite":
        copies = [one.name[:11] for one in sorted((tmp_path / COPIES).iterdir())]
        assert copies == [f"store-{_LAST_ONE_WAY}-", f"store-{_NEWEST}-"]

    assert upgrade(store_url, tmp_path) is not None
    store = open_test_store(store_url, tmp_path)
    assert contents(store) == after
    assert find_damage(store, is_served=False, progress=lambda done, total: None) == []
    store.close_now()


def test_what_cannot_be_undone(store_url: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    open_test_store(store_url, data).close_now()
    with pytest.raises(CannotUndo, match=r"created with schema .* no upgrade to undo"):
        undo(store_url, data)
    dialect = make_dialect(small_store_options(store_url), data)
    with dialect.writer.begin() as conn:
        conn.execute(sa.text("UPDATE schema_upgrade SET from_schema = '0044'"))
    dialect.close()
    with pytest.raises(CannotUndo, match="schema 0045 has no way back; restore the copy"):
        undo(store_url, data)
    with dialect.writer.begin() as conn:
        conn.execute(sa.text("UPDATE schema_upgrade SET from_schema = '0045'"))
    dialect.close()
    lock = ServerLock(data)
    lock.take()
    with pytest.raises(StoreInUse, match="stop it first"):
        undo(store_url, data)
    lock.release()
    assert examine(dialect).is_current
    dialect.close()


def test_a_newer_store_names_the_version_it_needs(store_url: str, tmp_path: Path) -> None:
    store = open_test_store(store_url, tmp_path)
    row = store.read_now(last_upgrade)
    assert row is not None
    assert (row.from_schema, row.to_schema) == ("", _NEWEST)
    with store._dialect.writer.begin() as conn:
        conn.execute(sa.text("UPDATE alembic_version SET version_num = '9001'"))
        new = {"at_ms": 1, "from_schema": _NEWEST, "to_schema": "9001", "version": "7.1"}
        conn.execute(sa.insert(schema_upgrade).values(new))
        conn.execute(sa.text("UPDATE schema_floor SET floor = '9001'"))
    store.close_now()
    told = rf"schema 9001, which Zajil 7\.1 made; this .* up to {_NEWEST}: install Zajil 7\.1 or a"
    for run in (open_test_store, upgrade, undo):
        with pytest.raises(WrongSchema, match=told) as caught:
            run(store_url, tmp_path)
        assert "\n" not in str(caught.value)


# ---- killed, or without space -------------------------------------------------------------------

_KILLED = """
import os, signal, sys
from pathlib import Path
import sqlalchemy as sa
from kit.store import small_store_options
from zajil.net.system import SystemClock
from zajil.store.engine.life import undo_store, upgrade_store

kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "upgrade":
    changed = lambda conn, cursor, statement, *_: "ALTER TABLE blob" in statement and kill()
    sa.event.listen(sa.Engine, "after_cursor_execute", changed)
else:
    sa.event.listen(sa.Engine, "commit", kill)
run = {"upgrade": upgrade_store, "undo": undo_store}[sys.argv[1]]
run(small_store_options(sys.argv[2]), Path(sys.argv[3]), clock=SystemClock())
"""


@pytest.mark.parametrize("what", ["upgrade", "undo"])
def test_a_kill_leaves_the_store_as_it_was(what: str, store_url: str, tmp_path: Path) -> None:
    """An upgrade is killed between two migrations, an undo right before its commit."""
    expected = old_store(store_url, tmp_path)
    if what == "undo":
        upgrade(store_url, tmp_path)
    dialect = make_dialect(small_store_options(store_url), tmp_path)
    with dialect.examining() as conn:
        before = _shape(conn, dialect)
    dialect.close()
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, what, store_url, str(tmp_path)], timeout=60
    )
    assert killed.returncode == -9
    with dialect.examining() as conn:
        assert _shape(conn, dialect) == before
    assert examine(dialect).found == (_LAST_ONE_WAY if what == "upgrade" else _NEWEST)
    dialect.close()
    upgrade(store_url, tmp_path)
    store = open_test_store(store_url, tmp_path)
    assert contents(store) == expected
    store.close_now()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own, with an old store on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8M", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this test needs to mount a file system")
    old_store("sqlite", folder)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("more", [-100_000, 0, 20_000], ids=["copy", "begin", "tables"])
def test_a_full_disk_changes_nothing(more: int, disk: Path) -> None:
    """Whether the copy or the new tables find no space; then it is done with space."""
    size = (disk / "store.sqlite").stat().st_size
    free = os.statvfs(disk)
    (disk / "fill").write_bytes(bytes(free.f_bavail * free.f_frsize - (size + more)))
    with pytest.raises(StoreUnavailable) as caught:
        upgrade("sqlite", disk)
    assert isinstance(caught.value, StoreFull)
    assert "\n" not in str(caught.value)
    (disk / "fill").unlink()
    assert not list((disk / COPIES).glob("*")) if (disk / COPIES).exists() else True
    dialect = make_dialect(small_store_options("sqlite"), disk)
    assert examine(dialect).found == _LAST_ONE_WAY
    dialect.close()
    assert upgrade("sqlite", disk) is not None
    assert len(list((disk / COPIES).iterdir())) == 1
