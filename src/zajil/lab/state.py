"""Data kept for later starts on the same folder: passwords, ports, names of schemas.

Certificates, keys and mail are separate files; this is the file ``lab.json``. It contains passwords
in clear text: they exist in the lab only, and its JSON line prints them too.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zajil.core.errors import Refused
from zajil.lab.database import stop_abandoned_server

TEMPORARY_PREFIX = "zajil-lab-"
_YOUNG_SECONDS = 60.0
"""A lab that has just made its folder may not have locked it yet."""


class LabInUse(Refused):
    """Another lab runs on the folder."""


class LabState:
    """Passwords by name, and the block of ports, kept in a file."""

    def __init__(self, folder: Path) -> None:
        """Read ``lab.json`` of the folder, where there is one."""
        self._file = folder / "lab.json"
        self._data: dict[str, Any] = {"schema_prefix": "", "passwords": {}}
        if self._file.exists():
            self._data = json.loads(self._file.read_text("utf-8"))

    @property
    def schema_prefix(self) -> str:
        """Begins the names of this lab's database schemas: two labs may share one server."""
        if not self._data["schema_prefix"]:
            self._data["schema_prefix"] = f"lab_{secrets.token_hex(4)}_"
        return str(self._data["schema_prefix"])

    @property
    def port_block(self) -> int | None:
        """The first port of the block of the last start; ``None``: there was none."""
        return self._number("port_block")

    @port_block.setter
    def port_block(self, first: int) -> None:
        self._data["port_block"] = first

    @property
    def node_port_block(self) -> int | None:
        """The block of the nodes, as ``port_block``."""
        return self._number("node_port_block")

    @node_port_block.setter
    def node_port_block(self, first: int) -> None:
        self._data["node_port_block"] = first

    def _number(self, name: str) -> int | None:
        number = self._data.get(name)
        return number if isinstance(number, int) else None

    def password(self, name: str) -> str:
        """Return the password kept under a name, a new one if there is none."""
        passwords = self._data["passwords"]
        if name not in passwords:
            passwords[name] = secrets.token_hex(8)  # a word that no program takes for an option
        return str(passwords[name])

    def save(self) -> None:
        """Write the file: whole or not at all."""
        text = json.dumps(self._data, ensure_ascii=False, indent=1)
        new = self._file.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(self._file)


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep a second lab off the folder while this one runs.

    Raises:
        LabInUse: another one runs on it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lab.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabInUse(f"another lab runs on {folder}") from None
        yield


def remove_abandoned(parent: Path) -> list[Path]:
    """Remove the temporary folders of labs that were killed; give those that are gone.

    A folder of another user, one that a lab runs on, and one made within the last minute stay.
    """
    removed = []
    for folder in parent.glob(f"{TEMPORARY_PREFIX}*"):
        try:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            if time.time() - found.st_mtime < _YOUNG_SECONDS:
                continue
            with locked_folder(folder):
                stop_abandoned_server(folder)
                shutil.rmtree(folder)
        except (LabInUse, OSError):
            continue
        removed.append(folder)
    return removed
