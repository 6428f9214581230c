"""An upgrade is tried on a copy: the store stays as it is, and its server may run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from kit.old_store import contents, load_into_postgres, unpack
from kit.store import make_account, open_test_store, small_store_options
from zajil.config.options import Configuration
from zajil.net.system import SystemClock
from zajil.operations.upgrade import Rehearsal, rehearse_upgrade
from zajil.store.engine.dialect import Progress
from zajil.store.engine.errors import StoreFull, StoreInUse, StoreUnavailable
from zajil.store.engine.folder import ServerLock
from zajil.store.engine.life import upgrade_store
from zajil.store.engine.migrate import examine, known_schemas
from zajil.store.engine.open import make_dialect

_OLD = "0034"


class Stages:
    """Notes the parts of the work and how far each came."""

    def __init__(self) -> None:
        self.seen: dict[str, list[tuple[int, int]]] = {}

    def __call__(self, title: str) -> AbstractContextManager[Progress]:
        steps = self.seen.setdefault(title, [])
        return contextlib.nullcontext(lambda done, total: steps.append((done, total)))


def rehearse(url: str, data: Path, place: Path | None = None) -> tuple[Rehearsal, Stages]:
    """Rehearse the upgrade of a store."""
    configuration = Configuration.model_validate(
        {"server": {"hostname": "mail.north.test", "data_dir": str(data)}},
        context={"folder": data},
    )
    options = configuration.model_copy(update={"store": small_store_options(url)})
    stages = Stages()
    return rehearse_upgrade(options, SystemClock(), place, stages), stages


@pytest.fixture
def data(store_url: str, tmp_path: Path) -> Path:
    """The data folder of an old store."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    unpack(_OLD, folder)
    if store_url != "sqlite":
        load_into_postgres(folder, _OLD, store_url)
    return folder


def test_a_rehearsal_changes_nothing(store_url: str, data: Path) -> None:
    """It runs beside a server, and says what each migration does."""
    lock = ServerLock(data)
    lock.take()
    dialect = make_dialect(small_store_options(store_url), data)
    with dialect.writer.begin() as conn:
        conn.execute(sa.text("UPDATE message SET size = size"))  # the log has something
    done, stages = rehearse(store_url, data)
    assert (done.found, done.needed) == (_OLD, known_schemas()[-1])
    assert [one.schema for one in done.migrations] == [s for s in known_schemas() if s > _OLD]
    by_schema = {one.schema: one for one in done.migrations}
    assert "table totp" in by_schema["0035"].added
    assert by_schema["0035"].rows == {"secret": 1}
    assert by_schema["0036"].added == ("index ix_message_thread",)
    assert by_schema["0037"].added == ("column message.origin_id",)
    assert by_schema["0035"].what.startswith("Second factors: ")
    assert not any(one.removed for one in done.migrations)
    assert {one.can_undo for one in done.migrations if one.schema > "0045"} == {True}
    assert not by_schema["0045"].can_undo
    assert done.damage == []
    assert min(done.size, done.space, done.seconds) > 0
    for steps in stages.seen.values():
        assert steps[-1][0] == steps[-1][1]
    assert list(stages.seen) == ["copying the store", "upgrading the copy", "checking the copy"]

    assert examine(dialect).found == _OLD
    assert not list(data.glob("zajil-rehearsal*"))
    if store_url != "sqlite":
        with dialect.examining() as conn:
            left = conn.scalar(
                sa.text("SELECT count(*) FROM pg_namespace WHERE nspname LIKE :like"),
                {"like": f"{dialect.schema_of(conn)}_%"},
            )
        assert left == 0
    dialect.close()
    lock.release()


