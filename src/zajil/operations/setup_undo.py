"""Undoes a setup that was not completed: by itself, or by the next one if it was killed.

Laws:
- The list of what was made is a file in the folder of the configuration, and each path is in it
  before it is made. The file is locked as long as the setup runs, so that two never run at once.
- The list is removed before the configuration gets its name: where there is a configuration,
  nothing is ever undone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zajil.core.errors import AlreadyExists

LIST_NAME = "setup.unfinished"
_FOLDER, _FILE, _CONTENT = "folder", "file", "content"


class SetupRuns(AlreadyExists):
    """Another setup is working in the folder; nothing was changed."""


class MadePaths:
    """What the running setup has made.

    Args:
        descriptor: of the list, which is open and locked.
        path: of the list.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._entries: list[tuple[str, Path]] = []

    def folder(self, path: Path) -> None:
        """Note a folder that is going to be made; it is removed if it is empty then."""
        self._note(_FOLDER, path)

    def file(self, path: Path) -> None:
        """Note a file that is going to be made.

        Raises:
            FileExistsError: it is there.
        """
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self._note(_FILE, path)

    def content(self, path: Path) -> None:
        """Note a folder that is empty and is going to be filled."""
        self._note(_CONTENT, path)

    def keep(self) -> None:
        """Remove the list: what was made stays, whatever happens to this program."""
        self._path.unlink(missing_ok=True)

    def undo(self) -> None:
        """Remove what was made, newest first, and the list."""
        self._remove_all()
        self.keep()

    def undo_earlier(self) -> None:
        """Remove what a setup that was killed has made; nothing was noted by this one yet."""
        with open(self._descriptor, encoding="utf-8", closefd=False) as file:
            for line in file:
                # The last line may be cut: what it names was not made.
                with suppress(ValueError):
                    kind, path = json.loads(line)
                    self._entries.append((kind, Path(path)))
        self._remove_all()
        os.ftruncate(self._descriptor, 0)

    def _remove_all(self) -> None:
        for kind, path in reversed(self._entries):
            _remove(kind, path)
        self._entries.clear()

    def _note(self, kind: str, path: Path) -> None:
        line = json.dumps([kind, str(path.absolute())]) + "\n"
        os.write(self._descriptor, line.encode())
        self._entries.append((kind, path))


@contextmanager
def undone_on_failure(folder: Path) -> Iterator[MadePaths]:
    """Keep the list while a setup runs; undo what is in it if it fails, or if the last one did.

    Args:
        folder: of the configuration; it and its parents are made.

    Raises:
        SetupRuns: another one is working there.
        OSError: the folder cannot be made or written.
    """
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        for path in reversed(new):
            make_open_folder(path)
        with _locked(folder / LIST_NAME) as made:
            try:
                yield made
            except BaseException:
                made.undo()
                raise
    except BaseException:
        if _clear(folder / LIST_NAME):
            for path in new:
                _remove(_FOLDER, path)
        raise


def make_open_folder(path: Path) -> None:
    """Create a folder that the server's user can enter, whatever the umask."""
    path.mkdir(exist_ok=True)
    path.chmod(0o755)


@contextmanager
def _locked(path: Path) -> Iterator[MadePaths]:
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupRuns(f"another setup runs in {path.parent}; nothing was changed") from None
        if not os.fstat(descriptor).st_nlink:
            raise SetupRuns(f"another setup ran in {path.parent}; nothing was changed")
        yield MadePaths(descriptor, path)
    finally:
        os.close(descriptor)


def _clear(path: Path) -> bool:
    """Undo what is in a list that is there, unless another setup works with it.

    Ctrl+C may come when the list has been made, and before anything is prepared to undo it.

    Returns:
        Whether no other setup works there.
    """
    if not path.exists():
        return True
    try:
        with _locked(path) as made:
            made.undo_earlier()
            made.keep()
    except (SetupRuns, OSError):
        return False
    return True


def _remove(kind: str, path: Path) -> None:
    with suppress(OSError):
        if kind == _FILE:
            path.unlink(missing_ok=True)
        elif kind == _FOLDER:
            path.rmdir()
        else:
            for one in path.iterdir():
                if one.is_dir() and not one.is_symlink():
                    shutil.rmtree(one, ignore_errors=True)
                else:
                    one.unlink(missing_ok=True)
