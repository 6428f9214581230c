"""Read all rows of the store in one snapshot of the database, as fast as the disk allows.

What the target does not have yet goes to a file beside the store, because a snapshot that stays
open for as long as an upload takes would keep the database from cleaning up.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import Unavailable
from zajil.core.value_class import value_class
from zajil.store.backup.manifest import RowChunk, TableRows
from zajil.store.backup.rows import CHUNK_BYTES, Cutter, key_bytes, kind_of, writer_of
from zajil.store.backup.write import ObjectWriter
from zajil.store.schema import blob, held_blob, metadata

LEFT_OUT = {
    "acme_challenge": "answers to challenges of orders under way",
    "alert": "what lasts is noticed again",
    "backup_hold": "backups that run",
    "backup_run": "what became of the last backups",
    "blob": "written apart, with the place of the bytes of each message",
    "blob_garbage": "bytes that no message has any more",
    "blob_key": "a restored store encrypts with the key of its configuration",
    "blob_place": "a restored store has a prefix of its own in S3",
    "chore": "who does which chore now",
    "code_failure": "wrong codes in the last minutes",
    "content_check": "the nightly check writes it again",
    "expunged": "after a restore, mail programs compare all UIDs",
    "held_blob": "deleted messages that are kept for backups",
    "kept_block": "a cache",
    "login_failure": "failed log-ins in the last hours",
    "maildrop": "who reads by POP3 now",
    "maildrop_open_end": "found out again",
    "node": "which servers run now",
    "push_subscription": "it ends with the session of its browser",
    "readiness": "checks of readiness",
    "schema_floor": "written with the tables",
    "sender_logo": "a cache",
    "summary": "the indexer writes it again",
    "text_block": "the indexer writes it again",
    "text_segment": "the indexer writes it again",
    "web_session": "people log in again",
}
"""Tables without rows in a backup, and why."""

_AT_ONCE = 1000
"""Rows that are fetched at once."""


class SpoolFailed(Unavailable):
    """The file beside the store cannot be written."""


class ChunkWriter:
    """Cuts rows of one table into chunks."""

    def __init__(
        self,
        columns: Sequence[tuple[str, str]],
        key: Sequence[str],
        sink: Callable[[bytes], str],
    ) -> None:
        """Take what describes the table.

        Args:
            columns: names and kinds.
            key: names of the columns of the primary key.
            sink: stores a chunk, and returns its name.
        """
        self._columns, self._key = tuple(columns), tuple(key)
        names = [name for name, _ in columns]
        self._places = [names.index(name) for name in key]
        self._write = writer_of([kind for _, kind in columns])
        self._sink = sink
        self._cutter = Cutter(CHUNK_BYTES)
        self._lines: list[bytes] = []
        self._first: tuple[Any, ...] = ()
        self._last: tuple[Any, ...] = ()
        self._chunks: list[RowChunk] = []

    def add(self, row: Sequence[Any]) -> None:
        """Write a row; rows come in the order of their keys."""
        line = self._write(row)
        self._last = tuple([row[place] for place in self._places])
        if not self._lines:
            self._first = self._last
        self._lines.append(line)
        if self._cutter.ends_after(key_bytes(self._last), len(line)):
            self._end_chunk()

    def end(self) -> TableRows:
        """Write the last chunk; return all."""
        if self._lines:
            self._end_chunk()
        return TableRows(self._columns, self._key, tuple(self._chunks))

    def _end_chunk(self) -> None:
        content = b"".join(self._lines)
        name = self._sink(content)
        self._chunks.append(RowChunk(name, len(content), len(self._lines), self._first, self._last))
        self._lines = []


@value_class(frozen=True, slots=True)
class Rows:
    """All rows of the store, as they were at one time."""

    tables: dict[str, TableRows]
    sequences: dict[str, int]
    schema: str
    messages: int
    """Blobs: copies of one message count as one."""
    message_bytes: int


class RowSpool:
    """A file without a name, which holds the chunks that the target does not have."""

    def __init__(
        self, folder: Path, writer: ObjectWriter, require_space: Callable[[], None]
    ) -> None:
        self._writer = writer
        self._require_space = require_space
        self._places: list[tuple[str, int]] = []
        try:
            self._chunks: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
            self._ids: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        except OSError as error:
            raise SpoolFailed(f"cannot write to {folder}: {error.strerror}") from error

    def close(self) -> None:
        """Remove the files."""
        for file in (self._chunks, self._ids):
            # On a full disk what is still in memory cannot be written; nobody needs it.
            with suppress(OSError):
                file.close()

    def read_all(self, conn: Connection, count: Callable[[int], None]) -> Rows:
        """Read all rows.

        Args:
            conn: a snapshot.
            count: called now and then with how many rows were read.

        Raises:
            SpoolFailed, StoreFull: there is no space for the file.
        """
        try:
            return self._read_all(conn, count)
        except OSError as error:
            raise SpoolFailed(
                f"cannot write the rows of the backup beside the store: {error.strerror}"
            ) from error

    def _read_all(self, conn: Connection, count: Callable[[int], None]) -> Rows:
        tables = {}
        for table in kept_tables():
            kinds = [(column.name, kind_of(column)) for column in table.columns]
            key = [column.name for column in table.primary_key]
            writer = ChunkWriter(kinds, key, self._store)
            query = sa.select(table).order_by(*table.primary_key)
            for rows in _portions(conn, query):
                for row in rows:
                    writer.add(row)
                self._writer.beat()
                count(len(rows))
            tables[table.name] = writer.end()
        messages = size = 0
        unheld = ~sa.exists().where(held_blob.c.blob_id == blob.c.id)
        query = sa.select(blob.c.id, blob.c.size).where(unheld).order_by(blob.c.id)
        for rows in _portions(conn, query):
            self._ids.writelines([f"{row[0]} {row[1]}\n".encode() for row in rows])
            messages += len(rows)
            size += sum([row[1] for row in rows])
            self._writer.beat()
            count(len(rows))
        self._ids.flush()
        schema = str(conn.scalar(sa.text("SELECT version_num FROM alembic_version")))
        return Rows(tables, _sequences(conn), schema, messages, size)

    def _store(self, content: bytes) -> str:
        name = self._writer.name_of(content)
        if self._writer.is_new(name):
            self._require_space()
            sealed = self._writer.close(name, content)
            self._chunks.write(sealed)
            self._places.append((name, len(sealed)))
        return name

    def upload(self) -> None:
        """Write the chunks to the target.

        Raises:
            TargetUnavailable: the rest was not written.
        """
        self._chunks.seek(0)
        for name, size in self._places:
            self._writer.put_sealed(name, self._chunks.read(size))

    def blobs(self) -> Iterator[tuple[str, int]]:
        """Yield ids and sizes of all blobs, by id; from the start whenever it is called."""
        self._ids.seek(0)
        for line in self._ids:
            blob_id, size = line.split()
            yield blob_id.decode("ascii", "strict"), int(size)


def kept_tables() -> list[sa.Table]:
    """Return the tables whose rows are in a backup."""
    return [table for name, table in sorted(metadata.tables.items()) if name not in LEFT_OUT]


def count_rows(conn: Connection) -> int:
    """Return how many rows ``RowSpool.read_all`` reads."""
    counts = [
        conn.scalar(sa.select(sa.func.count()).select_from(table))
        for table in (*kept_tables(), blob)
    ]
    return sum(count or 0 for count in counts)


def _portions(conn: Connection, query: sa.Select[Any]) -> Iterator[Sequence[Any]]:
    result = conn.execution_options(stream_results=True, max_row_buffer=_AT_ONCE).execute(query)
    try:
        yield from result.partitions(_AT_ONCE)
    finally:
        result.close()


def _sequences(conn: Connection) -> dict[str, int]:
    """Return the highest numbers given, of tables that never give a number twice."""
    numbered = [
        table.name for table in kept_tables() if table.dialect_options["sqlite"]["autoincrement"]
    ]
    if conn.dialect.name == "sqlite":
        known = conn.execute(sa.text("SELECT name, seq FROM sqlite_sequence"))
        found = {row.name: int(row.seq) for row in known}
        return {name: found[name] for name in numbered if name in found}
    given: dict[str, int] = {}
    for name in numbered:
        sequence = conn.scalar(sa.text(f"SELECT pg_get_serial_sequence('{name}', 'id')"))
        row = conn.execute(sa.text(f"SELECT last_value, is_called FROM {sequence}")).one()  # noqa: S608
        if row.is_called:
            given[name] = int(row.last_value)
    return given
