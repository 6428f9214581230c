"""Move a store from SQLite to PostgreSQL.

Laws:
- Until the copy is complete and compared, the old store is the store: an end at any instruction
  changes nothing in it, and the next copy goes on with the messages that it finds.
- Then PostgreSQL has a store, and in the next moment the old one takes no writes any more. A copy
  that is killed just between leaves two: nobody uses the new one yet, because ``store.url`` names
  the old one; the next copy refuses, and says that the schema has to be removed.
- Ids, UIDs, UIDVALIDITYs and MODSEQs stay. Messages in files stay where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.config.options_server import StoreOptions
from zajil.core.clock import Random
from zajil.core.value_class import value_class
from zajil.store.copy.messages import MessageCopy, catch_up
from zajil.store.copy.rows import NotTheSame, Row, TableCopy
from zajil.store.copy.target import (
    drop_indexes,
    finish_target,
    name_target,
    prepare_target,
    set_sequences,
)
from zajil.store.engine.dialect import Dialect, Fault, Stage
from zajil.store.engine.errors import StoreFull, StoreUnavailable, WrongSchema, one_line
from zajil.store.engine.folder import claim_folder
from zajil.store.engine.migrate import examine
from zajil.store.engine.moved import moving
from zajil.store.engine.node import load_node_id
from zajil.store.engine.open import make_dialect
from zajil.store.engine.postgres import Postgres
from zajil.store.engine.sqlite import Sqlite
from zajil.store.schema import blob, metadata


@value_class(frozen=True, slots=True, kw_only=True)
class MovedStore:
    """What a copy did."""

    place: str
    """The new database, without a password."""
    messages: int
    """Copies of one message count as one."""
    in_files: int
    """Those of them whose bytes are in files or in S3, where they stay."""
    rows: int
    """Of all other tables."""
    tables: int
    replaced: int
    """Texts in which U+0000 became U+FFFD."""


def move_store(
    options: StoreOptions, data_dir: Path, url: str, *, random: Random, stage: Stage
) -> MovedStore:
    """Copy all of a store to PostgreSQL, while a server may use it; then it takes no writes.

    The server can read all the time. It defers what has to be written while rows are copied, and
    from then on.

    Args:
        options: where the store is.
        data_dir: where its files are.
        url: of the database, as ``store.url`` takes it.
        random: for the id of the node, where there is none.
        stage: shows the progress.

    Raises:
        StoreExists: the database has other tables; nothing was changed.
        StoreInUse: another copy is being made.
        StoreFull, StoreUnavailable: it failed; the old store is unchanged.
        NoStore, WrongSchema: as ``open_store``.
    """
    claim_folder(data_dir)
    source = make_dialect(options, data_dir)
    try:
        if not isinstance(source, Sqlite):
            raise StoreUnavailable(
                "only a store in SQLite can be copied; to change from PostgreSQL to SQLite, create "
                "a backup, and restore it with another store.url"
            )
        schema = examine(source)
        if not schema.is_current:
            raise WrongSchema(
                f"the store has schema {schema.found}, and this program copies schema "
                f"{schema.needed}: upgrade one of them first (`zajil upgrade run`)"
            )
        target = Postgres(url)
        try:
            with _told(source, target):
                return _move(source, target, data_dir, load_node_id(data_dir, random), stage)
        finally:
            target.close()
    finally:
        source.close()


def _move(source: Sqlite, target: Postgres, data_dir: Path, name: str, stage: Stage) -> MovedStore:
    prepare_target(target, name)
    with stage("copying the messages") as progress:
        MessageCopy(source.reader, target.writer, progress).copy_early()
    with moving(data_dir) as move, source.holding() as last:
        with target.writer.begin() as conn:
            conn.execute(sa.text("SET LOCAL lock_timeout = 0"))
            moved = _copy_rest(last, conn, name_target(conn), stage)
        move(moved.place)
    with stage("counting values for the planner") as progress:
        # The store has moved. PostgreSQL counts by itself, a little later, where this fails.
        with suppress(sa.exc.DBAPIError), target.writer.connect() as conn:
            alone = conn.execution_options(isolation_level="AUTOCOMMIT")
            alone.execute(sa.text("SET lock_timeout = 0"))
            alone.execute(sa.text("ANALYZE"))
        progress(1, 1)
    return moved


def _copy_rest(last: Connection, conn: Connection, place: str, stage: Stage) -> MovedStore:
    with stage("copying the messages that are new") as progress:
        messages = catch_up(last, conn, progress)
    tables = [table for table in metadata.tables.values() if table is not blob]
    counts = {table.name: _count(last, table) for table in tables}
    rows = replaced = 0
    with stage("copying the rows") as progress:
        for table in tables:
            done = rows

            def tell(count: int, done: int = done) -> None:
                progress(done + count, max(1, sum(counts.values())))

            replaced += _copy_table(last, conn, table, tell)
            rows += counts[table.name]
    set_sequences(conn, last)
    in_files = sa.select(sa.func.count()).select_from(blob).where(blob.c.content.is_(None))
    finish_target(conn)
    return MovedStore(
        place=place,
        messages=messages,
        in_files=int(last.scalar(in_files) or 0),
        rows=rows,
        tables=len(tables) + 1,
        replaced=replaced,
    )


def _copy_table(
    last: Connection, conn: Connection, table: sa.Table, tell: Callable[[int], None]
) -> int:
    """Copy a table and compare it; return how many texts were changed."""
    indexes = drop_indexes(conn, table.name)
    copy = TableCopy(table, conn)

    def rows() -> Iterator[Row]:
        for count, row in enumerate(copy.read(last), 1):
            yield row
            if count % 1000 == 0:
                tell(count)

    written = copy.write(rows())
    if copy.read_back() != written:
        raise NotTheSame(f"PostgreSQL returned other rows of table {table.name} than it was given")
    for definition in indexes:
        conn.exec_driver_sql(definition)
    tell(written.rows)
    return copy.replaced


def _count(conn: Connection, table: sa.Table) -> int:
    return int(conn.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


@contextmanager
def _told(source: Dialect, target: Dialect) -> Iterator[None]:
    """Say in one sentence what failed."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        text, is_source = one_line(error.orig), "sqlite" in type(error.orig).__module__
        database, name = (source, "SQLite") if is_source else (target, "PostgreSQL")
        kind = StoreFull if database.fault(error) is Fault.FULL else StoreUnavailable
        raise kind(f"{name} failed, and the old store is unchanged: {text}") from error
