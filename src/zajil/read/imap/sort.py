"""SORT: search, and order what was found. (RFC 5256, RFC 5267 section 3, RFC 5957)"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import cast

from zajil.core.ids import MailboxId
from zajil.imap.response import Completion
from zajil.imap.search_command import Criterion, Result, Sort, SortKey
from zajil.imap.search_key import has_mod_seq
from zajil.read.imap.condstore import enable_condstore
from zajil.read.imap.context import Context
from zajil.read.imap.header_values import (
    CC,
    DISPLAY_FROM,
    DISPLAY_TO,
    FROM,
    MOMENTS,
    NO_TIME,
    SUBJECTS,
    TO,
    header_order,
    header_values,
)
from zajil.read.imap.search import find, refuse_charset, scope_of
from zajil.read.imap.search_answer import FoundMessages, SearchAnswer, write_answer, write_numbers
from zajil.read.imap.text_hits import find_scores
from zajil.store.engine.errors import StoreError
from zajil.store.mail.header_columns import Values
from zajil.store.mail.message_table import MessageTable

_FEW = 100
"""So many messages are sorted by themselves; for more, the order of all is kept."""
_PART = 4
"""Or where they are less than this part of all."""
_COLUMNS = {
    SortKey.CC: CC,
    SortKey.FROM: FROM,
    SortKey.TO: TO,
    SortKey.SUBJECT: SUBJECTS,
    SortKey.DISPLAY_FROM: DISPLAY_FROM,
    SortKey.DISPLAY_TO: DISPLAY_TO,
}


async def sort(context: Context, command: Sort) -> Completion:
    """Send what is asked of the messages for which the key holds, in their order."""
    view = context.selected
    saves = command.returns is not None and Result.SAVE in command.returns.results
    refusal = refuse_charset(context, command.charset, is_required=True)
    if refusal is not None:
        if saves:
            view.saved = array("I")
        return refusal
    modseq = has_mod_seq(command.key)
    if modseq:
        enable_condstore(context)
    try:
        await _answer(context, command, saves=saves, modseq=modseq)
    except StoreError:
        if saves:  # RFC 5182 section 2.1: with NO nothing is saved
            view.saved = array("I")
        raise
    return Completion("OK", "messages are sorted")


async def _answer(context: Context, command: Sort, *, saves: bool, modseq: bool) -> None:
    view, returns = context.selected, command.returns
    scope = scope_of(view)
    found = await find(context, scope, command.key)
    scores: Mapping[int, int] | None = None
    if any(one.key is SortKey.RELEVANCY for one in command.criteria) or (
        returns is not None and Result.RELEVANCY in returns.results
    ):
        scores = await find_scores(context, scope, found, command.key)
    uids = await _sort(context, view.mailbox.mailbox_id, found, command.criteria, scores or {})
    if returns is None:
        await write_numbers(context, b"SORT", found, uids, uid=command.uid, modseq=modseq)
        return
    if Result.RELEVANCY not in returns.results:
        scores = None
    answer = SearchAnswer(uids=uids, returns=returns, uid=command.uid, modseq=modseq, scores=scores)
    await write_answer(context, answer, found.table)
    if saves:
        view.saved = await context.work(answer.saved)


async def sent_times(context: Context, mailbox_id: MailboxId, table: MessageTable) -> Sequence[int]:
    """Return when each message of a table was sent, in ms since 1970.

    Without a Date field that can be read it is INTERNALDATE. (RFC 5256 section 2.2)
    """
    moments = await header_values(context, mailbox_id, table.uids, MOMENTS)

    def choose() -> Sequence[int]:
        if NO_TIME not in moments:
            return cast("Sequence[int]", moments)
        pairs = zip(moments, _arrivals(table), strict=True)
        return array("q", [arrived if sent == NO_TIME else sent for sent, arrived in pairs])

    return await context.work(choose)


def _arrivals(table: MessageTable) -> Sequence[int]:
    """Return INTERNALDATE of each message as clients see it: whole seconds, in ms since 1970.

    Of those that came in one second, REVERSE keeps the order. (RFC 5256 section 3)
    """
    return array("q", [at_ms - at_ms % 1000 for at_ms in table.received_at_ms])


async def _sort(
    context: Context,
    mailbox_id: MailboxId,
    found: FoundMessages,
    criteria: Sequence[Criterion],
    scores: Mapping[int, int],
) -> Sequence[int]:
    """Return the UIDs of what was found, in the order of the criteria."""
    if len(found.uids) < 2:
        return found.uids
    table = found.table
    places = await context.work(lambda: list(table.places_of(found.uids)))
    # From the last criterion to the first: each sort keeps the order of what is equal to it, so in
    # the end sequence numbers decide (RFC 5256 section 3).
    is_most = len(places) > max(_FEW, len(table) // _PART)
    for number, one in enumerate(reversed(criteria)):
        if number == 0 and one.key in _COLUMNS and not one.reverse and is_most:
            kind = _COLUMNS[one.key]
            order = await header_order(context, mailbox_id, table.uids, kind)
            places = await context.work(lambda: _in_order(order, places))  # noqa: B023
            await context.connection.flush()
            continue
        if one.key is SortKey.RELEVANCY:  # the highest score comes first
            values: Values = array("i", [-scores.get(uid, 0) for uid in table.uids])
        else:
            values = await _values(context, mailbox_id, table, one.key)
        await context.work(
            lambda: places.sort(key=values.__getitem__, reverse=one.reverse)  # noqa: B023
        )
        await context.connection.flush()
    return array("I", [table.uids[place] for place in places])


def _in_order(order: Sequence[int], places: Sequence[int]) -> list[int]:
    """Return the places, ascending, in the order of all places of the table."""
    if len(order) == len(places):
        return list(order)
    marks = bytearray(len(order))
    for place in places:
        marks[place] = 1
    return [place for place in order if marks[place]]


async def _values(
    context: Context, mailbox_id: MailboxId, table: MessageTable, key: SortKey
) -> Values:
    """Return what messages of a table are compared by."""
    match key:
        case SortKey.ARRIVAL:
            return await context.work(lambda: _arrivals(table))
        case SortKey.SIZE:
            return table.sizes
        case SortKey.DATE:
            return await sent_times(context, mailbox_id, table)
    return await header_values(context, mailbox_id, table.uids, _COLUMNS[key])
