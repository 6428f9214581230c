"""A folder that mail is written to: made where it is missing, written as who runs the command."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zajil.operations.moving.model import NoTarget
from zajil.operations.moving.tree import acting_as

_ODD = re.compile(r"[\x00-\x1f\x7f<>:\"\\|?*\u202a-\u202e\u2066-\u2069]")
_MAX_LEVEL_BYTES = 200
"""Of a name of a file, with room for an ending; file systems take 255."""


class Destination:
    """A folder of the operator's."""

    def __init__(self, path: Path, caller: tuple[int, int] | None = None) -> None:
        """Make the folder.

        Args:
            path: of it.
            caller: user and group that shall own what is written; ``None``: those of this process.

        Raises:
            NoTarget: it cannot be made.
        """
        self.path = path
        self.caller = caller or (os.geteuid(), os.getegid())
        with self.writing():
            path.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write as the caller; an error of the disk becomes one sentence.

        Raises:
            NoTarget: something could not be written.
        """
        try:
            with acting_as(*self.caller):
                yield
        except OSError as error:
            raise NoTarget(f"cannot write to {self.path}: {error.strerror or error}") from error


def file_name(mailbox: str, taken: set[str]) -> str:
    """Return the path of a mailbox's file without its ending, another one for each.

    Args:
        mailbox: name with levels divided by ``/``.
        taken: those of earlier ones, without case; this one is added.
    """
    levels = [_level(level) for level in mailbox.split("/")]
    name = stem = "/".join(levels)
    number = 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem} {number}"
    taken.add(name.casefold())
    return name


def _level(text: str) -> str:
    clean = _ODD.sub("_", text).strip(". ")[:100]
    return clean.encode("utf-8")[:_MAX_LEVEL_BYTES].decode("utf-8", "ignore").strip(". ") or "_"
