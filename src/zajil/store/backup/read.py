"""Read a snapshot: rows of tables by ranges of their keys, and the bytes of messages by id.

    with the target and its seal at hand:
        snapshot = open_snapshot(target, seal, choose_snapshot(target, None))
        for row in snapshot.rows("mailbox", (7,), (7,)):       # dict: column -> value
            ...
        for row in snapshot.rows("message", (box_id,), (box_id,)):    # the mailbox with this id
            ...
        places = snapshot.find_blobs(ids)                      # id -> BlobPlace, of those there
        for piece in snapshot.read_blob(places[id]):           # bytes, compared with its digest
            ...

Only the chunks that a range touches are read, and only the packs that hold the messages asked for.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from zajil.core.value_class import value_class
from zajil.store.backup.manifest import (
    Manifest,
    RowChunk,
    SavedFile,
    TableRows,
    is_object_name,
    read_manifest,
    read_object,
    require_marker,
    snapshot_names,
)
from zajil.store.backup.rows import Key, Row, read_rows
from zajil.store.backup.seal import BackupSeal
from zajil.store.backup.target import BackupTarget, DamagedBackup, NoSuchObject

_BLOB_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_KEPT_PACKS = 2
"""Packs that stay in memory: messages asked for in the order of their ids lie side by side."""


@value_class(frozen=True, slots=True)
class BlobPlace:
    """Where in a snapshot the bytes of a message are."""

    blob_id: str
    size: int
    digest: str | None
    """SHA-256 in hexadecimal; ``None``: the bytes were missing when the snapshot was made."""
    pieces: tuple[tuple[str, int, int], ...]
    """Object, offset and length of each."""

    @property
    def is_missing(self) -> bool:
        """Whether the store had a row but no bytes."""
        return self.digest is None


class Snapshot:
    """One snapshot, open for reading. It keeps no connection."""

    def __init__(
        self, target: BackupTarget, seal: BackupSeal, name: str, manifest: Manifest
    ) -> None:
        self.name = name
        self.manifest = manifest
        self._target = target
        self._seal = seal
        self._packs: OrderedDict[str, bytes] = OrderedDict()

    def rows(
        self, table: str, first: Key | None = None, last: Key | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield rows of a table as dictionaries, in the order of their keys.

        Args:
            table: name of a table; one that the snapshot does not have has no rows.
            first: key of the first row, or the beginning of a key; ``None``: from the start.
            last: of the last one; with the beginning of a key, all that begin so are included.

        Raises:
            DamagedBackup, TargetUnavailable: the rest cannot be read.
        """
        found = self.manifest.tables.get(table)
        if found is None:
            return
        names = [name for name, _ in found.columns]
        for row in self.raw_rows(found, first, last):
            yield dict(zip(names, row, strict=True))

    def raw_rows(
        self, table: TableRows, first: Key | None = None, last: Key | None = None
    ) -> Iterator[Row]:
        """Yield rows as lists, in the order of ``table.columns``; otherwise as ``rows``."""
        names = [name for name, _ in table.columns]
        key = [names.index(name) for name in table.key]
        for chunk in table.chunks:
            if not _overlaps(chunk, first, last):
                continue
            for row in self.chunk_rows(table, chunk):
                if first is None and last is None:
                    yield row
                    continue
                at = tuple([row[index] for index in key])
                if _is_within(at, at, first, last):
                    yield row

    def chunk_rows(self, table: TableRows, chunk: RowChunk) -> list[Row]:
        """Return the rows of one chunk of a table.

        Raises:
            DamagedBackup: it cannot be read, or has another number of rows.
        """
        content = read_object(self._target, self._seal, chunk.name)
        rows = list(read_rows(content, [kind for _, kind in table.columns]))
        if len(rows) != chunk.rows:
            raise DamagedBackup(f"object {chunk.name} has {len(rows)} rows, not {chunk.rows}")
        return rows

    # ---- the bytes of messages ------------------------------------------------------------------

    def find_blobs(self, blob_ids: Iterable[str]) -> dict[str, BlobPlace]:
        """Return where messages are, of those that the snapshot has."""
        wanted = sorted(set(blob_ids))
        table = self.manifest.tables["blob"]
        found: dict[str, BlobPlace] = {}
        start = 0
        for chunk in table.chunks:
            while start < len(wanted) and wanted[start] < chunk.first[0]:
                start += 1
            if start == len(wanted):
                break
            if wanted[start] > chunk.last[0]:
                continue
            ids = set(wanted[start:])
            found.update(
                (row[0], blob_place(row)) for row in self.chunk_rows(table, chunk) if row[0] in ids
            )
        return found

    def places(self) -> Iterator[BlobPlace]:
        """Yield where all messages are, by id."""
        return map(blob_place, self.raw_rows(self.manifest.tables["blob"]))

    def read_blob(self, place: BlobPlace) -> Iterator[bytes]:
        """Yield the bytes of a message in pieces, each at most some MiB.

        Raises:
            DamagedBackup: they are missing or others, which may be known only at the end.
        """
        if place.digest is None:
            raise DamagedBackup(f"message {place.blob_id} was missing when the backup was made")
        digest = hashlib.sha256()
        for name, offset, length in place.pieces:
            piece = self._pack(name)[offset : offset + length]
            digest.update(piece)
            yield piece
        if digest.hexdigest() != place.digest:
            raise DamagedBackup(f"message {place.blob_id} of the backup is damaged")

    def _pack(self, name: str) -> bytes:
        kept = self._packs.get(name)
        if kept is None:
            while len(self._packs) >= _KEPT_PACKS:
                self._packs.popitem(last=False)
            kept = self._packs[name] = read_object(self._target, self._seal, name)
        self._packs.move_to_end(name)
        return kept

    # ---- files ----------------------------------------------------------------------------------

    def read_file(self, file: SavedFile) -> bytes:
        """Return the content of a saved file.

        Raises:
            DamagedBackup: it is missing or damaged.
        """
        return b"".join([read_object(self._target, self._seal, name) for name in file.chunks])


