"""A store as a backup had it, copied while a test runs: the source of a restore."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.store import open_test_store
from zajil.core.ids import AccountId, BlobId
from zajil.store.engine.open import Store
from zajil.store.restore.source import AccountSource, LostBytes
from zajil.store.schema import blob, metadata


@contextmanager
def copied_source(store: Store, folder: Path, account_id: AccountId) -> Iterator[AccountSource]:
    """Copy all rows and bytes of a store into a database of their own.

    Args:
        store: may be on either database.
        folder: a new one.
        account_id: of the account that will be restored.
    """
    copy = open_test_store("sqlite", folder, worker=None)
    try:
        with copy._dialect.writer.connect() as conn:
            yield AccountSource(conn, account_id, _copy(store, conn))
    finally:
        copy.close_now()


def _copy(store: Store, conn: Connection) -> Callable[[BlobId], Iterator[bytes]]:
    contents: dict[str, bytes] = {}

    def copy(found: Connection) -> None:
        for table in metadata.sorted_tables:
            rows = [dict(row._mapping) for row in found.execute(sa.select(table))]
            conn.execute(sa.delete(table))
            if table is blob:
                contents.update((row["id"], store.blobs.read(found, row["id"])) for row in rows)
            elif rows:
                conn.execute(sa.insert(table), rows)

    store.read_now(copy)
    conn.commit()

    def read(blob_id: BlobId) -> Iterator[bytes]:
        if blob_id not in contents:
            raise LostBytes(blob_id)
        content = contents[blob_id]
        return iter([content[:10], content[10:]])

    return read
