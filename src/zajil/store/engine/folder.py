"""The data folder: that it is there and ours, that nobody else reads it, that one server uses it.

Laws:
- Nothing here makes a folder unless it is told to: a missing one means that something is wrong.
- A server holds ``server.lock`` while one of its processes lives. Commands do not need it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from zajil.store.engine.errors import NoStore, StoreInUse, StoreUnavailable

DATABASE_NAME = "store.sqlite"
LOCK_NAME = "server.lock"
_PRIVATE = (".", "blobs", DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm")
_LOOK_AGAIN_SECONDS = 0.1
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def claim_folder(data_dir: Path) -> None:
    """See that the data folder is there, ours, and can be written.

    Raises:
        NoStore: it is missing.
        StoreUnavailable: it is not a folder, belongs to another user, or cannot be written.
    """
    try:
        if not data_dir.is_dir():
            if data_dir.exists():
                raise StoreUnavailable(f"the data folder {data_dir} is not a folder")
            raise NoStore(
                f"the data folder {data_dir} is missing: restore it from a backup, or correct "
                "server.data_dir; `zajil store create` creates a new store; for a new node of a "
                "store in PostgreSQL, create an empty folder"
            )
        require_owner(data_dir)
        if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
            raise StoreUnavailable(f"no permission to write to the data folder {data_dir}")
        (data_dir / "blobs").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot use the data folder {data_dir}: {error.strerror or error}"
        ) from error


def make_folder(data_dir: Path) -> None:
    """Make the data folder, where it is missing, for its owner alone.

    Raises:
        StoreUnavailable: it cannot be made, or belongs to another user.
    """
    try:
        if not data_dir.exists():
            data_dir.mkdir(parents=True, mode=0o700)
            data_dir.chmod(0o700)  # whatever the umask was
    except OSError as error:
        raise StoreUnavailable(
            f"cannot create the data folder {data_dir}: {error.strerror or error}"
        ) from error
    claim_folder(data_dir)


def require_owner(data_dir: Path) -> None:
    """See that what is in the data folder is ours.

    Raises:
        StoreUnavailable: it belongs to another user.
        OSError: it cannot be looked at.
    """
    for path in (data_dir / DATABASE_NAME, data_dir / "blobs", data_dir):
        if not path.exists():
            continue
        owner = path.stat().st_uid
        # Also root: files it creates beside the database would lock the owner out.
        if owner != os.geteuid():
            raise StoreUnavailable(
                f"{path} belongs to user {user_name(owner)}, but this runs as user "
                f"{user_name(os.geteuid())}: change the owner with chown, or the user"
            )
        return


def open_to_others(data_dir: Path) -> list[Path]:
    """List what others on this machine may read or write, of what only we should."""
    found = []
    for name in _PRIVATE:
        path = data_dir / name
        with contextlib.suppress(OSError):
            if stat.S_IMODE(path.stat().st_mode) & _FOR_OTHERS:
                found.append(path)
    return found


def close_to_others(data_dir: Path) -> list[Path]:
    """Take the permissions of others away; gives the paths where there were some."""
    closed = []
    for path in open_to_others(data_dir):
        # A file system without permissions keeps its own.
        with contextlib.suppress(OSError):
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_FOR_OTHERS)
            closed.append(path)
    return closed


def new_private_file(path: Path) -> int:
    """Make a file for its owner alone, whatever the umask; gives its descriptor.

    Raises:
        OSError: it is there already, or cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk.

    Raises:
        OSError: the disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def user_name(uid: int) -> str:
    """Name a user of this machine; its number where it has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class ServerLock:
    """One server for each data folder: an ``flock`` that forked workers hold too."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / LOCK_NAME
        self._descriptor: int | None = None

    def take(self, patience_seconds: float = 0) -> None:
        """Take the lock, or find out who has it.

        Args:
            patience_seconds: how long to wait for the workers of a server that was killed.

        Raises:
            StoreInUse: a server runs, or a worker of one that was killed has not ended yet.
            StoreUnavailable: the file cannot be made.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.fchmod(descriptor, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"cannot make {self._path}: {error.strerror}") from error
        end = time.monotonic() + patience_seconds
        while not _try_lock(descriptor):
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            if _lives(holder) or time.monotonic() >= end:
                os.close(descriptor)
                raise StoreInUse(
                    f"another server (process {holder or 'unknown'}) uses the data folder "
                    f"{self._path.parent}; stop it first"
                )
            time.sleep(_LOOK_AGAIN_SECONDS)
        os.ftruncate(descriptor, 0)
        with contextlib.suppress(OSError):  # a full disk: what is opened next says so
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of it in this process; workers that live hold it on."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        os.close(descriptor)
        raise StoreUnavailable(f"cannot lock the data folder: {error.strerror}") from error
    return True


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, OSError):
        return True
    return True


def is_served(data_dir: Path) -> bool:
    """Return whether a server uses the data folder now."""
    lock = ServerLock(data_dir)
    try:
        lock.take()
    except StoreInUse:
        return True
    lock.release()
    return False


@contextlib.contextmanager
def server_lock(data_dir: Path) -> Iterator[None]:
    """Hold the lock of the data folder for a while.

    Raises:
        StoreInUse, StoreUnavailable: as ``ServerLock.take``.
    """
    lock = ServerLock(data_dir)
    lock.take()
    try:
        yield
    finally:
        lock.release()
