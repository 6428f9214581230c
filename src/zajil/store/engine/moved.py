"""A store that is being copied to another database, or that has moved there: it takes no writes.

Laws:
- While a copy reads the rows, its process holds a lock on the file ``store.moved``, which is empty.
  However that process ends, the lock is gone, and the store takes writes again.
- When the copy is complete, the file says where the store is now. Nothing of ours removes it: two
  servers would accept mail into two stores.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from zajil.store.engine.errors import StoreInUse, StoreUnavailable, disk_error
from zajil.store.engine.folder import sync_folder

_ROOM = 1024
"""Bytes of the file: enough for the name of a database."""
MOVED_NAME = "store.moved"
"""Name of the file in the data folder."""


def moved_to(data_dir: Path) -> str | None:
    """Return the database that a store has moved to; ``None``: it has not.

    Raises:
        StoreUnavailable: the file cannot be read.
    """
    path = data_dir / MOVED_NAME
    try:
        return path.read_bytes().decode("utf-8", "replace").strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(error, f"cannot read {path}") from error


def require_not_moved(data_dir: Path) -> None:
    """See that a store was not moved.

    Raises:
        StoreUnavailable: it was; the text says where to.
    """
    place = moved_to(data_dir)
    if place is not None:
        raise StoreUnavailable(
            f"the store of {data_dir} has moved to {place}: set store.url to its address"
        )


def require_writable(data_dir: Path) -> None:
    """See that a store takes writes: called before each transaction, when the file exists.

    Raises:
        StoreUnavailable: it was moved, or a copy is being made.
    """
    require_not_moved(data_dir)
    try:
        descriptor = os.open(data_dir / MOVED_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreUnavailable(
            "the store is being copied to another database, and can only be read until then"
        ) from None
    finally:
        os.close(descriptor)


@contextmanager
def moving(data_dir: Path) -> Iterator[Callable[[str], None]]:
    """Let a store take no writes for the time of the block.

    Yields:
        A function that says where the store is from now on: then it takes no writes afterwards.

    Raises:
        StoreInUse: another copy is being made.
        StoreUnavailable: it was moved already, or the file cannot be written.
    """
    require_not_moved(data_dir)
    path = data_dir / MOVED_NAME
    is_moved = False
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise disk_error(error, f"cannot write {path}") from error

    def move(place: str) -> None:
        nonlocal is_moved
        try:
            os.pwrite(descriptor, f"{place}\n".encode(), 0)
            os.fsync(descriptor)
            sync_folder(data_dir)
        except OSError as error:
            raise disk_error(error, f"cannot write {path}") from error
        is_moved = True

    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            is_moved = True  # the file is the other's
            raise StoreInUse("another `zajil store copy` copies this store") from None
        if not _is_same(descriptor, path):
            is_moved = True  # another copy has ended just now, and removed the file
            raise StoreInUse("another `zajil store copy` was running: run the command again")
        os.pwrite(descriptor, b" " * _ROOM, 0)  # a full disk is noticed now
        yield move
    except OSError as error:
        raise disk_error(error, f"cannot write {path}") from error
    finally:
        if not is_moved:
            with contextlib.suppress(OSError):
                path.unlink()
        os.close(descriptor)


def _is_same(descriptor: int, path: Path) -> bool:
    """Return whether an open file has still its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
