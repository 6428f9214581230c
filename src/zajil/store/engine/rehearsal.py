"""An upgrade that is tried on a copy of the store, beside a server that runs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy.engine import Connection

from zajil.config.options_server import StoreOptions
from zajil.core.value_class import value_class
from zajil.store.engine.dialect import Dialect, Fault, Progress
from zajil.store.engine.errors import StoreFull, StoreInUse, StoreUnavailable
from zajil.store.engine.life import require_space
from zajil.store.engine.migrate import (
    Schema,
    describe_migrations,
    examine,
    is_expansion,
    known_schemas,
    one_way_schemas,
    run_migrations,
    told_in_one_sentence,
)
from zajil.store.engine.open import make_dialect

_FOLDER = "zajil-rehearsal"
_OWN = {
    "store.sqlite",
    "store.sqlite-wal",
    "store.sqlite-shm",
    "store.lock",
    "node.id",
    "blobs",
    "run",
}
"""What a copy consists of."""
_CHANGE = re.compile(r'\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:"?\w+"?\.)?"?(\w+)', re.I)
"""Begin of a statement that changes rows, and the name of their table."""


@value_class(frozen=True, slots=True, kw_only=True)
class RehearsedMigration:
    """What one migration did to the copy."""

    schema: str
    what: str
    """One sentence of its author."""
    seconds: float
    rows: dict[str, int]
    """Rows that were inserted, changed or deleted, by table."""
    added: tuple[str, ...]
    """Names of tables, columns (``TABLE.COLUMN``) and indexes."""
    removed: tuple[str, ...]
    can_undo: bool
    is_expansion: bool
    """Nodes of the version before work on beside it (``store.engine.rolling``)."""


@value_class(frozen=True, slots=True, kw_only=True)
class CopiedStore:
    """A copy of a store, as long as the block lasts that it was made for."""

    options: StoreOptions
    """Of the copy."""
    folder: Path
    """Its data folder; without the files of large messages, which no migration reads."""
    schema: Schema
    dialect: Dialect
    size: int
    """Bytes of the database."""
    seconds: float
    """That the copy took."""
    is_copied_first: bool
    """The upgrade makes such a copy as well."""


@contextmanager
def copied_store(
    options: StoreOptions, data_dir: Path, place: Path, progress: Progress
) -> Iterator[CopiedStore]:
    """Copy the database of a store, whether a server runs or not; remove the copy at the end.

    Args:
        options: where the rows are.
        data_dir: the data folder of the store.
        place: an existing folder; the copy lies in a folder of its own in it.
        progress: told of the copy's.

    Raises:
        StoreFull: there is no space for the copy.
        StoreInUse: another rehearsal uses the place.
        NoStore, WrongSchema, StoreUnavailable: as ``open_store``.
    """
    original = make_dialect(options, data_dir)
    try:
        schema = examine(original)
        with _folder(place) as folder, told_in_one_sentence(original):
            with original.examining() as conn:
                size = original.size(conn)
            require_space(folder, size, options.free_space_reserve, "the copy of the store")
            began = time.monotonic()
            with (
                _told_when_full(original, folder),
                original.rehearsing(folder, progress) as (copy, url),
            ):
                seconds = time.monotonic() - began
                yield CopiedStore(
                    options=options.model_copy(update={"url": url, "free_space_reserve": 0}),
                    folder=folder,
                    schema=schema,
                    dialect=copy,
                    size=size or copy.used_bytes(),
                    seconds=seconds,
                    is_copied_first=size > 0,
                )
    finally:
        original.close()


def migrate_copy(copy: CopiedStore, progress: Progress) -> tuple[Sequence[RehearsedMigration], int]:
    """Run the migrations on a copy, one by one.

    Returns:
        What each did, and how many bytes the database grew by meanwhile.
    """
    pending = [one for one in known_schemas() if one > copy.schema.found]
    texts, one_way = describe_migrations(), set(one_way_schemas())
    done: list[RehearsedMigration] = []
    before = copy.dialect.used_bytes()
    rows: Counter[str] = Counter()

    def count(_conn: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        found = _CHANGE.match(statement)
        if found and cursor.rowcount > 0:
            rows[found[1]] += cursor.rowcount

    with told_in_one_sentence(copy.dialect), copy.dialect.writer.begin() as conn:
        sa.event.listen(conn, "after_cursor_execute", count)
        shape = _shape(copy.dialect, conn)
        for schema in pending:
            progress(len(done), len(pending))
            rows.clear()
            began = time.monotonic()
            run_migrations(conn, to=schema)
            seconds = time.monotonic() - began
            old, shape = shape, _shape(copy.dialect, conn)
            rows.pop("alembic_version", None)
            done.append(
                RehearsedMigration(
                    schema=schema,
                    what=texts[schema],
                    seconds=seconds,
                    rows=dict(sorted(rows.items())),
                    added=_difference(shape, old),
                    removed=_difference(old, shape),
                    can_undo=schema not in one_way,
                    is_expansion=is_expansion(schema),
                )
            )
    progress(1, 1)
    return done, max(0, copy.dialect.used_bytes() - before)


def _shape(dialect: Dialect, conn: Connection) -> dict[str, str]:
    """Return each table, column and index with the table that it belongs to."""
    look, schema = sa.inspect(conn), dialect.schema_of(conn)
    found = {}
    for (_, table), columns in look.get_multi_columns(schema=schema).items():
        found[f"table {table}"] = ""
        found |= {f"column {table}.{one['name']}": table for one in columns}
    for (_, table), indexes in look.get_multi_indexes(schema=schema).items():
        found |= {f"index {one['name']}": table for one in indexes}
    return found


def _difference(some: dict[str, str], others: dict[str, str]) -> tuple[str, ...]:
    """Return what only the first has; of a table that the other lacks only the table."""
    new = some.keys() - others.keys()
    return tuple(sorted(one for one in new if f"table {some[one]}" not in new))


@contextmanager
def _folder(place: Path) -> Iterator[Path]:
    """Make a private folder for a copy; what a rehearsal that was killed left in it is removed."""
    folder = place / _FOLDER
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise StoreUnavailable(f"cannot copy the store to {folder}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreInUse(f"another rehearsal uses {folder}; wait for its end") from None
        if not _OWN.issuperset(os.listdir(folder)):
            raise StoreUnavailable(f"{folder} contains other files: choose another folder")
        _clear(folder)
        try:
            yield folder
        finally:
            _clear(folder)
            with contextlib.suppress(OSError):
                folder.rmdir()
    finally:
        os.close(descriptor)


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _told_when_full(dialect: Dialect, folder: Path) -> Iterator[None]:
    try:
        yield
    except (sa.exc.DBAPIError, sqlite.Error, OSError) as error:
        is_full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL" or (
            isinstance(error, OSError) and error.errno == errno.ENOSPC
        )
        if is_full or (isinstance(error, sa.exc.DBAPIError) and dialect.fault(error) is Fault.FULL):
            where = folder if dialect.is_local else dialect.place
            raise StoreFull(f"no space for the copy in {where}; the store is unchanged") from error
        raise
