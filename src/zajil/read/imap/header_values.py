"""What SEARCH, SORT and THREAD take from the summaries of all messages of a mailbox."""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from zajil.core.ids import MailboxId
from zajil.message.casemap import casemap
from zajil.message.date import parse_day
from zajil.read.imap.object_id import give_all_threads
from zajil.read.imap.search_context import SearchContext
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.header_columns import (
    ROWS,
    ColumnKind,
    HeaderColumn,
    Values,
    join_columns,
    pack_block,
    read_column,
    unpack_block,
)
from zajil.store.mail.kept_blocks import KeptBlock, find_blocks, is_complete, keep_blocks
from zajil.store.mail.value_cache import BLOCK_BITS, last_uid_of, numbers_of

NO_DAY = 0
"""There is no Date field, or none that can be read."""
UNKNOWN_DAY = -1
"""The message has to be read."""
NO_TIME = -(1 << 62)
"""The same as NO_DAY, of a moment."""

_BLOCKS = 64
"""Blocks that are read in one turn."""

_QUOTED_DATE = re.compile(rb'\("([^"\\]*)" ')


def _day(head: Any) -> int:
    """Return the day of the Date field from the beginning of an ENVELOPE, as days since year 1."""
    if head is None:
        return UNKNOWN_DAY
    data = bytes(head)
    if data.startswith(b"(NIL "):
        return NO_DAY
    found = _QUOTED_DATE.match(data)
    if found is None:
        return UNKNOWN_DAY
    day = parse_day(found[1])
    return NO_DAY if day is None else day.toordinal()


def _moment(date_ms: Any) -> int:
    return NO_TIME if date_ms is None else int(date_ms)


def _text(value: Any) -> str:
    return casemap(value or "")


def _people(kind: int, *, display: bool) -> Any:
    def read(people: Any) -> str:
        listed = json.loads(people)[kind] if people else ()
        if not listed:
            return ""
        name, address, _ = listed[0]
        if display:  # RFC 5957 section 3
            return casemap(name or address)
        return casemap(str(address).rpartition("@")[0] or address)

    return read


DAYS = ColumnKind("day", "substr(summary.envelope, 1, 300)", _day, "i")
"""SENTON and its like: the day as it is written."""
MOMENTS = ColumnKind("moment", "summary.date_ms", _moment, "q")
FILES = ColumnKind("files", "summary.has_attachments", bool, "b")
"""Whether the message has attachments, as lists of messages show it."""
SUBJECTS = ColumnKind("subject", "summary.base_subject", _text)
FROM = ColumnKind("from", "summary.people", _people(0, display=False))
TO = ColumnKind("to", "summary.people", _people(1, display=False))
CC = ColumnKind("cc", "summary.people", _people(2, display=False))
DISPLAY_FROM = ColumnKind("display-from", "summary.people", _people(0, display=True))
DISPLAY_TO = ColumnKind("display-to", "summary.people", _people(1, display=True))


async def header_values(
    context: SearchContext, mailbox_id: MailboxId, uids: array[int], kind: ColumnKind
) -> Values:
    """Return one value for each of these messages, all of a mailbox.

    Args:
        context: of the session.
        mailbox_id: the mailbox.
        uids: ascending; of all its messages.
        kind: what is asked for.

    Raises:
        StoreUnavailable: the database cannot be read now.
    """
    return (await _column(context, mailbox_id, uids, kind)).values


async def header_order(
    context: SearchContext, mailbox_id: MailboxId, uids: array[int], kind: ColumnKind
) -> Sequence[int]:
    """Return the places of these messages in the order of their values; equal ones ascend.

    Args:
        context: of the session.
        mailbox_id: the mailbox.
        uids: ascending; of all its messages.
        kind: by what.

    Raises:
        StoreUnavailable: the database cannot be read now.
    """
    column = await _column(context, mailbox_id, uids, kind)
    if column.order is not None:
        return column.order

    def sort() -> array[int]:
        order = array("I", sorted(range(len(uids)), key=column.values.__getitem__))
        context.store.header_columns.keep(mailbox_id, kind, replace(column, order=order))
        return order

    return await context.work(sort)


async def _column(
    context: SearchContext, mailbox_id: MailboxId, uids: array[int], kind: ColumnKind
) -> HeaderColumn:
    columns = context.store.header_columns
    known = columns.find(mailbox_id, kind)
    last = known.uids[-1] if known.uids else 0
    if not uids or last >= uids[-1]:
        return await context.work(lambda: columns.fit(mailbox_id, kind, known, uids))
    # A message without a summary gets one first: it would be kept as one without header.
    await give_all_threads(context, mailbox_id)
    numbers = numbers_of(uids[bisect_right(uids, last) :])
    # Where a part of a range is known, the rest of it is read.
    wanted = numbers[1:] if known.uids and numbers[0] == last >> BLOCK_BITS else numbers
    kept = await _find_kept(context, mailbox_id, kind, wanted)
    parts, made = [known], list[int]()
    for is_kept, run in groupby(numbers, key=kept.__contains__):
        some = list(run)
        if is_kept:
            parts += [kept[number] for number in some]
            continue
        after = max(last, (some[0] << BLOCK_BITS) - 1)
        parts += await _read(context, mailbox_id, kind, after, min(last_uid_of(some[-1]), uids[-1]))
        made += some

    def finish() -> tuple[HeaderColumn, list[KeptBlock]]:
        column = columns.fit(mailbox_id, kind, join_columns(kind, parts), uids)
        return column, _blocks(mailbox_id, kind, column, made)

    column, blocks = await context.work(finish)
    if blocks:
        context.store.write_later(keep_blocks, blocks)
    return column


async def _find_kept(
    context: SearchContext, mailbox_id: MailboxId, kind: ColumnKind, numbers: Sequence[int]
) -> dict[int, HeaderColumn]:
    """Return those of the blocks that are in the store."""
    found: dict[int, HeaderColumn] = {}
    for start in range(0, len(numbers), _BLOCKS):
        some = numbers[start : start + _BLOCKS]

        def read(conn: Snapshot) -> dict[int, HeaderColumn]:
            stored = find_blocks(conn, mailbox_id, _name_of(kind), some)  # noqa: B023
            return {number: unpack_block(kind, data) for number, data in stored.items()}

        found |= await context.read(read)
        await context.pause()
    return found


async def _read(
    context: SearchContext, mailbox_id: MailboxId, kind: ColumnKind, after: int, last: int
) -> list[HeaderColumn]:
    """Return what the rows say of the messages behind a UID, up to another one."""
    parts: list[HeaderColumn] = []
    while after < last:
        part = await context.read(
            lambda conn: read_column(conn, mailbox_id, kind, after, last)  # noqa: B023
        )
        parts.append(part)
        await context.pause()
        if len(part.uids) < ROWS:
            break
        after = part.uids[-1]
    return parts


def _blocks(
    mailbox_id: MailboxId, kind: ColumnKind, column: HeaderColumn, numbers: Sequence[int]
) -> list[KeptBlock]:
    """Return those of the blocks that can be kept: they are complete, and nothing is lacking."""
    lacking = {uid >> BLOCK_BITS for uid in column.lacking}
    blocks: list[KeptBlock] = []
    for number in numbers:
        uids, data = pack_block(column, number)
        if number not in lacking and is_complete(uids, number, column.uids):
            blocks.append(KeptBlock(mailbox_id, _name_of(kind), number, uids, data))
    return blocks


def _name_of(kind: ColumnKind) -> bytes:
    return b"COLUMN " + kind.name.encode("ascii")
