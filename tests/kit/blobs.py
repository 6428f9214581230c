"""Bytes of messages in tests: their rows written and released alone, and keys for them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.engine import Connection

from zajil.core.ids import BlobId
from zajil.store.engine.open import Store
from zajil.store.mail.blob_rows import release_blobs, write_blobs
from zajil.store.mail.blobs import StagedBlob

KEY, OTHER = bytes(range(32)), bytes(32)


def key_file(path: Path, *keys: bytes) -> Path:
    """Write a file of keys, as ``store.key_file`` names it."""
    lines = ["# keys of mail", *(base64.b64encode(key).decode() for key in keys), ""]
    path.write_text("\n".join(lines))
    return path


def write(tx: Connection, items: Sequence[StagedBlob]) -> list[None]:
    """Make the rows of staged blobs. Unit of work."""
    write_blobs(tx, items)
    return [None] * len(items)


def release(tx: Connection, items: Sequence[BlobId]) -> list[None]:
    """Delete blobs that nothing refers to. Unit of work."""
    release_blobs(tx, items)
    return [None] * len(items)


def read(store: Store, blob_id: BlobId) -> bytes:
    """Return all bytes of a blob."""
    return store.read_now(lambda conn: store.blobs.read(conn, blob_id))
