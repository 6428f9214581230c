"""A folder as its disk has it: what was synced, and as much of the rest as chance writes.

It is made from the system calls of the programs that use the folder (``kit.strace``), so it knows
what the disk holds at any moment of their life, and what it may hold when the power fails then.

What a disk keeps:
- The content of a file as it was when the last sync of it that has returned began.
- Of later writes any sector, in any order, each in a version that it had since.
- Names in one of two ways. ``Names.IN_ORDER``, as ext4, XFS and Btrfs do: a sync of a file keeps
  its name and all changes of names before; later ones get to the disk in order.
  ``Names.BY_FOLDER``, as POSIX has it: only the sync of a folder keeps its names.
- Nothing of files that are memory: the index of SQLite's log, and sockets.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from random import Random

from kit.strace import DELETED, Step, files, numbers, strings

CALLS = (
    *("open", "openat", "creat", "write", "writev", "pwrite64", "pwritev", "pwritev2"),
    *("ftruncate", "truncate", "fallocate", "copy_file_range", "sendfile", "splice"),
    *("fsync", "fdatasync", "sync_file_range", "sync", "syncfs"),
    *("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat"),
    *("mkdir", "mkdirat", "rmdir"),
)
"""What changes a folder, or keeps it."""
_SECTOR = 512


class Names(Enum):
    """When the name of a file is on disk."""

    IN_ORDER = auto()
    BY_FOLDER = auto()


class Unsynced(Enum):
    """What becomes of it when the power fails."""

    LOST = auto()
    KEPT = auto()
    RANDOM = auto()


@dataclass(frozen=True, slots=True)
class _Write:
    offset: int
    data: bytes
    size: int
    """Of the file after it."""


@dataclass(eq=False, slots=True)
class _File:
    kept: bytearray = field(default_factory=bytearray)
    """What is on disk for certain."""
    live: bytearray = field(default_factory=bytearray)
    """What programs read."""
    pending: list[_Write] = field(default_factory=list)
    """What leads from one to the other."""
    synced: int = 0
    """Writes that were kept so far."""

    @classmethod
    def of(cls, content: bytes) -> _File:
        return cls(bytearray(content), bytearray(content))

    def write(self, offset: int, data: bytes) -> None:
        self.pending.append(_Write(offset, data, max(len(self.live), offset + len(data))))
        _apply(self.live, self.pending[-1])

    def truncate(self, size: int) -> None:
        old = len(self.live)
        zeros = bytes(abs(size - old))
        self.pending.append(_Write(min(size, old), zeros, size))
        _apply(self.live, self.pending[-1])

    def keep(self, count: int) -> None:
        """Keep the first of all writes, as many as there were when the sync began."""
        fresh = max(0, count - self.synced)
        for one in self.pending[:fresh]:
            _apply(self.kept, one)
        del self.pending[:fresh]
        self.synced += fresh

    def after_failure(self, unsynced: Unsynced, random: Random) -> bytes:
        if unsynced is Unsynced.LOST or not self.pending:
            return bytes(self.kept)
        if unsynced is Unsynced.KEPT:
            return bytes(self.live)
        touched: dict[int, int] = defaultdict(int)
        for one in self.pending:
            for sector in _sectors(one):
                touched[sector] += 1
        left = {sector: random.randint(0, count) for sector, count in touched.items()}
        content = bytearray(self.kept)
        for one in self.pending:
            for sector in _sectors(one):
                if left[sector]:
                    left[sector] -= 1
                    begin = max(sector * _SECTOR, one.offset)
                    end = min((sector + 1) * _SECTOR, one.offset + len(one.data))
                    _put(content, begin, one.data[begin - one.offset : end - one.offset])
        sizes = [len(self.kept), *(one.size for one in self.pending)]
        size = random.choice(sizes)
        return bytes(content[:size].ljust(size, b"\0"))


@dataclass(frozen=True, eq=False, slots=True)
class _Change:
    """Of names: those that go, then those that come; ``None``: a folder."""

    gone: tuple[str, ...]
    come: tuple[tuple[str, _File | None], ...]

    def folders(self) -> set[str]:
        paths = (*self.gone, *(path for path, _ in self.come))
        return {path.rpartition("/")[0] for path in paths}

    def apply(self, names: dict[str, _File | None]) -> None:
        for path in self.gone:
            names.pop(path, None)
        names.update(self.come)


class Disk:
    """The disk of one folder, while the steps of a trace go on.

    Args:
        folder: as the steps name it.
        before: a copy of it from before the first step; all of that is on disk.
        steps: what is done in it, and elsewhere.
        names: when they are on disk.
        ignore_syncs: a disk that does not keep what it says: for the proof that it matters.
    """

    def __init__(
        self,
        folder: Path,
        before: Path,
        steps: Iterator[Step],
        names: Names = Names.IN_ORDER,
        *,
        ignore_syncs: bool = False,
    ) -> None:
        self._root = str(folder)
        self._steps = steps
        self._next: Step | None = next(steps, None)
        self._how = names
        self._ignore_syncs = ignore_syncs
        self._live: dict[str, _File | None] = {}
        for path in before.rglob("*"):
            name = str(folder / path.relative_to(before))
            if not self._is_memory(name):
                self._live[name] = None if path.is_dir() else _File.of(path.read_bytes())
        self._kept = dict(self._live)
        self._changes: list[_Change] = []
        """Of names, not kept yet."""
        self._gone: dict[str, _File] = {}
        """Files without a name that programs still use."""
        self._syncs: dict[int, tuple[_File | None, int, list[_Change]]] = {}
        """Under way: what a thread syncs, and how much of it there was."""

    def run(self, until: float | None = None) -> None:
        """Go on to a moment; ``None``: to the end."""
        while self._next is not None and (until is None or self._next.at <= until):
            self._take(self._next)
            self._next = next(self._steps, None)

    def cut_power(self, target: Path, unsynced: Unsynced, random: Random) -> None:
        """Make a folder with what the disk may hold if the power fails now."""
        names = dict(self._kept)
        for change in self._surviving(unsynced, random):
            change.apply(names)
        target.mkdir(mode=0o700)
        # A name in a folder that is not there is not there either.
        for path in sorted(names):
            copy, found = target / path[len(self._root) + 1 :], names[path]
            if not copy.parent.exists():
                continue
            if found is None:
                copy.mkdir(mode=0o700)
            else:
                copy.touch(mode=0o600)
                copy.write_bytes(found.after_failure(unsynced, random))

    def live(self) -> dict[str, bytes]:
        """Return what programs see: the content of each file, by path below the folder."""
        return {
            path[len(self._root) + 1 :]: bytes(found.live)
            for path, found in self._live.items()
            if found is not None
        }

    def _surviving(self, unsynced: Unsynced, random: Random) -> list[_Change]:
        if unsynced is Unsynced.LOST:
            return []
        if unsynced is Unsynced.KEPT:
            return self._changes
        if self._how is Names.IN_ORDER:
            return self._changes[: random.randint(0, len(self._changes))]
        return [one for one in self._changes if random.random() < 0.5]

    # ---- one step -------------------------------------------------------------------------------

    def _take(self, step: Step) -> None:
        if step.name in _SYNCS:
            self._sync(step)
        elif step.result is not None and step.result >= 0:
            self._change(step)

    def _change(self, step: Step) -> None:
        name, arguments, result = step.name, step.arguments, step.result or 0
        if name in ("open", "openat", "creat"):
            self._open(name, arguments)
        elif name.startswith(_NAMING):
            self._rename(name, arguments)
        else:
            self._write(name, arguments, result)

    def _open(self, name: str, arguments: str) -> None:
        if name != "creat" and "O_CREAT" not in arguments and "O_TRUNC" not in arguments:
            return
        path = strings(arguments)[0].decode()
        if not self._is_ours(path):
            return
        found = self._live.get(path)
        if found is None:
            self._change_names(_Change((), ((path, _File()),)))
        elif "O_TRUNC" in arguments:
            found.truncate(0)

    def _rename(self, name: str, arguments: str) -> None:
        paths = [one.decode() for one in strings(arguments)]
        if not any(map(self._is_ours, paths)):
            return
        if name.startswith("mkdir"):
            self._change_names(_Change((), ((paths[0], None),)))
        elif name.startswith(("unlink", "rmdir")):
            self._change_names(_Change((paths[0],), ()))
        else:
            gone = () if name.startswith("link") else (paths[0],)
            self._change_names(_Change(gone, ((paths[1], self._live[paths[0]]),)))

    def _write(self, name: str, arguments: str, result: int) -> None:
        paths = files(arguments)
        if not any(map(self._is_ours, paths)):
            return
        found = self._find(paths[-1])
        if name == "write":
            # A file that is written without an offset is new, and written from its begin to its
            # end: ``live`` is compared with the real folder.
            found.write(len(found.live), strings(arguments)[0][:result])
        elif name == "pwrite64":
            found.write(numbers(arguments)[1], strings(arguments)[0][:result])
        elif name == "ftruncate":
            found.truncate(numbers(arguments)[0])
        elif name == "copy_file_range" and (offset := _OFFSET.search(arguments)):
            begin = int(offset[1])
            source = self._find(paths[0]).live
            found.write(len(found.live), bytes(source[begin : begin + result]))
        else:
            raise NotImplementedError(f"{name}({arguments[:200]}")

    def _sync(self, step: Step) -> None:
        if step.name not in ("fsync", "fdatasync"):
            raise NotImplementedError(step.name)
        (path,) = files(step.arguments) or [""]
        if not self._is_ours(path) or self._ignore_syncs:
            return
        if step.result is None:
            is_folder = path == self._root or self._live.get(path, 0) is None
            found = None if is_folder else self._find(path)
            count = 0 if found is None else found.synced + len(found.pending)
            self._syncs[step.thread] = found, count, self._covered(path, found)
            return
        found, count, changes = self._syncs.pop(step.thread)
        if step.result < 0:
            return
        if found is not None:
            found.keep(count)
        for change in changes:
            if change in self._changes:
                change.apply(self._kept)
                self._changes.remove(change)

    def _covered(self, path: str, found: _File | None) -> list[_Change]:
        """Return the changes of names that a sync of a file or folder keeps."""
        if found is None:
            mine = [path in one.folders() for one in self._changes]
        else:
            mine = [any(came is found for _, came in one.come) for one in self._changes]
        if self._how is Names.BY_FOLDER:
            is_folder = found is None
            return [
                one
                for one, is_mine in zip(self._changes, mine, strict=True)
                if is_mine and is_folder
            ]
        last = max((place for place, is_mine in enumerate(mine) if is_mine), default=-1)
        return self._changes[: last + 1]

    def _change_names(self, change: _Change) -> None:
        for path in change.gone:
            gone = self._live.get(path)
            if gone is not None:
                self._gone[path + DELETED] = gone
        change.apply(self._live)
        self._changes.append(change)

    def _find(self, path: str) -> _File:
        found = self._gone[path] if path.endswith(DELETED) else self._live[path]
        if found is None:
            raise IsADirectoryError(path)
        return found

    def _is_ours(self, path: str) -> bool:
        is_inside = path == self._root or path.startswith(f"{self._root}/")
        return is_inside and not self._is_memory(path.removesuffix(DELETED))

    def _is_memory(self, path: str) -> bool:
        below = path[len(self._root) + 1 :]
        return path.endswith("-shm") or below == "run" or below.startswith("run/")


def _sectors(write: _Write) -> range:
    end = write.offset + len(write.data)
    return range(write.offset // _SECTOR, (end + _SECTOR - 1) // _SECTOR)


def _apply(content: bytearray, write: _Write) -> None:
    _put(content, write.offset, write.data)
    del content[write.size :]


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


_SYNCS = ("fsync", "fdatasync", "sync_file_range", "sync", "syncfs")
_NAMING = ("rename", "link", "unlink", "mkdir", "rmdir")
_OFFSET = re.compile(r">(?:\(deleted\))?, \[(\d+)\]")
