"""Which programs may use which tables, and what an upgrade waits for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.store import open_test_store, running, small_store_options
from zajil.monitor.conditions import AlertKind
from zajil.monitor.finders import find_unfinished_upgrade
from zajil.net.system import SystemClock
from zajil.operations.nodes import tell_unfinished_upgrade
from zajil.store.engine import migrate
from zajil.store.engine.errors import CannotUndo, StoreInUse, WrongSchema
from zajil.store.engine.life import undo_store, upgrade_store
from zajil.store.engine.migrate import (
    examine,
    is_expansion,
    known_schemas,
    least_schema,
    read_floor,
    require_known,
)
from zajil.store.engine.node import own_facts
from zajil.store.engine.nodes import NodeState, join_node
from zajil.store.engine.open import make_dialect

_NEWEST = known_schemas()[-1]


def after(step: int) -> str:
    return f"{int(_NEWEST) + step:04d}"


@pytest.fixture
def further(tmp_path: Path) -> Path:
    """A folder of migrations: ours, an expansion, a contraction."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for path in migrate._FOLDER.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    for path in (migrate._FOLDER / "versions").glob("*.py"):
        (folder / "versions" / path.name).symlink_to(path)
    write(folder, 1, "expand")
    write(folder, 2, "contract")
    return folder


@contextmanager
def newer_program(folder: Path) -> Iterator[None]:
    """Be the program that has these migrations."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "_FOLDER", folder)
        yield


def write(folder: Path, step: int, kind: str) -> None:
    text = f'''"""Something new."""
from __future__ import annotations
from alembic import op
revision = "{after(step)}"
down_revision = "{after(step - 1)}"
KIND = "{kind}"
def upgrade() -> None:
    op.execute("CREATE TABLE new_{step} (id INTEGER PRIMARY KEY)")
def downgrade() -> None:
    op.execute("DROP TABLE new_{step}")
'''
    (folder / "versions" / f"{after(step)}_new.py").write_text(text)


def tables(url: str, folder: Path) -> tuple[str, str]:
    dialect = make_dialect(small_store_options(url), folder)
    try:
        with dialect.examining() as conn:
            found = conn.scalar(sa.text("SELECT version_num FROM alembic_version"))
            return str(found), read_floor(conn)
    finally:
        dialect.close()


def unfinished(url: str, folder: Path) -> list[AlertKind]:
    """Return the alerts of an upgrade that is not finished."""
    store = open_test_store(url, folder, None)

    async def find() -> list[AlertKind]:
        async with running(store):
            return [one.kind for one in await find_unfinished_upgrade(store) or ()]

    return asyncio.run(find())


def test_each_new_migration_says_its_kind() -> None:
    folder = migrate._FOLDER / "versions"
    for path in folder.glob("[0-9]*.py"):
        if path.name > "0052":
            kinds = re.findall(r'^KIND = "(expand|contract)"$', path.read_text("utf-8"), re.M)
            assert len(kinds) == 1, path.name
    assert is_expansion("0053")
    assert not is_expansion("0051")
    assert least_schema() <= _NEWEST


def test_a_program_uses_what_newer_ones_added(
    store_url: str, tmp_path: Path, further: Path
) -> None:
    """It can neither upgrade nor undo, and does not copy everything."""
    data = tmp_path / "data"
    open_test_store(store_url, data).close_now()
    _, floor = tables(store_url, data)
    (further / "versions" / f"{after(2)}_new.py").unlink()
    options, clock = small_store_options(store_url), SystemClock()
    with newer_program(further):
        done = upgrade_store(options, data, clock=clock)
        assert done is not None
        assert (done.found, done.needed, done.waits) == (_NEWEST, after(1), "")
        assert tables(store_url, data) == (after(1), floor)
    store = open_test_store(store_url, data)
    assert examine(store._dialect).is_newer
    with pytest.raises(WrongSchema, match=f"schema {after(1)} of a newer version"):
        store.read_now(require_known)
    store.close_now()
    assert upgrade_store(options, data, clock=clock) is None
    with pytest.raises(CannotUndo, match="it has upgraded nothing"):
        undo_store(options, data, clock=clock)
    with newer_program(further):
        undone = undo_store(options, data, clock=clock)
        assert undone.found == _NEWEST
    assert tables(store_url, data) == (_NEWEST, floor)


def test_sqlite_does_all_at_once(tmp_path: Path, further: Path) -> None:
    """And shuts older programs out."""
    data = tmp_path / "data"
    open_test_store("sqlite", data).close_now()
    with newer_program(further):
        upgrade_store(small_store_options("sqlite"), data, clock=SystemClock())
    assert tables("sqlite", data) == (after(2), after(2))
    with pytest.raises(WrongSchema, match=f"schema {after(2)}"):
        open_test_store("sqlite", data)


def test_a_contraction_waits_for_older_nodes(
    postgres_url: str, tmp_path: Path, further: Path
) -> None:
    data, options, clock = tmp_path / "data", small_store_options(postgres_url), SystemClock()
    old = open_test_store(postgres_url, tmp_path / "old")
    open_test_store(postgres_url, data, None).close_now()
    _, floor = tables(postgres_url, data)
    with newer_program(further):
        done = upgrade_store(options, data, clock=clock)
        assert done is not None
        assert done.needed == after(1)
        assert done.waits.startswith(f"{old.node_id} on ")
        assert tables(postgres_url, data) == (after(1), floor)
        # A new node works with what is there; the rest still waits.
        new = open_test_store(postgres_url, data)
        again = upgrade_store(options, data, clock=clock)
        assert again is not None
        assert (again.found, again.needed) == (after(1), after(1))
        assert old.node_id in again.waits
        assert f"upgraded or stopped: {old.node_id} on" in new.read_now(tell_unfinished_upgrade)
        assert unfinished(postgres_url, data) == []
        # One that is needed at once is refused, with the names of the nodes.
        write(further, 3, "expand")
        with pytest.raises(StoreInUse, match=f"needs schema {after(3)}.*{old.node_id} on "):
            upgrade_store(options, data, clock=clock)
        assert tables(postgres_url, data) == (after(1), floor)
        (further / "versions" / f"{after(3)}_new.py").unlink()
        # A node that is gone holds nothing up, and is shut out when it comes back.
        (seen,) = [row for row in new.standing.look() if row.node_id == old.node_id]
        epoch = new.standing.declare_gone(seen)
        assert epoch is not None
        new.standing.clear(old.node_id, epoch)
        assert new.read_now(tell_unfinished_upgrade).endswith("run `zajil upgrade run`")
        assert unfinished(postgres_url, data) == [AlertKind.UPGRADE]
        last = upgrade_store(options, data, clock=clock)
        assert last is not None
        assert (last.found, last.needed, last.waits) == (after(1), after(2), "")
        assert new.read_now(tell_unfinished_upgrade) == ""
        assert unfinished(postgres_url, data) == []
        assert tables(postgres_url, data) == (after(2), after(2))
    dialect = make_dialect(options, tmp_path / "old")
    with pytest.raises(WrongSchema, match=f"for schema {after(2)}"):
        join_node(dialect, old.node_id, own_facts(), clock.now_ms())
    dialect.close()
    states = {row.node_id: row.state for row in new.standing.look()}
    assert states == {old.node_id: NodeState.GONE, new.node_id: NodeState.ACTIVE}
    for store in (old, new):
        store.close_now()
