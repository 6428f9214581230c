"""Messages as objects in S3: staged before the commit that names them, read through the cache.

Laws:
- An object is durable in S3 before the transaction that names it commits.
- The name of an object is used once, and it never changes.
- Everything here may wait for the network for ``store.s3.timeout`` or little more: in a thread,
  never in the event loop, never in the writer's thread.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

from zajil.config.options_s3 import StoreS3Options
from zajil.core.ids import BlobId
from zajil.message.source import Source, read_pieces
from zajil.store.blobs.bucket import Bucket, BucketUnavailable, MissingObject
from zajil.store.blobs.cache import DiskCache
from zajil.store.blobs.gate import Gate
from zajil.store.blobs.keys import StoreKeys, find_key
from zajil.store.blobs.location import NONCE_SIZE, Location, object_location, parse_location
from zajil.store.blobs.seal import SealedReader, seal, sealed_size
from zajil.store.engine.errors import BytesAway, StoreUnavailable, disk_error
from zajil.store.engine.spill import write_whole
from zajil.store.mail.blob_reader import BlobReader, digest_of

UPLOADS = 4
"""At a time for each worker: each holds a connection, and a thread."""
_DOWNLOADS = 3
"""At a time for each worker: one less than there are reader threads."""
_HANG_SECONDS = 2.0
_IN_MEMORY = 1 << 20
"""Bytes of an object that is read and written without a file where there is no cache."""
_RETRIES = 3
_WINDOW = 1 << 20
"""Bytes that are asked for at once."""


class Objects:
    """The objects of one store."""

    def __init__(
        self,
        place: str,
        options: StoreS3Options,
        *,
        cache: DiskCache,
        keys: StoreKeys | None,
        folder: Path,
        random: Callable[[int], bytes],
    ) -> None:
        """Take what is needed; nothing is connected yet.

        Args:
            place: ``s3://BUCKET/PREFIX``.
            options: how to reach it.
            cache: for copies.
            keys: that encrypt; ``None``: nothing is encrypted.
            folder: for files without a name.
            random: source of random bytes.

        Raises:
            StoreUnavailable: the library is not installed, or an option cannot be used.
        """
        timeout = timedelta(milliseconds=options.timeout_ms)
        try:
            self.bucket = Bucket(
                place, options, timeout=timeout, retry=timeout / 2, retries=_RETRIES
            )
        except BucketUnavailable as error:
            raise StoreUnavailable(str(error)) from error
        self.cache = cache
        self._keys = keys
        self._folder = folder
        self._random = random
        seconds = timeout.total_seconds()
        self._uploads = Gate(UPLOADS, 2 * seconds, seconds)
        self._downloads = Gate(_DOWNLOADS, _HANG_SECONDS, seconds)
        self.reads_cache = True
        """Whether a copy on the disk is as good as the object."""
        self.fills_cache = True
        """Whether what is read is kept on the disk."""
        self._threads: ThreadPoolExecutor | None = None

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Where uploads wait: those of others must not wait behind an S3 that hangs."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(UPLOADS, thread_name_prefix="zajil-upload")
        return self._threads

    def close(self) -> None:
        """Begin no more uploads; those that run end by themselves."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)

    # ---- writing --------------------------------------------------------------------------------

    def put(self, blob_id: BlobId, parts: Iterable[bytes | Source], size: int) -> tuple[str, bytes]:
        """Write an object, and wait until it is durable.

        Args:
            blob_id: of the blob.
            parts: one after the other.
            size: bytes of all parts.

        Returns:
            Its location, and the SHA-256 of the bytes.

        Raises:
            StoreUnavailable, StoreFull: it may be there or not; nothing names it.
        """
        key_id = None if self._keys is None else self._keys.current
        location = object_location(blob_id, self._random(NONCE_SIZE), key_id)
        place = parse_location(location)
        digest = hashlib.sha256()

        def pieces() -> Iterator[bytes]:
            for part in parts:
                for piece in read_pieces(part):
                    digest.update(piece)
                    yield piece

        content: Iterable[bytes] = pieces()
        stored = size
        if key_id is not None:
            content = seal(find_key(self._keys, place), blob_id, content, self._random)
            stored = sealed_size(size)
        with _told(), self._uploads.passing():
            self._put(place.name, content, stored)
        return location, digest.digest()

    def _put(self, name: str, content: Iterable[bytes], stored: int) -> None:
        draft = self.cache.begin(name, stored) if stored else None
        try:
            if draft is not None:
                _fill(draft.descriptor, content, stored)
                self._send(name, draft.descriptor)
                draft.keep()
                return
        finally:
            if draft is not None:
                draft.close()
        if stored <= _IN_MEMORY:
            whole = b"".join(content)
            _require_size(len(whole), stored)
            self.bucket.put(name, whole)
            return
        try:
            file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise disk_error(error, "cannot write a large message to a file") from error
        with file:
            _fill(file.fileno(), content, stored)
            self._send(name, file.fileno())

    def _send(self, name: str, descriptor: int) -> None:
        # The kernel reads the file as it is sent: it takes no memory of ours.
        with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content:
            self.bucket.put(name, content)

    # ---- reading --------------------------------------------------------------------------------

    def open(self, place: Location, size: int, digest: bytes | None) -> BlobReader:
        """Open an object; the caller closes it.

        Args:
            place: from its row.
            size: of the message.
            digest: SHA-256 of the message; ``None``: it is not known.

        Raises:
            StoreUnavailable: it is missing, cannot be read now, or is damaged.
        """
        stored = size if place.key_id is None else sealed_size(size)
        descriptor = self.cache.open(place.name) if self.reads_cache else None
        if descriptor is not None:
            return self._unsealed(place, size, BlobReader(stored, None, descriptor))
        with _told(), self._downloads.passing():
            return self._fetch(place, size, stored, digest)

    def _fetch(self, place: Location, size: int, stored: int, digest: bytes | None) -> BlobReader:
        draft = self.cache.begin(place.name, stored) if self.fills_cache and stored else None
        if draft is None:
            return self._unsealed(place, size, self._remote(place.name, stored))
        try:
            try:
                _download(self.bucket, place.name, stored, draft.descriptor)
            except OSError:  # the disk is full
                return self._unsealed(place, size, self._remote(place.name, stored))
            copy = BlobReader(stored, None, os.dup(draft.descriptor))
            reader = self._unsealed(place, size, copy)
            try:
                _require_right(reader, place.name, digest)
                draft.keep()
            except BaseException:
                reader.close()
                raise
            return reader
        finally:
            draft.close()

    def _remote(self, name: str, stored: int) -> BlobReader:
        """Read without a copy on the disk."""
        if stored <= _IN_MEMORY:
            content = self.bucket.get(name)
            _require_size(len(content), stored, name)
            return BlobReader(stored, content, None)
        return RangeReader(stored, self._range(name, 0, _WINDOW), partial(self._later_range, name))

    def _later_range(self, name: str, offset: int, size: int) -> bytes:
        with _told(), self._downloads.passing():
            return self._range(name, offset, size)

    def _range(self, name: str, offset: int, size: int) -> bytes:
        found = self.bucket.range(name, offset, size)
        _require_size(len(found), size, name)
        return found

    def _unsealed(self, place: Location, size: int, reader: BlobReader) -> BlobReader:
        if place.key_id is None:
            return reader
        try:
            return SealedReader(find_key(self._keys, place), place.blob_id, size, reader)
        except BaseException:
            reader.close()
            raise

    # ---- deleting -------------------------------------------------------------------------------

    def delete_later(self, location: str) -> None:
        """Delete an object that no row names, in a thread; if that fails, the sweep finds it."""
        name = parse_location(location).name
        self.cache.forget(name)

        def delete() -> None:
            with suppress(BucketUnavailable):
                self.bucket.delete(name)

        self.threads.submit(delete)

    def forget_copy(self, location: str) -> None:
        """Remove the copy of an object that nobody needs any more."""
        self.cache.forget(parse_location(location).name)


