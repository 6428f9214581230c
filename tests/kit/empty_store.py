"""Empty stores for tests, copied from one that was made: to run all migrations takes 200 ms."""

from __future__ import annotations

import functools
import os
import re
import tempfile
from pathlib import Path

from kit.schemas import schemas
from zajil.config.options_server import StoreOptions
from zajil.store.engine.folder import DATABASE_NAME, make_folder
from zajil.store.engine.life import create_store
from zajil.store.engine.node import NODE_FILE, load_node_id

_SCHEMA = re.compile(r"%3D(test_[0-9a-f]+)$")


def copy_empty_store(url: str, data_dir: Path) -> bool:
    """Make an empty store, where there is none; return whether it was made.

    Args:
        url: ``store.url``; of PostgreSQL one of ``PostgresServer.new_url``.
        data_dir: of its files.
    """
    if url == "sqlite" and not (data_dir / DATABASE_NAME).exists():
        make_folder(data_dir)
        for name, content in _files().items():
            (data_dir / name).write_bytes(content)
            (data_dir / name).chmod(0o600)
        return True
    if schema := _SCHEMA.search(url):
        make_folder(data_dir)
        return schemas(url[: schema.start(1)]).make(schema[1])
    return False


def enter_node(url: str, data_dir: Path) -> None:
    """Make the node of a new store active, as its server does before its workers start."""
    if schema := _SCHEMA.search(url):
        node_id = load_node_id(data_dir, os.urandom)
        schemas(url[: schema.start(1)]).enter(schema[1], node_id)


def give_back(url: str) -> None:
    """Say that the test has ended that had a schema of PostgreSQL."""
    if schema := _SCHEMA.search(url):
        schemas(url[: schema.start(1)]).give_back(schema[1])


@functools.cache
def _files() -> dict[str, bytes]:
    """Return the files of a store of SQLite, by name."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        create_store(StoreOptions(url="sqlite"), data_dir)
        found = [one for one in data_dir.iterdir() if one.is_file() and one.suffix != ".lock"]
        return {path.name: path.read_bytes() for path in found if path.name != NODE_FILE}
