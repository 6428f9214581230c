"""Keeps the index of words in few segments, beside the server's work (``store.mail.text_merge``).

The indexer calls it for the accounts that it wrote words for, and once a day for all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from zajil.core.ids import AccountId
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.text_merge import (
    LoadedSegment,
    Replacement,
    find_mergeable,
    find_stale,
    load_mergeable,
    load_segments,
    merge_segments,
    replace_segments,
)

Find = Callable[[Snapshot, AccountId], list[int]]


async def merge_account(store: Store, account_id: AccountId) -> None:
    """Merge segments of an account as long as there are too many.

    Raises:
        StoreUnavailable: it is tried again when the next message is indexed.
    """
    is_more = True
    while is_more:
        loaded, is_more = await store.read(lambda conn: load_mergeable(conn, account_id))
        if not loaded or not await _merge(store, account_id, loaded):
            return


async def clean_account(store: Store, account_id: AccountId) -> None:
    """Write the segments of an account anew in which many blobs are gone, then merge.

    Raises:
        StoreUnavailable: the rest is left for the next time.
    """
    for one in await store.read(lambda conn: find_stale(conn, account_id)):
        loaded = await store.read(lambda conn: load_segments(conn, [one]))  # noqa: B023
        await _merge(store, account_id, loaded)
    await merge_account(store, account_id)


def merge_account_now(store: Store, account_id: AccountId) -> None:
    """Merge in this thread: for the command line.

    Raises:
        StoreUnavailable: it is tried again when the next message is indexed.
    """
    while ids := store.read_now(lambda conn: find_mergeable(conn, account_id)):
        loaded = store.read_now(lambda conn: load_segments(conn, ids))
        blocks = list(merge_segments(loaded))
        if not store.write_now(replace_segments, Replacement(account_id, loaded, blocks)):
            return


async def _merge(store: Store, account_id: AccountId, loaded: Sequence[LoadedSegment]) -> bool:
    """Return whether it was done: somebody else may have merged them meanwhile."""
    merged = merge_segments(loaded)
    blocks = []
    while True:
        began = time.monotonic()
        block = await asyncio.to_thread(next, merged, None)
        if block is None:
            break
        blocks.append(block)
        # Half of the time belongs to the others of this process.
        await asyncio.sleep(time.monotonic() - began)
    return await store.write(replace_segments, Replacement(account_id, loaded, blocks))
