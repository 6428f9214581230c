"""Messages in files of this node.

Laws:
- A file is on disk, and its folder too, before the transaction that names it commits.
- A file is unlinked only after the commit that took its row away.
- So a crash can leave a file without a row, never a row without a file; ``orphans`` finds the
  former.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import BlobId
from zajil.message.source import Source
from zajil.store.blobs.keys import StoreKeys, find_key
from zajil.store.blobs.location import Location, file_location, parse_location
from zajil.store.engine.errors import StoreUnavailable, disk_error
from zajil.store.engine.folder import sync_folder
from zajil.store.engine.spill import SpillFile, write_file
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.schema import blob, blob_garbage


class BlobFiles:
    """The folder of blobs."""

    def __init__(
        self,
        folder: Path,
        require_space: Callable[[], None],
        random: Callable[[int], bytes],
        keys: StoreKeys | None = None,
    ) -> None:
        self.folder = folder
        self._require_space = require_space
        self._random = random
        self._keys = keys

    def new_location(self, blob_id: BlobId) -> str:
        """Return where the file of a new blob goes."""
        return file_location(blob_id, self._key_id)

    def free_location(self, blob_id: BlobId) -> str:
        """Return where the file of a blob goes of which an old one may still be there."""
        location = self.new_location(blob_id)
        while (self.folder / location).exists():
            location = file_location(blob_id, self._key_id, self._random(1).hex())
        return location

    @property
    def _key_id(self) -> str | None:
        return None if self._keys is None else self._keys.current

    def write(
        self, blob_id: BlobId, location: str, parts: Iterable[bytes | Source]
    ) -> tuple[int, bytes]:
        """Write a file, and wait for the disk; return the size and SHA-256 of the message.

        Raises:
            StoreFull, StoreUnavailable: it could not be written, and is not there.
        """
        self._require_space()
        path = self.folder / location
        try:
            self._make_folder(path.parent)
            written = write_file(path, parts, self.sealing(blob_id))
            sync_folder(path.parent)
        except BaseException as error:
            if not isinstance(error, FileExistsError):  # then it is somebody else's
                with contextlib.suppress(OSError):
                    path.unlink()
            if isinstance(error, OSError):
                raise disk_error(error, f"cannot write a large message to {path}") from error
            raise
        return written

    def sealing(self, blob_id: BlobId) -> Callable[[Iterable[bytes]], Iterable[bytes]] | None:
        """Return what encrypts the pieces of a message; ``None``: they stay as they are."""
        keys = self._keys
        if keys is None:
            return None
        from zajil.store.blobs.seal import seal

        key = find_key(keys, parse_location(self.new_location(blob_id)))
        return lambda pieces: seal(key, blob_id, pieces, self._random)

    def open(self, place: Location, size: int) -> BlobReader:
        """Open a file; the caller closes it. ``size``: of the message.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        path = self.folder / place.name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise StoreUnavailable(f"cannot read the message in {path}: {error.strerror}") from None
        if place.key_id is None:
            return BlobReader(size, None, descriptor)
        from zajil.store.blobs.seal import SealedReader, sealed_size

        reader = BlobReader(sealed_size(size), None, descriptor)
        try:
            return SealedReader(find_key(self._keys, place), place.blob_id, size, reader)
        except BaseException:
            reader.close()
            raise

    def unlink(self, locations: Iterable[str]) -> None:
        """Remove files whose rows are gone."""
        for location in locations:
            # What cannot be removed now is found by ``orphans``.
            with contextlib.suppress(OSError):
                (self.folder / location).unlink()

    def orphans(self, conn: Connection, older_than_ms: int) -> list[str]:
        """List files that no row names: what crashes between staging and commit left.

        Args:
            conn: a snapshot.
            older_than_ms: a younger file may belong to a transaction that is under way.

        Returns:
            Paths below the folder of blobs.
        """
        found: list[str] = []
        for folder in sorted(filter(Path.is_dir, self.folder.glob("??"))):
            old = [
                path.name
                for path in sorted(folder.iterdir())
                if path.stat().st_mtime_ns // 1_000_000 < older_than_ms
            ]
            ids = {name.partition(".")[0] for name in old}
            known = set(conn.scalars(sa.select(blob.c.location).where(blob.c.id.in_(ids))))
            paths = [f"{folder.name}/{name}" for name in old]
            # Those of moved messages are deleted in their time.
            waits = sa.select(blob_garbage.c.location).where(blob_garbage.c.location.in_(paths))
            known.update(conn.scalars(waits))
            found += [path for path in paths if path not in known]
        return found

    def new_spill_file(self, blob_id: BlobId) -> SpillFile:
        """Make a file for what comes in.

        Raises:
            OSError, StoreFull: it cannot be made.
        """
        # Where blobs lie: so it is the disk whose space was looked at, and a copy to a blob stays
        # within one file system. What a crash leaves of it has the name of a blob: it is found.
        self._require_space()
        path = self.folder / file_location(blob_id)
        self._make_folder(path.parent)
        return SpillFile(path)

    def _make_folder(self, folder: Path) -> None:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self.folder)
