"""The bytes of messages in a snapshot: taken from the one before, or read in short reads.

Laws:
- A blob never changes, so one that the last snapshot has is not read again.
- A pack is used again if at least half of its bytes are still needed; the other messages of the
  pack are packed anew. So a target never holds more than twice what its snapshots need.
- All blobs that the rows named are kept in the store by a hold; one without a row means that the
  hold was lost, and the snapshot is given up.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import Unavailable
from zajil.core.ids import BlobId
from zajil.store.backup.manifest import BLOB_COLUMNS, TableRows
from zajil.store.backup.read import BlobPlace, Snapshot
from zajil.store.backup.rows import PACK_BYTES, Cutter
from zajil.store.backup.spool import ChunkWriter, RowSpool
from zajil.store.backup.write import ObjectWriter
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.schema import blob

_READ_AT_ONCE = 200
"""Messages that are read in one snapshot of the database."""
_FEW = PACK_BYTES // 4
_MANY = 16
"""So many packs with few bytes are joined into one."""
_MOST_PENDING = 20_000
"""Rows that wait for the name of a pack."""
_MOST_NAMED = 100
"""Missing messages that are listed."""


class HoldLost(Unavailable):
    """Messages were deleted that the snapshot needs: the process was suspended for too long."""


@dataclass(slots=True)
class _Entry:
    """One row of table ``blob``; it waits until it is known where its bytes are."""

    blob_id: str
    size: int
    digest: str | None = None
    pieces: list[tuple[str, int, int]] | None = None
    is_done: bool = False


class Packer:
    """Writes the bytes of all messages of one snapshot, and table ``blob``."""

    def __init__(
        self,
        store: Store,
        writer: ObjectWriter,
        before: Snapshot | None,
        count: Callable[[int], None],
    ) -> None:
        """Take what is needed.

        Args:
            store: where messages are read.
            writer: where they go.
            before: the last snapshot of the target.
            count: called with sizes of messages that are done.
        """
        self._store = store
        self._writer = writer
        self._before = before
        self._count = count
        self._cutter = Cutter(PACK_BYTES)
        self._pack: list[bytes] = []
        self._packed: list[tuple[_Entry, int, int]] = []
        """Messages of the pack that is being filled, their offsets and lengths."""
        self._offset = 0
        self._pending: deque[_Entry] = deque()
        self._rows = ChunkWriter(BLOB_COLUMNS, ("id",), writer.put)
        self._sizes: dict[str, int] = {}
        self.missing: list[str] = []
        """Sentences about messages that are missing or damaged in the store, the first of them."""
        self.missing_count = 0

    def run(self, spool: RowSpool) -> tuple[TableRows, dict[str, int]]:
        """Write everything.

        Args:
            spool: lists the blobs.

        Returns:
            Table ``blob``, and the packs that it names with their sizes.

        Raises:
            HoldLost: messages were deleted meanwhile.
            TargetUnavailable, StoreUnavailable: the snapshot cannot be made now.
        """
        kept = self._choose_packs(spool)
        wanted: list[_Entry] = []
        size = 0
        for entry, old in self._merge(spool):
            self._writer.beat()
            self._pending.append(entry)
            if old is not None and _is_in(old, kept):
                entry.digest, entry.pieces, entry.is_done = old.digest, list(old.pieces), True
                self._sizes.update((name, kept[name]) for name, _, _ in old.pieces)
                self._count(entry.size)
            else:
                wanted.append(entry)
                size += entry.size
            if len(wanted) >= _READ_AT_ONCE or size >= PACK_BYTES:
                self._read(wanted)
                wanted, size = [], 0
            if len(self._pending) >= _MOST_PENDING:
                self._read(wanted)
                self._end_pack()
                wanted, size = [], 0
            self._write_rows()
        self._read(wanted)
        self._end_pack()
        self._write_rows()
        return self._rows.end(), self._sizes

    def _merge(self, spool: RowSpool) -> Iterator[tuple[_Entry, BlobPlace | None]]:
        """Yield all blobs, by id, each with its place in the last snapshot."""
        places = iter(()) if self._before is None else self._before.places()
        place = next(places, None)
        for blob_id, size in spool.blobs():
            while place is not None and place.blob_id < blob_id:
                place = next(places, None)
            is_same = place is not None and place.blob_id == blob_id and place.size == size
            yield _Entry(blob_id, size), place if is_same else None

    def _choose_packs(self, spool: RowSpool) -> dict[str, int]:
        """Return the packs of the last snapshot that are used again, and their sizes."""
        if self._before is None:
            return {}
        needed: Counter[str] = Counter()
        for _, old in self._merge(spool):
            self._writer.beat()
            for name, _, length in () if old is None else old.pieces:
                needed[name] += length
        kept = {
            name: size
            for name, size in self._before.manifest.packs
            if needed[name] * 2 >= size and not self._writer.is_new(name)
        }
        few = [name for name, size in kept.items() if size < _FEW]
        if len(few) >= _MANY:
            for name in few:
                del kept[name]
        return kept

    # ---- reading --------------------------------------------------------------------------------

    def _read(self, entries: Sequence[_Entry]) -> None:
        if not entries:
            return
        ids = [BlobId(entry.blob_id) for entry in entries]
        opened, digests = self._store.read_now(lambda conn: self._find(conn, ids))
        for entry in entries:
            opener = opened.get(BlobId(entry.blob_id))
            if opener is None:
                raise HoldLost(
                    f"message {entry.blob_id} was deleted while the backup ran: run it again"
                )
            try:
                with opener() as reader:
                    self._take(entry, reader)
            except StoreUnavailable as error:
                entry.is_done = True
                self._note(entry, str(error))
            known = digests.get(entry.blob_id)
            if known is not None and entry.digest not in (None, known.hex()):
                self._note(entry, "it is damaged in the store, and saved as it is")
            self._count(entry.size)

    def _find(self, conn: Connection, ids: Sequence[BlobId]) -> tuple[Any, dict[str, bytes]]:
        """Look up messages, and the digests that the store knows of them."""
        query = sa.select(blob.c.id, blob.c.digest).where(blob.c.id.in_(ids))
        known = {row.id: row.digest for row in conn.execute(query) if row.digest is not None}
        return self._store.blobs.open_all(conn, ids), known

    def _note(self, entry: _Entry, reason: str) -> None:
        self.missing_count += 1
        if len(self.missing) < _MOST_NAMED:
            self.missing.append(f"message {entry.blob_id}: {reason}")

    def _take(self, entry: _Entry, reader: BlobReader) -> None:
        if entry.size > PACK_BYTES:
            self._take_large(entry, reader)
            return
        content = reader.read_at(0, entry.size)
        entry.digest = hashlib.sha256(content).hexdigest()
        self._packed.append((entry, self._offset, len(content)))
        self._pack.append(content)
        self._offset += len(content)
        if self._cutter.ends_after(entry.blob_id.encode(), len(content)):
            self._end_pack()

    def _take_large(self, entry: _Entry, reader: BlobReader) -> None:
        digest = hashlib.sha256()
        pieces = []
        for offset in range(0, entry.size, PACK_BYTES):
            piece = reader.read_at(offset, PACK_BYTES)
            digest.update(piece)
            name = self._writer.put(piece)
            self._sizes[name] = len(piece)
            pieces.append((name, 0, len(piece)))
        entry.digest, entry.pieces, entry.is_done = digest.hexdigest(), pieces, True

    # ---- writing --------------------------------------------------------------------------------

    def _end_pack(self) -> None:
        if self._packed:
            name = self._writer.put(b"".join(self._pack))
            self._sizes[name] = self._offset
            for entry, offset, length in self._packed:
                entry.pieces, entry.is_done = [(name, offset, length)], True
        self._cutter.begin()
        self._pack, self._packed, self._offset = [], [], 0

    def _write_rows(self) -> None:
        while self._pending and self._pending[0].is_done:
            entry = self._pending.popleft()
            self._rows.add((entry.blob_id, entry.size, entry.digest, entry.pieces))


def _is_in(old: BlobPlace, packs: dict[str, int]) -> bool:
    return not old.is_missing and all([name in packs for name, _, _ in old.pieces])
