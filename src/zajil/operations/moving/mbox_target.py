"""mbox files as a target: one for each mailbox, in the variant "mboxrd".

A file has no keys by which one message could be found again. So each run writes a file anew beside
the old one, and replaces it when it is whole.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from zajil.message.mbox import Quoter, separator, status_fields
from zajil.operations.moving.destination import Destination, file_name
from zajil.operations.moving.model import Leaving, OwnMailbox, Report

ENDING = ".mbox"
_PART = ".mbox.part"


class MboxTarget:
    """Files in a folder."""

    def __init__(self, path: Path, caller: tuple[int, int] | None = None) -> None:
        """Make the folder; as ``Destination``.

        Raises:
            NoTarget: it cannot be made.
        """
        self.identity = f"mbox:{path.absolute()}"
        self._to = Destination(path, caller)
        self._taken: set[str] = set()
        self._file: BinaryIO | None = None
        self._path = path

    def open(self, mailbox: OwnMailbox, report: Report) -> bool:
        """Begin a file."""
        self._path = self._to.path / file_name(mailbox.name, self._taken)
        with self._to.writing():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part = self._path.with_name(self._path.name + _PART)
            part.unlink(missing_ok=True)
            self._file = part.open("xb", buffering=1 << 18)
        return True

    def put(self, message: Leaving) -> bool:
        """Write a message at the end of the file."""
        file = self._opened()
        quoter = Quoter()
        with self._to.writing():
            file.write(separator(message.received_at_ms))
            file.write(status_fields(message.flags))
            for piece in message.pieces():
                file.write(quoter.feed(piece))
            file.write(quoter.finish())
        return True

    def finish(self) -> None:
        """Let the file take the place of the one before."""
        file, self._file = self._opened(), None
        with self._to.writing():
            file.flush()
            os.fsync(file.fileno())
            file.close()
            part = Path(os.fsdecode(file.name))
            part.rename(self._path.with_name(self._path.name + ENDING))

    def close(self) -> None:
        """Give up a file that was not finished."""
        file, self._file = self._file, None
        if file is not None:
            with self._to.writing():
                file.close()
                Path(os.fsdecode(file.name)).unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise RuntimeError("no mailbox was opened")
        return self._file
