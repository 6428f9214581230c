"""The id of a node: one server among those that share a database.

It is made once and kept in the data folder. Leases name it, so that a node frees its own leases
after a crash and never those of another, whatever their host names are.

Laws:
- Two running nodes of one database never have the same id. A data folder that was copied to a
  second machine brings its id along: ``own_node_id`` notices that a server with this id is
  connected to the database and beats (``store.engine.nodes``), and makes a new one. With SQLite the
  database is in the data folder, which one server uses at a time (``store.engine.folder``).
- A new id costs nothing but time: leases under the old one end by themselves.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from pathlib import Path

from zajil.core.clock import Random
from zajil.core.ids import NodeId
from zajil.store.engine.dialect import Dialect
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.folder import new_private_file
from zajil.store.engine.migrate import known_schemas
from zajil.store.engine.nodes import SILENCE_SECONDS, NodeFacts, find_node

NODE_FILE = "node.id"
"""Name of the file in the data folder."""

_ID = re.compile(r"[0-9a-f]{16}\n?")
_CHECK_AGAIN_SECONDS = 0.05
_PATIENCE_SECONDS = 2.0
"""How long the database may take to notice that the processes of the last server have ended."""


def load_node_id(data_dir: Path, random: Random) -> NodeId:
    """Read the id of this node; make one where there is none, or where the file is damaged.

    Raises:
        StoreUnavailable: the file cannot be read or written.
    """
    path = data_dir / NODE_FILE
    try:
        found = _read(path)
        if found is None:
            _write(path, random, replace=path.exists())
            found = _read(path)
    except OSError as error:
        raise StoreUnavailable(f"cannot use {path}: {error.strerror}") from error
    if found is None:
        raise StoreUnavailable(f"{path} contains no node id: remove the file to create a new id")
    return found


def own_node_id(
    dialect: Dialect,
    data_dir: Path,
    random: Random,
    patience_seconds: float = _PATIENCE_SECONDS,
    silence_seconds: float = SILENCE_SECONDS,
) -> tuple[NodeId, bool]:
    """Return the id of this node before its workers start, and whether it had to be replaced.

    The caller holds the lock of the data folder, so that no server of this folder is running.

    Raises:
        StoreUnavailable: the file cannot be read or written.
    """
    found = load_node_id(data_dir, random)
    end = time.monotonic() + patience_seconds
    while dialect.is_node_connected(found):
        if time.monotonic() >= end:
            if not _is_beating(dialect, found, silence_seconds):
                break  # the machine lost its power, and the database has not noticed it yet
            path = data_dir / NODE_FILE
            try:
                _write(path, random, replace=True)
            except OSError as error:
                raise StoreUnavailable(f"cannot write {path}: {error.strerror}") from error
            return load_node_id(data_dir, random), True
        time.sleep(_CHECK_AGAIN_SECONDS)
    return found, False


def own_facts() -> NodeFacts:
    """Return what this program says of itself on this machine."""
    from importlib.metadata import version

    return NodeFacts(socket.gethostname(), version("zajil"), known_schemas()[-1])


def _is_beating(dialect: Dialect, node: NodeId, seconds: float) -> bool:
    """Wait for a sign of life of a node; one without a row counts as alive."""
    first: int | None = None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with dialect.reader.connect() as conn:
            row = find_node(conn, node)
        if row is None or first not in (None, row.beat):
            return True
        first = row.beat
        time.sleep(_CHECK_AGAIN_SECONDS)
    return False


def _read(path: Path) -> NodeId | None:
    try:
        text = path.read_bytes().decode("ascii", "replace")
    except FileNotFoundError:
        return None
    return NodeId(text.strip()) if _ID.fullmatch(text) else None


def _write(path: Path, random: Random, *, replace: bool) -> None:
    """Write a new id; unless it replaces one, an id that another process just made is kept."""
    draft = path.with_name(f"{path.name}.{random(4).hex()}")
    descriptor = new_private_file(draft)
    try:
        os.write(descriptor, f"{random(8).hex()}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if replace:
        draft.replace(path)
        return
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
