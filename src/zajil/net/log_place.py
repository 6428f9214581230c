"""Where the lines of the log go: standard error, or a file that may be rotated.

Laws:
- Writing never raises and never waits: a log that cannot be written costs nobody a mail. Lines
  that were lost are counted, and told when the place takes lines again.
- A file is opened again when another one has its name, or none: in every process at its next
  line, so that logrotate has nothing to tell to anybody.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from zajil.core.errors import Unavailable

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
_MODE = 0o640
_MOST_BYTES = 4000
"""Of one write: a pipe takes less than 4096 as a whole, without parts of other processes in it."""


class LogUnavailable(Unavailable):
    """The file of the log cannot be opened."""


class LogPlace:
    """Takes whole lines from any thread.

    Args:
        path: of the file; ``None``: standard error.
        lost: makes the line that says how many were lost, without a line end.

    Raises:
        LogUnavailable: the file cannot be opened.
    """

    def __init__(self, path: Path | None, lost: Callable[[int], str]) -> None:
        self._path = path
        self._lost = lost
        self._lost_lines = 0
        self._is_torn = False
        """The last line was written in part: the next one begins on a line of its own."""
        self._lock = threading.Lock()
        self._fd = -1
        self._identity = (-1, -1)
        if path is not None:
            try:
                self._open(path)
            except OSError as error:
                reason = f"cannot open log.file, {path}: {error.strerror}"
                raise LogUnavailable(reason) from None

    def give_to(self, user: int, group: int) -> None:
        """Make a user the owner of the file, which root may have made.

        Raises:
            OSError: the file system does not allow it.
        """
        if self._fd >= 0 and stat.S_ISREG(os.fstat(self._fd).st_mode):
            os.fchown(self._fd, user, group)

    def write(self, lines: Sequence[str]) -> None:
        """Write lines without their ends."""
        with self._lock:
            if self._lost_lines:
                lines = [self._lost(self._lost_lines), *lines]
            written = self._write_parts([f"{line}\n" for line in lines])
            if written == len(lines):
                self._lost_lines = 0
            elif not self._lost_lines or written:
                self._lost_lines = len(lines) - written
            else:
                self._lost_lines += len(lines) - 1

    def close(self) -> None:
        """Close the file; nothing is written from now on but to standard error."""
        with self._lock:
            self._path = None
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    def _open(self, path: Path) -> None:
        fresh = os.open(path, _FLAGS, _MODE)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fresh
        found = os.fstat(fresh)
        self._identity = (found.st_dev, found.st_ino)

    def _follow(self, path: Path) -> None:
        """Open the file anew if its name stands for another one; else go on with the old one."""
        with suppress(OSError):
            try:
                found = os.stat(path)
                is_same = (found.st_dev, found.st_ino) == self._identity
            except FileNotFoundError:
                is_same = False
            if not is_same:
                self._open(path)

    def _write_parts(self, texts: Sequence[str]) -> int:
        """Write lines until one cannot be written; return how many were."""
        if self._path is not None:
            self._follow(self._path)
        written = 0
        for part in _in_parts(texts):
            if not self._put("".join(part)):
                break
            written += len(part)
        return written

    def _put(self, text: str) -> bool:
        if self._path is None:
            try:
                sys.stderr.write(text)
                sys.stderr.flush()
            except (OSError, ValueError):  # closed, or a full disk behind it
                return False
            return True
        data = (("\n" if self._is_torn else "") + text).encode("utf-8", "replace")
        try:
            count = os.write(self._fd, data)
        except OSError:
            return False
        if count:
            self._is_torn = count < len(data) and data[count - 1 : count] != b"\n"
        return count == len(data)


def _in_parts(texts: Sequence[str]) -> Sequence[Sequence[str]]:
    parts: list[list[str]] = [[]]
    size = 0
    for text in texts:
        length = len(text.encode("utf-8", "replace"))
        if parts[-1] and size + length > _MOST_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(text)
        size += length
    return parts
