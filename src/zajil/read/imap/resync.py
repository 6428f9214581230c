"""What happened while a client was away: VANISHED (EARLIER), CHANGEDSINCE. (RFC 7162 section 3.2)

Nothing here changes what the client counts: what it is told of is not in the selected mailbox.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from typing import cast

from zajil.core.ids import Uid
from zajil.imap.command import Fetch, KnownState
from zajil.imap.fetch_item import Attribute
from zajil.imap.response import untagged
from zajil.imap.sequence_set import STAR, SequenceSet, format_spans
from zajil.read.imap.context import Context
from zajil.store.mail.message_table import MessageTable
from zajil.store.mail.vanished import Cursor, expunged_after

ALL = SequenceSet(((1, STAR),))
_AT_ONCE = 10_000
"""Messages that are looked at in one turn of a reader thread."""
_RANGES = 2000
"""Of one VANISHED response: a line that clients take."""


async def changed_among(context: Context, uids: Sequence[Uid], modseq: int) -> Sequence[Uid]:
    """Return those of the messages that changed after a MODSEQ."""
    table = await context.table()
    found = array("I")
    for start in range(0, len(uids), _AT_ONCE):
        some = uids[start : start + _AT_ONCE]
        found.extend(await context.work(partial(_changed, table, some, modseq)))
        await context.connection.flush()
    return cast("Sequence[Uid]", found)


async def tell_vanished(context: Context, known: SequenceSet, modseq: int, above: int = 0) -> None:
    """Send VANISHED (EARLIER) for what was expunged after a MODSEQ.

    Args:
        context: a session with a selected mailbox.
        known: UIDs that the client may know.
        modseq: as far as it was told.
        above: it knows what was expunged up to this UID.
    """
    view = context.selected
    gone = await _expunged_after(context, modseq)
    last = view.uid_next - 1
    find = partial(_find_vanished, view.uids, known, gone, above, last)
    spans = await context.work(find)
    for start in range(0, len(spans), _RANGES):
        numbers = format_spans(spans[start : start + _RANGES])
        context.engine.untagged(untagged(b"VANISHED (EARLIER)", numbers))
        await context.connection.flush()


async def prepare(context: Context, known: KnownState) -> Fetch:
    """Tell the client that selected what vanished, and return the FETCH that tells the rest."""
    view = context.selected
    # Who knows more than there is has seen what a restored backup has not: all is told.
    modseq = known.modseq if known.modseq <= view.modseq else 0
    above = 0
    if known.sample is not None:
        above = await context.work(partial(_matching_uid, view.uids, *known.sample))
    await tell_vanished(context, known.uids or ALL, modseq, above)
    items = (Attribute.UID, Attribute.FLAGS, Attribute.MODSEQ)
    return Fetch(numbers=known.uids or ALL, items=items, uid=True, changed_since=modseq)


# ---- inside -------------------------------------------------------------------------------------


def _changed(table: MessageTable, uids: Sequence[Uid], modseq: int) -> list[int]:
    places = table.places_of(uids)
    if isinstance(places, range):
        rows = slice(places.start, places.stop)
        pairs = zip(table.uids[rows], table.modseqs[rows], strict=True)
        return [uid for uid, one in pairs if one > modseq]
    return [table.uids[place] for place in places if table.modseqs[place] > modseq]


async def _expunged_after(context: Context, modseq: int) -> Sequence[int] | None:
    """Return the UIDs that were expunged after a MODSEQ; ``None``: that is forgotten."""
    box = context.selected.mailbox.mailbox_id
    next_: Cursor | None = Cursor(modseq)
    gone = array("I")
    while next_ is not None:
        portion = await context.read(
            partial(expunged_after, mailbox_id=box, modseq=modseq, cursor=next_)
        )
        if portion is None:
            return None
        some, next_ = portion
        gone.extend(some)
        await context.connection.flush()
    return gone


def _find_vanished(
    uids: Sequence[int], known: SequenceSet, gone: Sequence[int] | None, above: int, last: int
) -> list[tuple[int, int]]:
    """Return ranges of known UIDs that vanished, ascending; runs in a reader thread.

    Args:
        uids: of the messages that are there, as the client counts them.
        known: UIDs; ``*`` is ``last``.
        gone: UIDs of all expunged messages that count; ``None``: whatever is not in ``uids``.
        above: no UID up to this one.
        last: nor one behind this: the client was not told of any.
    """
    spans = [
        (max(first, above + 1), min(end, last))
        for first, end in known.spans(last)
        if end > above and first <= last
    ]
    if gone is None:
        return _gaps(uids, spans)
    found: list[tuple[int, int]] = []
    ordered = sorted(set(gone).difference(uids))
    for first, end in spans:
        for uid in ordered[bisect_left(ordered, first) : bisect_right(ordered, end)]:
            if found and found[-1][1] == uid - 1:
                found[-1] = (found[-1][0], uid)
            else:
                found.append((uid, uid))
    return found


def _gaps(uids: Sequence[int], spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    found = []
    for first, end in spans:
        next_ = first
        for uid in uids[bisect_left(uids, first) : bisect_right(uids, end)]:
            if next_ < uid:
                found.append((next_, uid - 1))
            next_ = uid + 1
        if next_ <= end:
            found.append((next_, end))
    return found


def _matching_uid(uids: Sequence[int], numbers: SequenceSet, known: SequenceSet) -> int:
    """Return the last UID up to which the client counts what we count. (Section 3.2.5.2)

    If the nth message has the same UID on both sides, as many are in front of it on both: the
    client has heard of every expunge there. Runs in a reader thread.
    """
    found = 0
    pairs = zip(_each(numbers), _each(known), strict=False)
    for number, uid in pairs:
        if number > len(uids) or uids[number - 1] != uid:
            break
        found = uid
    return found


def _each(numbers: SequenceSet) -> Iterator[int]:
    for first, last in numbers.ranges:
        yield from range(first, last + 1)
