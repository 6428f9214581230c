"""Write the rows and bytes of a snapshot into the empty tables of a new store.

What mail programs may know of the time after the snapshot had higher UIDs and MODSEQs than those
that are restored. So in each mailbox the next UID and the MODSEQ jump, all messages get the new
MODSEQ, and the expunges before it count as forgotten: a program that comes back compares all UIDs
and flags (RFC 7162 section 3.2.5), and no UID ever means another message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.clock import Clock
from zajil.core.ids import BlobId
from zajil.core.moment import spell_utc
from zajil.core.service import RecipientState
from zajil.store.backup.manifest import TableRows
from zajil.store.backup.read import BlobPlace, Snapshot
from zajil.store.backup.rows import PACK_BYTES, Row
from zajil.store.engine.dialect import Progress
from zajil.store.engine.errors import StoreUnavailable, disk_error
from zajil.store.engine.folder import sync_folder
from zajil.store.engine.spill import write_file
from zajil.store.mail.blob_reader import digest_of
from zajil.store.mail.blobs import Blobs, StagedBlob

UID_JUMP = 1 << 20
MODSEQ_JUMP = 1 << 40
NUMBER_JUMP = 1 << 20
"""Of ids of accounts, mailboxes and others that are never given twice."""
_LAST_UID = (1 << 32) - 1
_AT_ONCE = 500
"""Rows that are inserted at once."""

_UPLOADED_BYTES = 64 << 20
"""Bytes of messages that are on their way to S3 at a time."""

_BlobRow = tuple[str, int, bytes | None, str | None, bytes | None]
"""Id, size, content, location, digest."""
_Change = Callable[[dict[str, Any]], None]
"""Changes a row, given by the names of its columns."""


class Refill:
    """One restore of everything."""

    def __init__(
        self,
        snapshot: Snapshot,
        conn: Connection,
        blobs: Blobs,
        clock: Clock,
        progress: Progress,
    ) -> None:
        """Take what is needed.

        Args:
            snapshot: what to write.
            conn: a transaction, with the tables of the schema of the snapshot.
            blobs: where large messages go.
            clock: for new UIDVALIDITYs.
            progress: told of the bytes that are done, and of all.
        """
        self._snapshot = snapshot
        self._manifest = snapshot.manifest
        self._conn = conn
        self._blobs = blobs
        self._clock = clock
        self._progress = progress
        self._modseqs: dict[int, int] = {}
        """New MODSEQ of each mailbox."""
        sizes = [chunk.size for table in self._tables.values() for chunk in table.chunks]
        self._total = sum(sizes) + self._manifest.message_bytes
        self._done = 0
        self.inline_limit = 0
        """Larger messages are written to files."""
        self.holds_queue = True
        self.renews_validity = False
        """Mailboxes get a new UIDVALIDITY: mail programs download everything again."""
        self.held = 0
        """Recipients whose mail is held now."""
        self.missing = 0
        """Messages without bytes."""

    @property
    def _tables(self) -> dict[str, TableRows]:
        return {name: table for name, table in self._manifest.tables.items() if name != "blob"}

    def run(self) -> None:
        """Write everything.

        Raises:
            DamagedBackup, TargetUnavailable: the snapshot cannot be read as a whole.
            StoreFull, StoreUnavailable: a file cannot be written.
            sqlalchemy.exc.DBAPIError: the database failed.
        """
        changes: dict[str, _Change] = {
            "mailbox": self._change_mailbox,
            "message": self._change_message,
            "recipient": self._change_recipient,
            "report_interval": _end_lease,
            "training": _end_lease,
        }
        # Mailboxes first: their new MODSEQs are those of their messages.
        for name in sorted(self._tables, key=lambda name: (name != "mailbox", name)):
            table = self._tables[name]
            names = [column for column, _ in table.columns]
            change = changes.get(name)
            rows = self._rows(table)
            self._insert(name, names, rows if change is None else _changed(rows, names, change))
        columns = ["id", "size", "content", "location"]
        present = list(self._conn.execute(sa.text("SELECT * FROM blob LIMIT 0")).keys())
        if "digest" in present:
            columns.append("digest")
        self._insert("blob", columns, (row[: len(columns)] for row in self._blob_rows()))
        self._set_sequences()

    # ---- rows -----------------------------------------------------------------------------------

    def _rows(self, table: TableRows) -> Iterator[Row]:
        for chunk in table.chunks:
            yield from self._snapshot.chunk_rows(table, chunk)
            self._count(chunk.size)

    def _insert(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        names = ", ".join([f'"{column}"' for column in columns])
        cursor: Any = self._conn.connection.cursor()
        try:
            # Migrations put rows into some tables. The names are those of the schema.
            cursor.execute(f'DELETE FROM "{name}"')  # noqa: S608
            if self._conn.dialect.name == "sqlite":
                marks = ", ".join("?" * len(columns))
                statement = f'INSERT INTO "{name}" ({names}) VALUES ({marks})'  # noqa: S608
                for some in _portions(rows):
                    cursor.executemany(statement, some)
            else:
                with cursor.copy(f'COPY "{name}" ({names}) FROM STDIN') as copy:
                    for row in rows:
                        copy.write_row(list(map(_without_null, row)))
        except self._conn.dialect.loaded_dbapi.Error as error:
            raise sa.exc.DBAPIError.instance(
                f"INSERT INTO {name}",
                None,
                error,
                self._conn.dialect.loaded_dbapi.Error,
                dialect=self._conn.dialect,
            ) from error
        finally:
            cursor.close()

    def _count(self, size: int) -> None:
        self._done += size
        self._progress(min(self._done, self._total), self._total)

    def _change_mailbox(self, row: dict[str, Any]) -> None:
        row["modseq"] += MODSEQ_JUMP
        row["forgotten_modseq"] = row["modseq"]
        self._modseqs[row["id"]] = row["modseq"]
        has_room = row["uid_next"] + UID_JUMP <= _LAST_UID
        if has_room:
            row["uid_next"] += UID_JUMP
        if self.renews_validity or not has_room:
            row["uid_validity"] = max(row["uid_validity"] + 1, self._clock.now_ms() // 1000)

    def _change_message(self, row: dict[str, Any]) -> None:
        row["modseq"] = self._modseqs.get(row["mailbox_id"], row["modseq"] + MODSEQ_JUMP)
        row["indexed"] = 0

    def _change_recipient(self, row: dict[str, Any]) -> None:
        row["lease_owner"] = row["lease_token"] = row["lease_until_ms"] = None
        if row["state"] == RecipientState.WAITING and self.holds_queue:
            at = spell_utc(self._manifest.taken_ms)
            row["state"] = RecipientState.HELD.value
            row["reason"] = f"restored from the backup of {at}: it may have been sent since"
            self.held += 1

    def _set_sequences(self) -> None:
        """Let no number be given again, also none that was given after the snapshot."""
        given = {name: last + NUMBER_JUMP for name, last in self._manifest.sequences.items()}
        if self._conn.dialect.name == "sqlite":
            for name, last in given.items():
                self._conn.execute(
                    sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": name}
                )
                self._conn.execute(
                    sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"),
                    {"name": name, "last": last},
                )
            return
        for name, table in self._manifest.tables.items():
            if ("id", "integer") not in table.columns:
                continue
            sequence = sa.text("SELECT pg_get_serial_sequence(:name, 'id')")
            found = self._conn.scalar(sequence, {"name": name})
            if found is None:
                continue
            highest = self._conn.scalar(sa.text(f'SELECT max(id) FROM "{name}"'))  # noqa: S608
            last = max(highest or 0, given.get(name, 0))
            if last:
                self._conn.execute(
                    sa.text("SELECT setval(:found, :last)"), {"found": found, "last": last}
                )

    # ---- messages -------------------------------------------------------------------------------

    def _blob_rows(self) -> Iterator[_BlobRow]:
        if not self._blobs.writes_objects:
            return map(self._blob_row, self._snapshot.places())
        return self._uploaded_rows()

    def _blob_row(self, place: BlobPlace) -> _BlobRow:
        content = location = digest = None
        if place.digest is None:
            self.missing += 1
        else:
            digest = bytes.fromhex(place.digest)
            if place.size <= self.inline_limit:
                content = b"".join(self._snapshot.read_blob(place))
            else:
                location = self._write_file(place)
        self._count(place.size)
        return place.blob_id, place.size, content, location, digest

    def _uploaded_rows(self) -> Iterator[_BlobRow]:
        """Write large messages to S3, several at a time: each waits for the network."""
        waiting: deque[tuple[_BlobRow, Future[StagedBlob] | None]] = deque()
        uploads = self._blobs.objects.threads
        size = 0
        for place in self._snapshot.places():
            while waiting and (size + place.size > _UPLOADED_BYTES or len(waiting) > _AT_ONCE):
                size -= waiting[0][0][1]
                yield _uploaded(*waiting.popleft())
            size += place.size
            if place.digest is None or place.size <= self.inline_limit:
                waiting.append((self._blob_row(place), None))
                continue
            content = b"".join(self._snapshot.read_blob(place))
            row = (place.blob_id, place.size, None, None, bytes.fromhex(place.digest))
            upload = uploads.submit(
                self._blobs.stage_again, BlobId(place.blob_id), place.size, [content]
            )
            waiting.append((row, upload))
            self._count(place.size)
        for one in waiting:
            yield _uploaded(*one)

    def _write_file(self, place: BlobPlace) -> str:
        """Write a large message, unless a restore that was ended did."""
        files, blob_id = self._blobs.files, BlobId(place.blob_id)
        location = files.new_location(blob_id)
        path = files.folder / location
        try:
            if self._is_there(location, place):
                return location
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.restoring")
            draft.unlink(missing_ok=True)
            try:
                write_file(draft, self._snapshot.read_blob(place), files.sealing(blob_id))
            except BaseException:
                with suppress(OSError):
                    draft.unlink()
                raise
            draft.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            raise disk_error(error, f"cannot write a large message to {path}") from error
        return location

    def _is_there(self, location: str, place: BlobPlace) -> bool:
        try:
            with self._blobs.open_place(place.size, location, None) as reader:
                return digest_of(reader).hex() == place.digest
        except StoreUnavailable:
            return False


def _uploaded(row: _BlobRow, upload: Future[StagedBlob] | None) -> _BlobRow:
    return row if upload is None else (*row[:3], upload.result().location, row[4])


def _changed(rows: Iterable[Row], names: Sequence[str], change: _Change) -> Iterator[list[Any]]:
    for row in rows:
        named = dict(zip(names, row, strict=True))
        change(named)
        yield list(named.values())


def _end_lease(row: dict[str, Any]) -> None:
    row["lease_until_ms"] = 0


def _portions(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """Divide rows into portions of limited number and size."""
    portion: list[Sequence[Any]] = []
    size = 0
    for row in rows:
        portion.append(row)
        size += sum([len(value) for value in row if isinstance(value, bytes)])
        if len(portion) >= _AT_ONCE or size >= PACK_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _without_null(value: Any) -> Any:
    """Replace what PostgreSQL cannot store in text, and SQLite can: U+0000."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value
