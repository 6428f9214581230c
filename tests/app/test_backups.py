"""The server makes backups by itself, and says when it cannot."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kit.clock import FakeClock
from kit.store import open_test_store, running
from zajil.app.backups import BackupMaker, is_due
from zajil.cli.main import main
from zajil.config.load import load_configuration
from zajil.config.options_backup import BackupOptions
from zajil.monitor.conditions import AlertKind
from zajil.monitor.finders import find_old_backup
from zajil.net.system import SystemClock
from zajil.store.backup.hold import Hold, take_hold
from zajil.store.backup.manifest import snapshot_names
from zajil.store.backup.runs import (
    BackupRun,
    FailedBackup,
    has_held_blobs,
    load_run,
    record_backup,
    record_failed,
)
from zajil.store.backup.target import FolderTarget
from zajil.store.engine.open import Store
from zajil.store.schema import backup_hold, held_blob

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def work() -> None:
            await test(*args, **kwargs)

        asyncio.run(work())

    return run


def made(place: str, at_ms: int) -> BackupRun:
    return BackupRun(
        place=place, tried_ms=at_ms, done_ms=at_ms, snapshot="one", left_out=0, error=""
    )


@pytest.mark.parametrize(
    ("done", "tried", "error", "expected"),
    [
        (0, 0, "", False),
        (0, 0, "no space", False),
        (DAY_MS, DAY_MS, "", True),
        (DAY_MS - 1, DAY_MS - 1, "", False),
        (5 * DAY_MS, 60_000, "no space", False),
        (5 * DAY_MS, HOUR_MS, "no space", True),
    ],
)
def test_when_a_backup_is_due(done: int, tried: int, error: str, expected: bool) -> None:
    now_ms = 100 * DAY_MS
    run = BackupRun(
        place="/b",
        tried_ms=now_ms - tried,
        done_ms=now_ms - done,
        snapshot="one",
        left_out=0,
        error=error,
    )
    assert is_due(run, DAY_MS, now_ms) == expected
    assert not is_due(run, 0, now_ms)


def test_the_first_backup_is_due_at_once() -> None:
    assert is_due(None, DAY_MS, 5)
    assert not is_due(None, 0, 5)


@in_loop
async def test_what_an_administrator_is_told(store: Store) -> None:
    clock = FakeClock(100 * DAY_MS)
    options = BackupOptions(target="/b")
    async with running(store):

        async def found() -> list[dict[str, object]]:
            conditions = await find_old_backup(store, options, clock)
            assert conditions is not None
            assert {one.kind for one in conditions} <= {AlertKind.BACKUP}
            return [dict(one.facts) for one in conditions]

        assert await found() == []
        await store.write(record_failed, FailedBackup("/b", clock.now_ms(), "no space"))
        assert await found() == [{"reason": "no space"}]
        await store.write(record_backup, made("/b", clock.now_ms()))
        assert await found() == []
        clock.advance(DAY_MS + 5 * HOUR_MS)
        await store.write(record_failed, FailedBackup("/b", clock.now_ms(), "no space"))
        assert await found() == []
        clock.advance(2 * HOUR_MS)
        assert await found() == [{"reason": "no space", "done_ms": 100 * DAY_MS}]


@in_loop
async def test_what_a_killed_backup_kept_is_deleted(store: Store) -> None:
    options = BackupOptions()
    clock = SystemClock()
    store.write_now(
        lambda tx, items: [tx.execute(sa.insert(held_blob).values(blob_id="gone"))], None
    )
    store.write_now(take_hold, Hold("one", clock.now_ms() + HOUR_MS))
    async with running(store):
        await BackupMaker(store, options, clock, ()).look()
        assert await store.read(has_held_blobs)
        await store.write(take_hold, Hold("two", clock.now_ms() - 1))
        await store.write(_end_all, None)
        await BackupMaker(store, options, clock, ()).look()
        assert not await store.read(has_held_blobs)


def _end_all(tx: sa.Connection, items: Sequence[None]) -> list[None]:
    tx.execute(sa.delete(backup_hold))
    return list(items)


@pytest.fixture
def server(tmp_path: Path) -> Path:
    with pytest.raises(SystemExit):
        main(["setup", "north.test", "--dir", str(tmp_path / "mail")])
    file = tmp_path / "mail" / "zajil.toml"
    text = file.read_text().replace('# target = "/backup/zajil"', f'target = "{tmp_path / "b"}"')
    file.write_text(text)
    return file


@in_loop
async def test_the_server_runs_the_command(server: Path, tmp_path: Path) -> None:
    """A process of its own makes the backup, and notes it in the store."""
    place = str(tmp_path / "b")
    store = open_test_store("sqlite", server.parent / "data")
    options = load_configuration(server).backup
    async with running(store):
        maker = BackupMaker(store, options, SystemClock(), ("--config", str(server)))
        await maker.look()
        run = await store.read(lambda conn: load_run(conn, place))
        assert run is not None
        assert (run.error, run.left_out) == ("", 0)
        assert snapshot_names(FolderTarget(tmp_path / "b")) == [run.snapshot]
        await maker.look()  # none is due
        assert len(snapshot_names(FolderTarget(tmp_path / "b"))) == 1


@in_loop
async def test_a_command_that_cannot_begin_is_noted(server: Path, tmp_path: Path) -> None:
    store = open_test_store("sqlite", server.parent / "data")
    options = load_configuration(server).backup
    await asyncio.to_thread(server.write_text, "nonsense")
    async with running(store):
        maker = BackupMaker(store, options, SystemClock(), ("--config", str(server)))
        await asyncio.wait_for(maker.look(), 60)
        run = await store.read(lambda conn: load_run(conn, str(tmp_path / "b")))
        assert run is not None
        assert "not TOML" in run.error
        assert run.done_ms is None
