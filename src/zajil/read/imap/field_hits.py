"""SEARCH HEADER of many messages: all their fields of one name, looked through at once."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import cast

from zajil.core.ids import Uid
from zajil.imap.search_key import HeaderHas
from zajil.read.imap.kept_values import keep_values, load_blocks
from zajil.read.imap.matcher import Matcher, SearchedMailbox
from zajil.read.imap.search_context import SearchContext
from zajil.read.imap.search_text import field_text
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.message_rows import FILES, HeadRow, RowItem, read_rows, values_of_heads
from zajil.store.mail.text_lookup import TextHits
from zajil.store.mail.value_cache import Value, ValueBlock, blocks_of

MOST_KEYS = 10
"""Of one search, whose fields are kept; messages are read for the others."""
_FEWEST = 500
"""Messages that are left to read: for fewer it is not worth it."""
_READ = 1 << 20
"""Bytes of headers that are read in one turn."""


def is_kept(context: SearchContext, scope: SearchedMailbox, key: HeaderHas) -> bool:
    """Return whether the fields of about all messages are kept: nothing else is as quick."""
    cache, kind = context.store.header_cache, _kind_of(key)
    ends = [uid for uid in (scope.uids[:1], scope.uids[-1:]) if uid]
    blocks = [
        cache.find(scope.mailbox_id, kind, number) for some in ends for number, _ in blocks_of(some)
    ]
    return len(scope.uids) >= _FEWEST and None not in blocks


async def decide_fields(
    context: SearchContext, scope: SearchedMailbox, matcher: Matcher, unsure: array[int]
) -> bool:
    """Find out for which messages the HEADER keys hold; return whether anything was.

    Args:
        context: of the session.
        scope: what is searched.
        matcher: its hits become more exact.
        unsure: messages that would have to be read, ascending.
    """
    keys = [key for key in matcher.texts if isinstance(key, HeaderHas)]
    keys = [key for key in keys if id(key) not in matcher.fuzzy][:MOST_KEYS]
    if not keys or len(unsure) < _FEWEST:
        return False
    for key in keys:
        hits = matcher.hits.get(id(key)) or TextHits(scope.uids, array("I"))
        decided, holding = set[int](), set[int]()
        for number, uids in blocks_of(unsure):
            block = await _find_block(context, scope, _kind_of(key), number, uids)
            if block is None:
                continue
            term = matcher.term_of(key).encode("utf-8", "surrogatepass")
            held = await context.work(lambda: _held(block, term))  # noqa: B023
            decided |= set(block.uids) - block.unknown
            holding |= held
        exact = await context.work(lambda: _more_exact(hits, decided, holding))  # noqa: B023
        matcher.hits[id(key)] = exact
        await context.pause()
    return True


def _kind_of(key: HeaderHas) -> bytes:
    return b"SEARCH " + key.name


async def _find_block(
    context: SearchContext, scope: SearchedMailbox, kind: bytes, number: int, uids: array[int]
) -> ValueBlock | None:
    """Return a block with these messages of it; it is made, if it has not all of them."""
    cache, mailbox_id = context.store.header_cache, scope.mailbox_id
    await load_blocks(context, mailbox_id, kind, uids)
    block = cache.find(mailbox_id, kind, number)
    known = set() if block is None else set(block.uids)
    missing = [uid for uid in uids if uid not in known]
    if block is not None and not missing:
        return block
    await _make_block(context, scope, kind, missing)
    return cache.find(mailbox_id, kind, number)


async def _make_block(
    context: SearchContext, scope: SearchedMailbox, kind: bytes, missing: Sequence[int]
) -> None:
    blobs, mailbox_id, name = context.store.blobs, scope.mailbox_id, kind.partition(b" ")[2]
    values: dict[int, Value] = {}

    def make(begin: bytes, is_whole: bool) -> bytes | None:
        return field_text(name, begin, is_whole=is_whole)

    while missing:
        wanted = cast("Sequence[Uid]", missing[:FILES])

        def read(conn: Snapshot) -> int:
            items = (RowItem.PREFIX, RowItem.HEAD)
            found = read_rows(conn, mailbox_id, wanted, items, _READ)  # noqa: B023
            rows = [HeadRow(*row) for row in found.rows]
            made = values_of_heads(conn, blobs, mailbox_id, rows, make)
            values.update(zip([row.uid for row in rows], made, strict=True))
            return found.looked_at

        missing = missing[await context.read(read) :]
        await context.pause()
    await keep_values(context, mailbox_id, {kind: values}, scope.uids)


def _more_exact(hits: TextHits, decided: set[int], holding: set[int]) -> TextHits:
    possible = set(hits.possible) - (decided - holding)
    sure = set(hits.sure) | (holding & possible)
    return TextHits(array("I", sorted(possible)), array("I", sorted(sure)))


def _held(block: ValueBlock, term: bytes) -> set[int]:
    """Return the messages of a block that have the term in a field."""
    data, found, at = block.data(), set[int](), 0
    if not term:  # any such field (RFC 3501 section 6.4.4)
        begins = (0, *block.ends)
        pairs = zip(block.uids, begins, block.ends, strict=False)
        return {uid for uid, begin, end in pairs if end > begin} - block.unknown
    while (at := data.find(term, at)) >= 0:
        place = bisect_right(block.ends, at)
        found.add(block.uids[place])
        at = block.ends[place]
    return found
