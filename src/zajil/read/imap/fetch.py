"""FETCH. (RFC 3501 section 6.4.5)

Laws:
- A message's bytes are sent as they are stored; a long answer in pieces, never as one string.
- A message whose summary has all that is asked for is not read.
- No more than one turn's bytes are read ahead while the client does not take what was sent.
- No snapshot of the database stays open while a client takes its time.
- Where a turn ends, others of the process have theirs: none is longer than some milliseconds.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import groupby
from typing import Any, cast

from zajil.core.ids import Uid
from zajil.core.value_class import value_class
from zajil.imap.command import Fetch
from zajil.imap.feature import Feature
from zajil.imap.fetch_item import Attribute, BodySection, FetchItem
from zajil.imap.flag import SEEN
from zajil.imap.grammar import bad
from zajil.imap.response import Completion
from zajil.imap.sequence_set import cut_partial
from zajil.net.logger import get_logger
from zajil.read.imap.condstore import enable_condstore
from zajil.read.imap.content import needs_of
from zajil.read.imap.context import PORTION, Context
from zajil.read.imap.fetch_kept import KeptColumns, end_of_blocks
from zajil.read.imap.fetch_lines import (
    Column,
    FlagWriter,
    numbers_of,
    table_columns,
    write_lines,
)
from zajil.read.imap.fetch_read import Answered, Unread, read_and_send
from zajil.read.imap.fetch_rows import ItemRows
from zajil.read.imap.fetch_whole import WholeMessages, is_short, send_whole, whole_place
from zajil.read.imap.flags import change
from zajil.read.imap.resync import changed_among, tell_vanished
from zajil.store.mail.flag_changes import FlagMode
from zajil.store.mail.flags import FLAG_BITS
from zajil.store.mail.message_table import MessageTable, pick
from zajil.store.mail.value_cache import BLOCK_BITS

logger = get_logger()

_LINES = 4000
"""Messages that are answered in one turn, where the table has all that is asked for."""
_ROWS = 1 << BLOCK_BITS
"""The same where rows are read."""


async def fetch(context: Context, command: Fetch) -> Completion:
    """Send what is asked of each message, and mark as seen what was read."""
    view = context.selected
    if command.vanished and Feature.QRESYNC not in view.enabled:
        raise bad("QRESYNC is not enabled")
    if Attribute.MODSEQ in command.items:
        enable_condstore(context)
    uids = view.choose(command.numbers, uid=command.uid)
    if command.partial is not None:  # before CHANGEDSINCE: RFC 9394 section 3.4
        uids = cut_partial(uids, command.partial)
    if command.changed_since is not None:
        if command.vanished:
            await tell_vanished(context, command.numbers, command.changed_since)
        uids = await changed_among(context, uids, command.changed_since)
    # UIDFETCH begins with the UID (RFC 9586 section 3).
    items = command.items[1:] if view.uid_only and command.adds_uid else command.items
    if items == (Attribute.UID,) and command.changed_since is None:
        await _send_uids(context, uids)
        return Completion("OK", "messages are fetched")
    answer = _Answer(context, items)
    marks = answer.needs.seen and view.may_mark_seen
    stop = 0
    while stop < len(uids):
        start, stop = stop, answer.next_stop(uids, stop)
        wanted = uids[start:stop]
        marked = await _mark_seen(context, wanted) if marks else frozenset[Uid]()
        table = await context.table()
        await answer.send(table, table.places_of(wanted), marked)
    if answer.sent.lost:
        count = answer.sent.lost
        logger.error("IMAP: messages cannot be read", count=count, reason=answer.sent.reason)
        return Completion("NO", f"messages that cannot be read now: {count}", "UNAVAILABLE")
    if answer.sent.undecoded:
        # RFC 3516 section 4.3
        return Completion("NO", "a transfer encoding is not known", "UNKNOWN-CTE")
    if answer.sent.there < len(uids):
        return Completion("OK", "done; some messages were expunged", "EXPUNGEISSUED")
    return Completion("OK", "messages are fetched")


async def _send_uids(context: Context, uids: Sequence[Uid]) -> None:
    """Send the UID of each message, which the session knows also of those that others expunged.

    A client that is not told of an expunge yet may ask which message it is.
    """
    view = context.selected
    for start in range(0, len(uids), _LINES):
        some = array("I", uids[start : start + _LINES])
        numbers = numbers_of(view, some)
        context.engine.untagged(write_lines(view.fetch_head, numbers, [Column(b"UID %d", some)]))
        await context.connection.flush()


async def _mark_seen(context: Context, uids: Sequence[Uid]) -> frozenset[Uid]:
    """Set ``\\Seen`` where it is not set; return which messages changed."""
    view, table = context.selected, await context.table()
    seen = FLAG_BITS[SEEN]
    unseen = [
        Uid(table.uids[place])
        for place in table.places_of(uids)
        if not table.flag_sets[table.kinds[place]].bits & seen
    ]
    results = await change(context, unseen, FlagMode.ADD, frozenset({SEEN}))
    if results is None:
        return frozenset()
    changed = results.uids_where([one.changed for one in results.sets])
    # They are told with the answer; not those that another session has marked just now.
    view.note_told(changed, [results.modseq or 0] * len(changed))
    return frozenset(map(Uid, changed))


@value_class(frozen=True, slots=True, kw_only=True)
class _Portion:
    """Messages that are answered together."""

    table: MessageTable
    places: Sequence[int]
    numbers: Sequence[int]
    columns: dict[FetchItem, Column]
    """What is at hand."""
    marked: frozenset[Uid]
    """Those that were marked as seen."""
    versions: Sequence[int | None] | None
    """Of their summaries; ``None``: none is missing."""


class _Answer:
    """What is to be sent of each message."""

    def __init__(self, context: Context, items: tuple[FetchItem, ...]) -> None:
        self._context = context
        self._items = items
        self._flags = FlagWriter(context.selected)
        self._rows = ItemRows(context, items)
        has_sections = any(isinstance(item, BodySection) for item in items)
        self._whole_at = whole_place(items)
        self.needs = needs_of(items)
        self.sent = Answered()
        self.most = _LINES
        """Messages that are looked up at a time at most."""
        if self._rows.are_needed or has_sections:
            self.most = PORTION if self.needs.seen else _ROWS

    def next_stop(self, uids: Sequence[Uid], start: int) -> int:
        """Return up to where messages are answered in one turn."""
        stop = min(len(uids), start + self.most)
        return end_of_blocks(uids, start, stop) if self.most == _ROWS else stop

    async def send(
        self, table: MessageTable, places: Sequence[int], marked: frozenset[Uid]
    ) -> None:
        """Send the responses for the messages at these places, and count them."""
        context, view = self._context, self._context.selected
        if marked or Attribute.FLAGS in self._items:
            # The table may be newer than the view: what it did not name yet is named first.
            kinds = set(pick(table.kinds, places))
            for line in view.new_keywords(table.flag_sets[kind].flags for kind in kinds):
                context.engine.untagged(line)
        if not self._rows.are_needed:
            await self._send(table, places, (), {}, marked)
            return
        kept = KeptColumns(context, self._items, table, places)
        if (columns := await kept.find()) is not None:
            await self._send(table, places, (), columns, marked)
            return
        while places:
            read, columns = await self._rows.read(table, places)
            places = places[read.looked_at :]
            some = table.places_of([row[0] for row in read.rows])
            is_final = not self._rows.lack_summary(read.rows)
            kept.add([row[0] for row in read.rows], columns, is_final=is_final)
            await self._send(table, some, read.rows, columns, marked)
        await kept.keep()

    async def _send(
        self,
        table: MessageTable,
        places: Sequence[int],
        rows: Sequence[tuple[Any, ...]],
        read: dict[FetchItem, Column],
        marked: frozenset[Uid],
    ) -> None:
        """Send the responses for messages.

        Args:
            table: of the mailbox.
            places: of the messages in it.
            rows: of the messages; ``()``: none were needed, or they have all that rows can have.
            read: the columns that the table does not have.
            marked: messages that were marked as seen.
        """
        if not places:
            return
        context, items = self._context, self._items
        head = context.selected.fetch_head
        numbers = numbers_of(context.selected, pick(table.uids, places))
        news = self._news() if marked else ()
        columns = table_columns(self._flags, table, places, (*news, *items))
        columns |= read
        has = [columns.get(item) for item in items]
        is_ready = None not in has and not marked
        if is_ready and not any(None in one.values for one in has if one is not None):
            whole = [one for one in has if one is not None]
            context.engine.untagged(write_lines(head, numbers, whole))
            await context.connection.flush()
            self.sent.there += len(places)
            return
        portion = _Portion(
            table=table,
            places=places,
            numbers=numbers,
            columns=columns,
            marked=marked,
            versions=self._rows.versions(rows),
        )
        messages = None if marked else self._whole_messages(portion)
        if messages is None:
            await self._send_unread(portion, range(len(places)))
            return
        sizes = messages.sizes
        for short, run in groupby(range(len(places)), key=lambda at: is_short(sizes[at])):
            indexes = list(run)
            if short:
                some = messages.slice(indexes[0], indexes[-1] + 1)
                await send_whole(context, some, self.sent)
            else:
                await self._send_unread(portion, indexes)

    def _whole_messages(self, portion: _Portion) -> WholeMessages | None:
        """Return the messages to be sent whole; ``None``: more of them has to be read."""
        at = self._whole_at
        if at is None:
            return None
        whole = self._items[at]
        columns = [portion.columns.get(item) for item in self._items if item is not whole]
        ready = [one for one in columns if one is not None and None not in one.values]
        if len(ready) < len(columns) or not isinstance(whole, BodySection):
            return None
        table, places = portion.table, portion.places
        return WholeMessages(
            head=self._context.selected.fetch_head,
            numbers=portion.numbers,
            uids=cast("Sequence[Uid]", pick(table.uids, places)),
            sizes=pick(table.sizes, places),
            before=ready[:at],
            label=whole.label,
            after=ready[at:],
        )

    async def _send_unread(self, portion: _Portion, indexes: Sequence[int]) -> None:
        """Send the responses for messages of a portion, some of which have to be read."""
        context, table, versions = self._context, portion.table, portion.versions
        news = self._news() if portion.marked else ()
        messages: list[Unread] = []
        for index in indexes:
            place = portion.places[index]
            uid = Uid(table.uids[place])
            wanted = (*news, *self._items) if uid in portion.marked else self._items
            found = [portion.columns.get(item) for item in wanted]
            pieces = tuple([None if one is None else one.write(index) for one in found])
            lacks = versions is not None and versions[index] is None
            begin = context.selected.fetch_head % portion.numbers[index]
            messages.append(Unread(uid, table.sizes[place], begin, wanted, pieces, lacks))
        for is_ready, group in groupby(messages, key=lambda message: not message.left):
            if is_ready:
                for message in group:
                    context.engine.untagged(message.write_ready())
                    self.sent.there += 1
            else:
                await read_and_send(context, list(group), self.sent)
        await context.connection.flush()

    def _news(self) -> tuple[FetchItem, ...]:
        """Return what is told of a message that was changed by being read, but not asked for.

        RFC 3501 section 6.4.5, RFC 7162 section 3.2.4; it stands first, where clients look.
        """
        view = self._context.selected
        tells_uid = view.tells_uid and not view.uid_only
        news = (Attribute.UID, Attribute.FLAGS) if tells_uid else (Attribute.FLAGS,)
        news = (*news, Attribute.MODSEQ) if view.condstore else news
        return tuple([item for item in news if item not in self._items])
