"""Copies of objects on the disk of a node, shared by its workers and commands.

Laws:
- A copy gets its name when it is complete, so a process may be killed at any time.
- The folder is never larger than its limit: space is taken before a byte is written, under a lock.
- What cannot be written is no reason to fail a read: then there is no copy.
- Copies do not outlive a start of the machine: they are not synced, and a power failure could leave
  one with other bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from zajil.store.engine.errors import StoreUnavailable

_SIZE_FILE = "size"
_DRAFT = ".draft-"
_DRAFT_SECONDS = 3600.0
"""A draft that was not written to for so long belongs to nobody."""
_LARGEST = 4
"""A copy takes at most this part of the limit, so that one does not drive out all others."""
_LEFT = 0.9
"""Of the limit, when space was made."""
_TOUCH_SECONDS = 60.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Draft:
    """A copy that is being written; the descriptor stays open until ``close``."""

    def __init__(self, cache: DiskCache, path: Path, final: Path, descriptor: int) -> None:
        self._cache = cache
        self._path = path
        self._final = final
        self.descriptor = descriptor

    def keep(self) -> None:
        """Give it its name; it is complete."""
        # Under the lock, because a look at a folder may miss a file that changes its name.
        with contextlib.suppress(OSError), self._cache.locked():
            self._path.rename(self._final)

    def close(self) -> None:
        """Close the descriptor; what was not kept is removed."""
        os.close(self.descriptor)
        with contextlib.suppress(OSError):
            self._path.unlink()


class DiskCache:
    """The copies of one node."""

    def __init__(self, folder: Path, limit: int, require_space: Callable[[], None]) -> None:
        """Take what is needed; nothing is made before the first copy.

        Args:
            folder: for copies, and nothing else.
            limit: in bytes; 0: no copies.
            require_space: raises ``StoreUnavailable`` when the disk has less than its reserve.
        """
        self._root = folder
        self._folder = folder / _boot_id()
        self._limit = limit
        self._require_space = require_space

    def open(self, name: str) -> int | None:
        """Return a descriptor of a copy, which the caller closes; ``None``: there is none."""
        path = self._path(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            if time.time() - os.fstat(descriptor).st_mtime > _TOUCH_SECONDS:
                os.utime(path)
        return descriptor

    def begin(self, name: str, size: int) -> Draft | None:
        """Take space for a copy and begin it; ``None``: there shall be none, or it cannot be."""
        if size * _LARGEST > self._limit:
            return None
        final = self._path(name)
        path = final.with_name(f"{_DRAFT}{os.getpid()}-{os.urandom(6).hex()}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.locked() as total:
                if self._is_short_of_space():
                    self._shrink(total[0] // 2)
                    return None
                if total[0] + size > self._limit:
                    total[0] = self._shrink(int(self._limit * _LEFT) - size)
                if total[0] + size > self._limit:
                    return None  # others are writing as much
                final.parent.mkdir(mode=0o700, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                descriptor = os.open(path, flags, 0o600)
                draft = Draft(self, path, final, descriptor)
                try:
                    # Others that look how much there is see all of it from now on.
                    os.truncate(descriptor, size)
                except BaseException:
                    draft.close()
                    raise
                total[0] += size
            return draft
        except OSError:
            return None

    def forget(self, name: str) -> None:
        """Remove a copy, if there is one."""
        with contextlib.suppress(OSError):
            self._path(name).unlink()

    def size(self) -> int:
        """Return the bytes of all copies."""
        if not self._folder.exists():
            return 0
        with self.locked():
            return self._count()

    def _count(self) -> int:
        return sum(size for _, size, _ in self._copies())

    def remove_stale(self) -> None:
        """Remove what was written before the machine was started, or by processes that ended.

        Call it when no process of this node writes copies.
        """
        with contextlib.suppress(OSError):
            for one in self._root.iterdir():
                if one != self._folder:
                    shutil.rmtree(one, ignore_errors=True)
            for path in self._folder.glob(f"??/{_DRAFT}*"):
                path.unlink()
            (self._folder / _SIZE_FILE).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / name

    def _is_short_of_space(self) -> bool:
        try:
            self._require_space()
        except StoreUnavailable:
            return True
        return False

    @contextlib.contextmanager
    def locked(self) -> Iterator[list[int]]:
        """Hold the lock of the folder; give the bytes of all copies, to be changed.

        Raises:
            OSError: it cannot be written.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._folder / _SIZE_FILE, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            text = os.pread(descriptor, 32, 0)
            # Never too low: it counts what somebody is about to write, and what was removed
            # meanwhile. It is counted anew whenever the limit seems to be reached.
            total = [int(text) if text.isdigit() else self._count()]
            yield total
            os.pwrite(descriptor, b"%020d" % total[0], 0)
        finally:
            os.close(descriptor)

    def _copies(self) -> Iterator[tuple[float, int, Path]]:
        for folder in self._folder.glob("??"):
            with contextlib.suppress(OSError):
                for entry in list(os.scandir(folder)):
                    with contextlib.suppress(OSError):
                        found = entry.stat(follow_symlinks=False)
                        yield found.st_mtime, found.st_size, Path(entry.path)

    def _shrink(self, wanted: int) -> int:
        """Remove the copies that were not used for the longest time; return the bytes left."""
        copies = sorted(self._copies(), key=lambda copy: copy[0])
        total, now = sum(size for _, size, _ in copies), time.time()
        for used, size, path in copies:
            if total <= wanted:
                break
            if path.name.startswith(_DRAFT) and now - used < _DRAFT_SECONDS:
                continue
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size
        return total


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, UnicodeError):
        return "copies"
