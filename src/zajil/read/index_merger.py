"""Keeps the index of words in few segments, beside the server's work (``store.mail.text_merge``).

The indexer calls it for the accounts that it wrote words for, and once a day for all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from zajil.core.ids import AccountId
from zajil.message.word_blocks import Block
from zajil.store.engine.open import Store
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


async def merge_accounts(store: Store, account_ids: Sequence[AccountId]) -> None:
    """Merge segments of accounts as long as there are too many, those of some at the same time.

    Raises:
        StoreUnavailable: it is tried again when the next message is indexed.
    """
    for start in range(0, len(account_ids), _AT_ONCE):
        some = account_ids[start : start + _AT_ONCE]
        while some:
            found = await store.read(lambda conn: load_mergeable(conn, some))  # noqa: B023
            new = [await _merged(one.account_id, one.segments) for one in found]
            done = await asyncio.gather(*[store.write(replace_segments, one) for one in new])
            some = [
                one.account_id
                for one, is_done in zip(found, done, strict=True)
                if is_done and one.is_more
            ]


async def clean_account(store: Store, account_id: AccountId) -> None:
    """Write the segments of an account anew in which many blobs are gone, then merge.

    Raises:
        StoreUnavailable: the rest is left for the next time.
    """
    for one in await store.read(lambda conn: find_stale(conn, account_id)):
        loaded = await store.read(lambda conn: load_segments(conn, [one]))  # noqa: B023
        # Somebody else may have merged it meanwhile.
        await store.write(replace_segments, await _merged(account_id, loaded))
    await merge_accounts(store, [account_id])


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


async def _merged(account_id: AccountId, loaded: Sequence[LoadedSegment]) -> Replacement:
    merged = merge_segments(loaded)
    blocks: list[Block] = []
    while True:
        began = time.monotonic()
        block = await asyncio.to_thread(next, merged, None)
        if block is None:
            return Replacement(account_id, loaded, blocks)
        blocks.append(block)
        # Half of the time belongs to the others of this process.
        await asyncio.sleep(time.monotonic() - began)


_AT_ONCE = 4
"""Accounts whose segments are merged at the same time: those of one may take 4 MB of memory."""
