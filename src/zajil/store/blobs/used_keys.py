"""Which keys messages were encrypted with: a store does not start without one of them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.blobs.keys import BadStoreKey
from zajil.store.engine.batch import time_of
from zajil.store.engine.dialect import database_ms
from zajil.store.engine.nodes import ALIVE, NodeRow, list_nodes
from zajil.store.engine.open import Store
from zajil.store.schema import blob, blob_key


def load_used_keys(conn: Connection) -> list[str]:
    """Return the ids of the keys that messages may be encrypted with."""
    return list(conn.scalars(sa.select(blob_key.c.id).order_by(blob_key.c.id)))


def record_key(tx: Connection, ids: Sequence[str]) -> list[None]:
    """Remember that messages are encrypted with a key. Unit of work: idempotent."""
    # By the clock of the database, as the starts of nodes.
    now_ms = tx.scalar(sa.select(database_ms(tx))) or time_of(tx)
    for one in dict.fromkeys(ids):
        # Another node may start with the same key at the same moment.
        tx.execute(_INSERT, {"id_": one, "since_ms_": now_ms})
    return [None] * len(ids)


_INSERT = sa.text(
    "INSERT INTO blob_key (id, since_ms) VALUES (:id_, :since_ms_) ON CONFLICT (id) DO NOTHING"
)


def forget_keys(tx: Connection, items: Sequence[Sequence[str]]) -> list[None]:
    """Forget those of the keys that no message is encrypted with. Unit of work: idempotent."""
    for one in [one for item in items for one in item]:
        used = sa.select(blob.c.id).where(blob.c.location.endswith(f".{one}")).limit(1)
        if tx.scalar(used) is None:
            tx.execute(sa.delete(blob_key).where(blob_key.c.id == one))
    return [None] * len(items)


def nodes_before(conn: Connection, key: str | None) -> list[NodeRow]:
    """Return the nodes that run since before a key was used, and still encrypt with an older one.

    ``None``: the new messages of this node are not encrypted; all nodes that run.
    """
    since_ms = conn.scalar(sa.select(blob_key.c.since_ms).where(blob_key.c.id == key))
    alive = [row for row in list_nodes(conn) if row.state in ALIVE]
    return [row for row in alive if since_ms is None or row.started_ms < since_ms]


def missing_keys(store: Store) -> list[str]:
    """Return the ids of keys that messages are encrypted with and that the key file has not."""
    there = frozenset() if store.blobs.keys is None else store.blobs.keys.ids
    return [one for one in store.read_now(load_used_keys) if one not in there]


def require_keys(store: Store) -> None:
    """See that all keys are there that messages are encrypted with; remember the one of now.

    Raises:
        BadStoreKey: one is missing.
        StoreUnavailable: the database cannot be read or written.
    """
    missing = missing_keys(store)
    if missing:
        raise BadStoreKey(
            f"messages are encrypted with key {', '.join(missing)}, which is not in store.key_file:"
            " put the copy of this key there, in a line of its own"
        )
    note_key(store)


def note_key(store: Store) -> None:
    """Remember the key that new messages are encrypted with, if there is one.

    Each worker does so: one that takes the place of another reads the key file as it is now.

    Raises:
        StoreUnavailable: the database cannot be read or written.
    """
    keys = store.blobs.keys
    if keys is not None and keys.current not in store.read_now(load_used_keys):
        store.write_now(record_key, keys.current)
