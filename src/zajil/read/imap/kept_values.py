"""Values made of the headers of many messages: in memory, and behind it in the store.

``store.mail.value_cache`` is the memory of a worker, ``store.mail.kept_blocks`` what all of them
have after a restart.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from zajil.core.ids import MailboxId
from zajil.read.imap.search_context import SearchContext
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.kept_blocks import KeptBlock, find_blocks, is_complete, keep_blocks
from zajil.store.mail.value_cache import Value, ValueBlock, numbers_of

_BLOCKS = 16
"""Blocks that are read in one turn."""


async def find_kept_values(
    context: SearchContext, mailbox_id: MailboxId, kinds: Iterable[bytes], uids: Sequence[int]
) -> dict[bytes, list[Value]] | None:
    """Return the values of messages, ascending, for each kind; ``None``: not all are kept.

    Raises:
        StoreUnavailable: the database cannot be read now.
    """
    wanted = list(kinds)
    found = await context.work(lambda: _find(context, mailbox_id, wanted, uids))
    if found is None:
        loaded = [await load_blocks(context, mailbox_id, kind, uids) for kind in wanted]
        if any(loaded):
            found = await context.work(lambda: _find(context, mailbox_id, wanted, uids))
    return found


def _find(
    context: SearchContext, mailbox_id: MailboxId, kinds: Sequence[bytes], uids: Sequence[int]
) -> dict[bytes, list[Value]] | None:
    cache, found = context.store.header_cache, dict[bytes, list[Value]]()
    for kind in kinds:
        values = cache.find_values(mailbox_id, kind, uids)
        if values is None:
            return None
        found[kind] = values
    return found


async def load_blocks(
    context: SearchContext, mailbox_id: MailboxId, kind: bytes, uids: Sequence[int]
) -> bool:
    """Take blocks of these messages that are not in memory from the store; return whether any was.

    Raises:
        StoreUnavailable: the database cannot be read now.
    """
    cache, found = context.store.header_cache, False
    missing = cache.missing(mailbox_id, kind, uids)
    for start in range(0, len(missing), _BLOCKS):
        some = missing[start : start + _BLOCKS]

        def load(conn: Snapshot) -> bool:
            stored = find_blocks(conn, mailbox_id, kind, some)  # noqa: B023
            for number, data in stored.items():
                cache.put(mailbox_id, kind, number, ValueBlock.unpack(data))
            return bool(stored)

        found |= await context.read(load)
        await context.pause()
    return found


async def keep_values(
    context: SearchContext,
    mailbox_id: MailboxId,
    values: dict[bytes, dict[int, Value]],
    of_mailbox: array[int],
) -> None:
    """Keep values that were made, in memory and, where a block is complete, in the store.

    Args:
        context: of the session.
        mailbox_id: the mailbox.
        values: for each kind, by UID; what is final.
        of_mailbox: UIDs of all messages, ascending.
    """
    cache = context.store.header_cache

    def keep() -> list[KeptBlock]:
        complete: list[KeptBlock] = []
        for kind, by_uid in values.items():
            cache.keep(mailbox_id, kind, by_uid)
            for number in numbers_of(sorted(by_uid)):
                block = cache.find(mailbox_id, kind, number)
                if block is not None and is_complete(block.uids, number, of_mailbox):
                    data = block.pack()
                    complete.append(KeptBlock(mailbox_id, kind, number, block.uids, data))
        return complete

    blocks = await context.work(keep)
    if blocks:
        context.store.write_later(keep_blocks, blocks)
