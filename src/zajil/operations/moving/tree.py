"""A folder of somebody else, read without ever leaving it.

Laws:
- Each name is opened below the folder that holds it, and no symbolic link is followed: whoever
  owns the folder cannot lead us to a file that is not in it.
- A command that root runs reads with the rights of the folder's owner, not with its own.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zajil.core.value_class import value_class
from zajil.operations.moving.model import PIECE, NoSource, Report, Unreadable

MAX_LEVELS = 64
"""Folders within folders that are looked into."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK = 65_536
# A FIFO must not stop us.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@contextmanager
def acting_as(user: int, group: int) -> Iterator[None]:
    """Have the rights of another user of this machine for a moment, if this process may.

    Only around calls that open or list something: it holds for the whole process.
    """
    before, groups = (os.geteuid(), os.getegid()), os.getgroups()
    if os.getuid() != 0 or before == (user, group):
        yield
        return
    # Security: root's further groups, such as "disk" or "root", may read what the user may not.
    _become(user, group, [group])
    try:
        yield
    finally:
        _become(*before, groups)


def _become(user: int, group: int, groups: list[int]) -> None:
    os.seteuid(0)
    os.setgroups(groups)
    os.setegid(group)
    os.seteuid(user)


@value_class(frozen=True, slots=True)
class Item:
    """A name in a folder."""

    name: bytes
    is_folder: bool
    is_file: bool
    is_link: bool


@dataclass(slots=True)
class Tree:
    """The folder (or the one file) at a path, and all below it."""

    path: Path
    descriptor: int
    owner: tuple[int, int]
    """User and group with whose rights it is read."""

    @property
    def is_file(self) -> bool:
        """Whether there is one file instead of a folder."""
        return stat.S_ISREG(os.fstat(self.descriptor).st_mode)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)

    def list(self, place: bytes) -> list[Item]:
        """Return what is in a folder, by name.

        Args:
            place: the folder below this one, levels divided by ``/``; ``b""``: this one.

        Raises:
            Unreadable: it is none, or it cannot be read.
        """
        with self._opened(place, _FOLDER) as descriptor, os.scandir(descriptor) as found:
            return sorted(
                (
                    Item(
                        os.fsencode(one.name),
                        one.is_dir(follow_symlinks=False),
                        one.is_file(follow_symlinks=False),
                        one.is_symlink(),
                    )
                    for one in found
                ),
                key=lambda one: one.name,
            )

    def exists(self, place: bytes) -> bool:
        """Return whether there is a folder."""
        try:
            with self._opened(place, _FOLDER):
                return True
        except Unreadable:
            return False

    @contextmanager
    def open(self, place: bytes) -> Iterator[int]:
        """Open a file to read; closed at the end.

        Raises:
            Unreadable: it is not there, no file, or it cannot be read.
        """
        with self._opened(place, _FILE) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable("it is not a file")
            yield descriptor

    def read(self, place: bytes, most: int) -> bytes:
        """Return the first bytes of a file; ``b""``: there is none.

        Args:
            place: as ``open`` takes it.
            most: of them.
        """
        try:
            with self.open(place) as descriptor:
                return os.read(descriptor, most)
        except (OSError, Unreadable):
            return b""

    @contextmanager
    def _opened(self, place: bytes, how: int) -> Iterator[int]:
        levels = place.split(b"/") if place else []
        current = -1
        try:
            with acting_as(*self.owner):
                current = os.dup(self.descriptor)
                for number, level in enumerate(levels, 1):
                    flags = how if number == len(levels) else _FOLDER
                    below = os.open(level, flags, dir_fd=current)
                    os.close(current)
                    current = below
            yield current
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from error
        finally:
            if current >= 0:
                os.close(current)


def open_tree(path: Path, caller: tuple[int, int] | None = None) -> Tree:
    """Open a folder, or one file; the caller closes it.

    Args:
        path: a symbolic link here is followed: the operator named it.
        caller: user and group that typed the path; ``None``: those of this process.

    Raises:
        NoSource: there is none, or it cannot be read.
    """
    try:
        with acting_as(*(caller or (os.geteuid(), os.getegid()))):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a name of a file"
        raise NoSource(f"cannot read {path}: {reason}") from None
    found = os.fstat(descriptor)
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise NoSource(f"{path} is neither a folder nor a file")
    return Tree(path.absolute(), descriptor, (found.st_uid, found.st_gid))


class FileBytes:
    """An open file as a ``message.source.Source``; what was read last is read once."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self._block = b""
        self._start = 0

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only at the end.

        Raises:
            Unreadable: the disk does not give them, or the file has become shorter.
        """
        try:
            if size >= _BLOCK:
                return self._whole(os.pread(self.descriptor, size, offset), offset, size)
            if not self._start <= offset <= offset + size <= self._start + len(self._block):
                self._block, self._start = os.pread(self.descriptor, _BLOCK, offset), offset
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from error
        return self._whole(self._block[offset - self._start :][:size], offset, size)

    def _whole(self, found: bytes, offset: int, size: int) -> bytes:
        # Whoever looks for something would look for ever behind the end.
        if len(found) < min(size, self.size - offset):
            raise Unreadable("the file became shorter while it was read")
        return found


def read_pieces_of(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes of a part of an open file.

    Raises:
        Unreadable: the file ends before, or cannot be read.
    """
    while start < end:
        try:
            piece = os.pread(descriptor, min(PIECE, end - start), start)
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from error
        if not piece:
            raise Unreadable("the file became shorter while it was read")
        start += len(piece)
        yield piece


def shown_path(place: bytes) -> str:
    """Return a path below a tree for people."""
    return place.decode("utf-8", "replace")


def report_link(report: Report, place: bytes) -> None:
    """Say that a symbolic link is not followed."""
    report.leave_out(shown_path(place), "a symbolic link is not followed")