def test_an_upgrade_does_what_was_rehearsed(store_url: str, data: Path, tmp_path: Path) -> None:
    """Also after it; then there is nothing to do."""
    rehearse(store_url, data, tmp_path)
    upgrade_store(small_store_options(store_url), data, clock=SystemClock())
    store = open_test_store(store_url, data)
    before = contents(store)
    make_account(store, "carim@north.test")
    store.close_now()
    done, _ = rehearse(store_url, data, tmp_path)
    assert (done.found, done.migrations) == (done.needed, [])
    store = open_test_store(store_url, data)
    assert contents(store) == before
    make_account(store, "dalia@north.test")  # its sequence is its own
    store.close_now()


def test_the_copy_shows_damage(store_url: str, data: Path) -> None:
    dialect = make_dialect(small_store_options(store_url), data)
    with dialect.writer.begin() as conn:
        conn.execute(sa.text("UPDATE mailbox SET uid_next = 1 WHERE name = 'INBOX'"))
    dialect.close()
    done, _ = rehearse(store_url, data)
    assert {one.kind for one in done.damage} == {"wrong-count"}


def test_one_rehearsal_at_a_time_and_what_a_killed_one_left(tmp_path: Path) -> None:
    unpack(_OLD, tmp_path)
    place = tmp_path / "place"
    left = place / "zajil-rehearsal"
    left.mkdir(parents=True)
    descriptor = os.open(left, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(StoreInUse, match="another rehearsal uses"):
        rehearse("sqlite", tmp_path, place)
    os.close(descriptor)
    (left / "letter").write_bytes(b"mine")
    with pytest.raises(StoreUnavailable, match="contains other files: choose another folder"):
        rehearse("sqlite", tmp_path, place)
    (left / "letter").rename(left / "store.sqlite")
    assert rehearse("sqlite", tmp_path, place)[0].damage == []
    assert not left.exists()
    with pytest.raises(StoreUnavailable, match="cannot copy the store to"):
        rehearse("sqlite", tmp_path, tmp_path / "missing")


def test_the_schema_of_another_is_left_alone(postgres_url: str, tmp_path: Path) -> None:
    unpack(_OLD, tmp_path)
    load_into_postgres(tmp_path, _OLD, postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        (name,) = conn.execute("SELECT current_schema() || '_rehearsal'").fetchone() or ("",)
        conn.execute(f'CREATE SCHEMA "{name}"'.encode())
        with pytest.raises(StoreUnavailable, match=f"a schema {name}, which this program did not"):
            rehearse(postgres_url, tmp_path)
        conn.execute(f"COMMENT ON SCHEMA \"{name}\" IS 'copy for zajil upgrade rehearse'".encode())
        assert rehearse(postgres_url, tmp_path)[0].damage == []  # one that was killed left it


def test_a_user_who_may_not_create_schemas_is_told(postgres_url: str, tmp_path: Path) -> None:
    unpack(_OLD, tmp_path)
    load_into_postgres(tmp_path, _OLD, postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        (schema,) = conn.execute("SELECT current_schema()").fetchone() or ("",)
        role = f"{schema}_user"
        for statement in (
            f"CREATE ROLE {role} LOGIN",
            f"GRANT USAGE ON SCHEMA {schema} TO {role}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
        ):
            conn.execute(statement.encode())
        url = sa.make_url(postgres_url).set(username=role).render_as_string(hide_password=False)
        try:
            with pytest.raises(StoreUnavailable, match='GRANT CREATE ON DATABASE "postgres" TO'):
                rehearse(url, tmp_path)
        finally:
            conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4M", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this test needs to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("more", [-50_000, 20_000], ids=["copy", "upgrade"])
def test_a_full_disk_ends_a_rehearsal(more: int, disk: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    unpack(_OLD, data)
    size = (data / "store.sqlite").stat().st_size
    free = os.statvfs(disk)
    (disk / "fill").write_bytes(bytes(free.f_bavail * free.f_frsize - size - more))
    with pytest.raises(StoreFull) as caught:
        rehearse("sqlite", data, disk)
    assert "\n" not in str(caught.value)
    assert [path.name for path in disk.iterdir()] == ["fill"]
    (disk / "fill").unlink()
    assert replace(rehearse("sqlite", data, disk)[0], damage=[]).found == _OLD
