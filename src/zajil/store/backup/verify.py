"""Read snapshots as a restore would, and say what is damaged.

Every object is read and compared with its name, rows are decoded, and each message is put together
and compared with its digest. What two snapshots share is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pysqlite3 import dbapi2 as sqlite

from zajil.core.value_class import value_class
from zajil.store.backup.manifest import (
    SNAPSHOTS,
    RowChunk,
    TableRows,
    is_object_name,
    object_path,
    read_manifest,
    read_object,
    require_marker,
    snapshot_names,
)
from zajil.store.backup.read import Snapshot, blob_place
from zajil.store.backup.seal import BackupSeal
from zajil.store.backup.target import BackupTarget, DamagedBackup
from zajil.store.engine.dialect import Progress

_REFERENCES = ("message", "deleted_message", "mail")
"""Tables whose column blob_id names a message."""
_MOST = 1000
"""Faults that are told."""


@value_class(frozen=True, slots=True)
class BackupFault:
    """Something in a backup that is not as it must be."""

    snapshot: str
    """Name of the first one that it was found in."""
    what: str
    """One sentence."""
    name: str = ""
    """Of the object that is damaged or missing."""


@value_class(frozen=True, slots=True)
class VerifiedBackup:
    """What was read, and what was found."""

    snapshots: int
    objects: int
    messages: int
    size: int
    """Bytes of the contents that were read."""
    faults: tuple[BackupFault, ...]


class BackupVerifier:
    """Verifies snapshots of a target, or one part of what they consist of."""

    def __init__(
        self, target: BackupTarget, seal: BackupSeal, part: tuple[int, int], progress: Progress
    ) -> None:
        """Take what is to be read.

        Args:
            target: where the snapshots are.
            seal: of the target.
            part: number of the part, from 1, and how many parts there are: ``(1, 1)`` is all.
            progress: told of the bytes that were read, and of all.
        """
        self._target = target
        self._seal = seal
        self._number, self._parts = part
        self._progress = progress
        self._seen: set[str] = set()
        self._faults: dict[str, BackupFault] = {}
        self._total = self._size = self._messages = 0

    def run(self, names: Sequence[str] | None = None) -> VerifiedBackup:
        """Read everything.

        Args:
            names: of the snapshots; ``None``: all.

        Raises:
            NotABackup, WrongKey, UnknownFormat: the target cannot be read.
            TargetUnavailable: it cannot be reached.
        """
        require_marker(self._target, self._seal)
        chosen = snapshot_names(self._target) if names is None else names
        snapshots = []
        for name in chosen:
            try:
                manifest = read_manifest(self._target, self._seal, name)
            except DamagedBackup as error:
                self._note(name, str(error), name)
                continue
            snapshots.append(Snapshot(self._target, self._seal, name, manifest))
        self._total = self._count(snapshots)
        for snapshot in snapshots:
            self._verify(snapshot)
        faults = tuple(self._faults.values())[:_MOST]
        return VerifiedBackup(len(chosen), len(self._seen), self._messages, self._size, faults)

    def _count(self, snapshots: Sequence[Snapshot]) -> int:
        sizes: dict[str, int] = {}
        for one in snapshots:
            sizes.update(one.manifest.packs)
            for table in one.manifest.tables.values():
                sizes.update((chunk.name, chunk.size) for chunk in table.chunks)
        return sum([size for name, size in sizes.items() if self._is_mine(name)])

    def _verify(self, snapshot: Snapshot) -> None:
        manifest = snapshot.manifest
        for name, table in manifest.tables.items():
            if name == "blob":
                continue
            for chunk in self._new_chunks(table):
                self._try(snapshot, chunk.name, lambda t=table, c=chunk: snapshot.chunk_rows(t, c))  # type: ignore[misc]
                self._add(chunk.size)
        for file in manifest.files:
            for name in filter(self._is_new, file.chunks):
                what = f"file {file.path}: "
                self._try(snapshot, name, lambda n=name: self._read(n), what)  # type: ignore[misc]
        self._verify_messages(snapshot)
        if self._parts == 1:
            self._verify_references(snapshot)

    def _verify_messages(self, snapshot: Snapshot) -> None:
        """Put together the messages of all chunks of table ``blob`` that are new."""
        table = snapshot.manifest.tables["blob"]
        sizes = dict(snapshot.manifest.packs)
        for chunk in self._new_chunks(table, whatever_part=True):
            try:
                rows = snapshot.chunk_rows(table, chunk)
            except DamagedBackup as error:
                self._note(snapshot.name, str(error), chunk.name)
                continue
            if self._is_mine(chunk.name):
                self._add(chunk.size)
            for place in map(blob_place, rows):
                packs = [name for name, _, _ in place.pieces]
                if place.is_missing or (packs and not self._is_mine(packs[0])):
                    continue
                try:
                    for _ in snapshot.read_blob(place):
                        pass
                    self._messages += 1
                except DamagedBackup as error:
                    self._note(snapshot.name, str(error), _damaged(packs, str(error)))
                for name in packs:
                    if name not in self._seen:
                        self._seen.add(name)
                        self._add(sizes.get(name, 0))

    def _verify_references(self, snapshot: Snapshot) -> None:
        """See that the snapshot has the bytes of each message; the ids are in a temporary file."""
        database = sqlite.connect("")
        try:
            database.execute("CREATE TABLE known (id TEXT PRIMARY KEY) WITHOUT ROWID")
            ids = ((place.blob_id,) for place in snapshot.places())
            database.executemany("INSERT INTO known VALUES (?)", ids)
            query = "SELECT 1 FROM known WHERE id = ?"
            for table in _REFERENCES:
                for row in snapshot.rows(table):
                    blob_id = row["blob_id"]
                    if blob_id is None or database.execute(query, (blob_id,)).fetchone():
                        continue
                    self._note(
                        snapshot.name,
                        f"message {blob_id} of table {table} is not in the snapshot",
                        blob_id,
                    )
        except DamagedBackup:
            return  # told already
        finally:
            database.close()

    # ---- inside ---------------------------------------------------------------------------------

    def _read(self, name: str) -> None:
        self._add(len(read_object(self._target, self._seal, name)))

    def _try(
        self, snapshot: Snapshot, name: str, read: Callable[[], object], what: str = ""
    ) -> None:
        try:
            read()
        except DamagedBackup as error:
            self._note(snapshot.name, f"{what}{error}", name)

    def _new_chunks(self, table: TableRows, *, whatever_part: bool = False) -> Iterator[RowChunk]:
        for chunk in table.chunks:
            if chunk.name in self._seen or not (whatever_part or self._is_mine(chunk.name)):
                continue
            self._seen.add(chunk.name)
            yield chunk

    def _is_new(self, name: str) -> bool:
        if name in self._seen or not self._is_mine(name):
            return False
        self._seen.add(name)
        return True

    def _is_mine(self, name: str) -> bool:
        return int(name[:8], 16) % self._parts == self._number - 1

    def _add(self, size: int) -> None:
        self._size += size
        self._progress(min(self._size, self._total), self._total)

    def _note(self, snapshot: str, what: str, name: str) -> None:
        if SNAPSHOTS + snapshot in self._gone(snapshot):
            return
        self._faults.setdefault(name, BackupFault(snapshot, what, name))

    def _gone(self, snapshot: str) -> set[str]:
        """Return the snapshot if it was deleted meanwhile: then nothing of it is damaged."""
        there = {name for name, _ in self._target.names(SNAPSHOTS)}
        return {SNAPSHOTS + snapshot} - there


def remove_damaged(target: BackupTarget, faults: Sequence[BackupFault]) -> int:
    """Delete damaged objects, so that the next backup writes them again if the store has them.

    Returns:
        How many.

    Raises:
        TargetUnavailable: the rest was not deleted.
    """
    names = {fault.name for fault in faults if is_object_name(fault.name)}
    for name in names:
        target.delete(object_path(name))
    return len(names)


def _damaged(packs: Sequence[str], text: str) -> str:
    """Return which of the objects of a message is damaged; the first one if that is not known."""
    for name in packs:
        if name in text:
            return name
    return packs[0] if packs else text
