"""The files beside the store that belong to a backup: the configuration, and what it names."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from zajil.config.options import Configuration
from zajil.core.errors import Unavailable
from zajil.core.value_class import value_class
from zajil.store.backup.create import FileContent
from zajil.store.backup.manifest import SavedFile
from zajil.store.backup.read import Snapshot
from zajil.store.engine.folder import new_private_file
from zajil.store.engine.node import NODE_FILE
from zajil.store.engine.spill import write_whole

_MOST_BYTES = 16 << 20
"""Of a file that is saved with the configuration."""


class FileFailed(Unavailable):
    """A file of a backup cannot be written."""


def read_files(
    configuration: Configuration, file: Path | None
) -> tuple[list[FileContent], list[str]]:
    """Read the configuration file, the files that it names, and the id of the node.

    The key of backups is left out: without it the backup cannot be read.

    Returns:
        The files, and sentences about those that cannot be read.
    """
    data_dir = configuration.server.data_dir
    paths: dict[Path, str] = {data_dir / NODE_FILE: NODE_FILE}
    named = [] if file is None else [file.resolve(), *_named_files(file.resolve())]
    for path in (*named, *_paths_in(configuration)):
        if path != configuration.backup.key_file and not path.is_relative_to(data_dir):
            paths.setdefault(path, str(path))
    found, unread = [], []
    for path, name in paths.items():
        try:
            facts = path.stat()
            if not stat.S_ISREG(facts.st_mode):
                continue
            if facts.st_size > _MOST_BYTES:
                unread.append(f"{path}: it is larger than {_MOST_BYTES >> 20} MiB")
                continue
            found.append(FileContent(name, stat.S_IMODE(facts.st_mode), path.read_bytes()))
        except FileNotFoundError:
            continue
        except OSError as error:
            unread.append(f"{path}: {error.strerror}")
    return found, unread


def _paths_in(options: BaseModel) -> Iterator[Path]:
    """Yield the values of options that are paths."""
    for name in type(options).model_fields:
        yield from _paths_of(getattr(options, name))


def _paths_of(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        yield from _paths_in(value)
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _paths_of(one)
    elif isinstance(value, dict):
        yield from _paths_of(list(value.values()))


def _named_files(file: Path) -> Iterator[Path]:
    """Yield the files of secrets, ``{ file = PATH }``, which the options no longer tell."""
    try:
        tree = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return
    waiting: list[Any] = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            if set(value) == {"file"} and isinstance(value["file"], str):
                yield file.parent / value["file"]
            waiting += value.values()


@value_class(frozen=True, slots=True)
class WrittenFile:
    """A file of a backup that was written, or not."""

    path: Path
    is_new: bool
    """Whether it was written: a file that exists is never replaced."""


def write_files(snapshot: Snapshot, folder: Path) -> list[WrittenFile]:
    """Write the configuration and the other files of a snapshot below a folder.

    Each gets its whole path there: ``/etc/zajil/zajil.toml`` is written to
    ``FOLDER/etc/zajil/zajil.toml``. With ``/`` each is where it was.

    Raises:
        FileFailed: a file cannot be written.
        DamagedBackup, TargetUnavailable: it cannot be read.
    """
    return [
        WrittenFile(path := _place_below(folder, file), _write_file(snapshot, file, path))
        for file in snapshot.manifest.files
        if file.path != NODE_FILE
    ]


def _place_below(folder: Path, file: SavedFile) -> Path:
    # Security: a backup that somebody else wrote must not lead out of the folder.
    parts = [part for part in Path(file.path).parts if part not in ("/", "..", ".")]
    return folder.joinpath(*parts)


def _write_file(snapshot: Snapshot, file: SavedFile, path: Path) -> bool:
    content = snapshot.read_file(file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        descriptor = new_private_file(path)
        try:
            write_whole(descriptor, content)
            os.fchmod(descriptor, file.mode & 0o777)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except FileExistsError:
        return False
    except OSError as error:
        raise FileFailed(f"cannot write {path}: {error.strerror}") from error
    return True
