"""A command on a terminal of its own, as a person types at it."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_PATIENCE_SECONDS = 60.0


class Terminal:
    """Reads what the command prints and types answers."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self._process = process
        self._descriptor = descriptor
        self.text = ""
        """All that was printed."""
        self._seen = 0

    def expect(self, text: str) -> str:
        """Wait until the command prints a text; return what it printed since the last one."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while (at := self.text.find(text, self._seen)) < 0:
            if not self._read(until):
                raise AssertionError(f"{text!r} was not printed; instead: {self._rest()!r}")
        end = at + len(text)
        found, self._seen = self.text[self._seen : end], end
        return found

    def type(self, line: str) -> None:
        """Type a line and press Enter."""
        os.write(self._descriptor, line.encode() + b"\n")

    def press(self, key: bytes) -> None:
        r"""Press a key: ``b"\x03"`` is Ctrl+C, ``b"\x04"`` Ctrl+D."""
        os.write(self._descriptor, key)

    def press_until(self, key: bytes, text: str) -> None:
        """Press a key until the command prints a text.

        Python can miss a signal between printing a prompt and reading the answer.
        """
        for _ in range(6):
            self.press(key)
            until = time.monotonic() + _PATIENCE_SECONDS / 6
            while text not in self.text[self._seen :] and self._read(until):
                pass
            if text in self.text[self._seen :]:
                break
        self.expect(text)

    def end_by(self, key: bytes) -> int:
        """Press a key until the command ends; return its status."""
        for _ in range(6):
            self.press(key)
            until = time.monotonic() + _PATIENCE_SECONDS / 6
            while self._read(until):
                pass
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(1)
        raise AssertionError(f"it did not end; it printed: {self._rest()!r}")

    def end(self) -> int:
        """Wait for the end of the command; return its status."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._read(until):
            pass
        return self._process.wait(_PATIENCE_SECONDS)

    def _read(self, until: float) -> bool:
        left = until - time.monotonic()
        if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
            return False
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:  # the other end of a terminal was closed
            return False
        self.text += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)

    def _rest(self) -> str:
        return self.text[self._seen :][-2000:]


@contextmanager
def on_terminal(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Run a command with a terminal that it controls; ended at the end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        # Passwords are read from /dev/tty: the terminal must be the controlling one. Who runs the
        # tests in the background may have them ignore SIGINT, which children inherit.
        ["setsid", "--ctty", "--wait", "env", "--default-signal=INT", *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONWARNINGS": "", **(environment or {})},
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)