class RangeReader(BlobReader):
    """Random access to an object that is not on the disk."""

    def __init__(self, size: int, first: bytes, fetch: Callable[[int, int], bytes]) -> None:
        """Take what was read to know that the object is there.

        Args:
            size: of the object.
            first: its first bytes.
            fetch: returns so many bytes from an offset; may raise ``StoreUnavailable``.
        """
        super().__init__(size, None, None)
        self._fetch = fetch
        self._at = 0
        self._window = first

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only at the end.

        Raises:
            StoreUnavailable: they cannot be read now.
        """
        end = min(offset + size, self.size)
        if offset >= end:
            return b""
        if offset < self._at or end > self._at + len(self._window):
            self._window = b""
            self._window = self._fetch(offset, min(max(end - offset, _WINDOW), self.size - offset))
            self._at = offset
        return self._window[offset - self._at : end - self._at]

    def close(self) -> None:
        """Forget what was read."""
        self._window = b""


def _download(bucket: Bucket, name: str, stored: int, descriptor: int) -> None:
    written = 0
    for piece in bucket.pieces(name):
        written += len(piece)
        if written > stored:
            break
        write_whole(descriptor, piece)
    _require_size(written, stored, name)


def _require_right(reader: BlobReader, name: str, digest: bytes | None) -> None:
    if digest is not None and digest_of(reader) != digest:
        raise StoreUnavailable(f"object {name} contains other bytes than those that were stored")


def _require_size(found: int, wanted: int, name: str = "") -> None:
    if found == wanted:
        return
    if not name:
        raise ValueError(f"a message of {wanted} bytes has {found}")
    raise StoreUnavailable(f"object {name} has not the {wanted} bytes that it should have")


def _fill(descriptor: int, content: Iterable[bytes], stored: int) -> None:
    try:
        for piece in content:
            write_whole(descriptor, piece)
    except OSError as error:
        raise disk_error(error, "cannot write a large message to a file") from error
    _require_size(os.lseek(descriptor, 0, os.SEEK_CUR), stored)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except MissingObject as error:
        raise StoreUnavailable(str(error)) from error
    except BucketUnavailable as error:
        raise BytesAway(str(error)) from error