def open_snapshot(target: BackupTarget, seal: BackupSeal, name: str) -> Snapshot:
    """Open a snapshot.

    Raises:
        NotABackup, UnknownFormat, WrongKey, DamagedBackup: the target cannot be read.
        NoSuchObject: it has no snapshot of this name.
        TargetUnavailable: it cannot be reached.
    """
    require_marker(target, seal)
    return Snapshot(target, seal, name, read_manifest(target, seal, name))


def choose_snapshot(target: BackupTarget, wanted: str | None) -> str:
    """Return the name of the snapshot that is meant.

    Args:
        target: where to look.
        wanted: the beginning of a name, such as ``20261130``: the last that begins so; ``None``:
            the last of all.

    Raises:
        NoSuchObject: there is none.
    """
    names = [name for name in snapshot_names(target) if name.startswith((wanted or "").lower())]
    if not names:
        which = "no snapshot" if wanted is None else f"no snapshot whose name begins with {wanted}"
        raise NoSuchObject(f"{target.place} contains {which}")
    return names[-1]


def blob_place(row: Row) -> BlobPlace:
    """Return the place that a row of table ``blob`` in a snapshot tells.

    Raises:
        DamagedBackup: it is not such a row.
    """
    try:
        blob_id, size, digest, pieces = row
        places = tuple((name, at, length) for name, at, length in pieces or ())
        # Security: the id becomes the name of a file.
        if not _BLOB_ID.fullmatch(blob_id) or not all(is_object_name(one[0]) for one in places):
            raise ValueError
        return BlobPlace(blob_id, size, digest, places)
    except (TypeError, ValueError):
        raise DamagedBackup(f"a row of a message in the backup cannot be read: {row}") from None


def _overlaps(chunk: RowChunk, first: Key | None, last: Key | None) -> bool:
    return _is_within(chunk.first, chunk.last, first, last)


def _is_within(low: Key, high: Key, first: Key | None, last: Key | None) -> bool:
    """Whether the keys from ``low`` to ``high`` meet those that are asked for."""
    if first is not None and high[: len(first)] < first:
        return False
    return last is None or low[: len(last)] <= last
