"""Where the objects of backups are: a folder, or what else implements ``BackupTarget``.

Laws:
- An object is durable when ``put`` returns, and it is either there as a whole or not at all.
- An object is at most some MiB large: all of it is in memory at a time.
- Names are made of lower-case letters, digits, ``-``, and ``/`` between levels.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from zajil.core.errors import NotFound, Refused, Unavailable
from zajil.store.engine.folder import sync_folder
from zajil.store.engine.spill import write_whole

_DRAFT = ".draft-"
"""Begins the name of a file that is being written."""


_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""What file systems without hard links say, such as FAT, exFAT and some of CIFS."""
_NO_SYNC = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems say that cannot wait for a folder."""


class TargetUnavailable(Unavailable):
    """The target cannot be read or written now; the text is one sentence for an operator."""


class NoSuchObject(NotFound):
    """The target has no object of this name."""


class DamagedBackup(Unavailable):
    """An object is missing, or contains something else than it must."""


class TargetInUse(Refused):
    """Another program writes to the target."""


class BackupTarget(ABC):
    """A set of named objects."""

    place: str
    """Names the target in a sentence."""

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Write an object, and replace an older one of this name.

        Raises:
            TargetUnavailable: it may be there or not.
        """

    @abstractmethod
    def put_new(self, name: str, content: bytes) -> bool:
        """Write an object if there is none of this name; return whether it was written.

        Raises:
            TargetUnavailable: it may be there or not.
        """

    @abstractmethod
    def get(self, name: str) -> bytes:
        """Return the content of an object.

        Raises:
            NoSuchObject: there is none of this name.
            TargetUnavailable: it cannot be read.
        """

    @abstractmethod
    def names(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield the names of all objects below a prefix, and their sizes in bytes.

        Args:
            prefix: one level, such as ``objects/``.

        Raises:
            TargetUnavailable: they cannot be listed.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete an object; one that is not there is no error.

        Raises:
            TargetUnavailable: it cannot be deleted.
        """

    def prepare(self) -> None:  # noqa: B027 (most targets need nothing)
        """Make the target ready to be written for the first time.

        Raises:
            TargetUnavailable: it cannot be made.
        """

    def tidy(self) -> None:  # noqa: B027 (most targets need nothing)
        """Remove what a crash left half-written; the caller has the lock.

        Raises:
            TargetUnavailable: it cannot be removed.
        """


class FolderTarget(BackupTarget):
    """A folder of this machine, or of one that is mounted here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = f"the folder {folder}"

    def prepare(self) -> None:
        """Create the folder, for its owner alone."""
        try:
            if not self._folder.is_dir():
                self._folder.mkdir(parents=True, mode=0o700)
                _sync(self._folder.parent)
        except OSError as error:
            raise self._failed("create or write", self._folder, error) from error

    def tidy(self) -> None:
        """Remove drafts; not those of a lock, which another program may be trying to take."""
        try:
            for draft in self._folder.glob(f"*/**/{_DRAFT}*"):
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed("write", self._folder, error) from error

    def put(self, name: str, content: bytes) -> None:
        """Write a file under another name, wait for the disk, then give it its name."""
        path = self._folder / name
        try:
            draft = self._write_draft(path, content)
            try:
                draft.rename(path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
            _sync(path.parent)
        except OSError as error:
            raise self._failed("write", path, error) from error

    def put_new(self, name: str, content: bytes) -> bool:
        """Write a file as ``put``, but give it its name only if that is free."""
        path = self._folder / name
        try:
            draft = self._write_draft(path, content)
            try:
                if not _give_name(draft, path):
                    return False
            finally:
                draft.unlink(missing_ok=True)
            _sync(path.parent)
        except OSError as error:
            raise self._failed("write", path, error) from error
        return True

    def _write_draft(self, path: Path, content: bytes) -> Path:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            _sync(path.parent.parent)
        draft = path.with_name(f"{_DRAFT}{secrets.token_hex(8)}")
        # No chmod: some file systems have no permissions of their own, and refuse it.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(draft, flags, 0o600)
        try:
            write_whole(descriptor, content)
            os.fsync(descriptor)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        return draft

    def get(self, name: str) -> bytes:
        """Read a file."""
        path = self._folder / name
        try:
            # A FIFO must not stop us.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError(errno.EINVAL, "it is not a file")
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            raise NoSuchObject(f"{path} is missing") from None
        except OSError as error:
            raise self._failed("read", path, error) from error

    def names(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Walk through the folders, in the order of their names."""
        try:
            yield from self._walk(self._folder / prefix)
        except OSError as error:
            raise self._failed("list", self._folder / prefix, error) from error

    def _walk(self, folder: Path) -> Iterator[tuple[str, int]]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path))
            elif not entry.name.startswith(_DRAFT):
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    size = entry.stat().st_size
                    yield Path(entry.path).relative_to(self._folder).as_posix(), size

    def delete(self, name: str) -> None:
        """Remove a file."""
        path = self._folder / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed("delete", path, error) from error

    def _failed(self, what: str, path: Path, error: OSError) -> TargetUnavailable:
        return TargetUnavailable(f"cannot {what} {path}: {error.strerror or error}")


def _give_name(draft: Path, path: Path) -> bool:
    """Give a file its name if that is free; return whether it was.

    Raises:
        OSError: the name cannot be given.
    """
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Take the name first, by an empty file, then put the content there. An empty file that is
        # there already is what a crash left in between.
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            if path.stat().st_size:
                return False
        draft.rename(path)
    return True


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on disk, where the file system can do that."""
    try:
        sync_folder(folder)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
