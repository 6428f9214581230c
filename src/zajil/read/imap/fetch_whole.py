"""FETCH of whole messages: short ones in a row, as fast as they can be read.

What is asked for beside the bytes is in columns already, so a portion is one statement and one
formatting of bytes; there is no object for a message. The next portion is read while one is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import chain

from zajil.core.ids import Uid
from zajil.core.value_class import value_class
from zajil.imap.fetch_item import BodySection, FetchItem, SectionText
from zajil.read.imap.context import Context
from zajil.read.imap.fetch_lines import Column
from zajil.read.imap.fetch_read import ANSWER, Answered
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.message_rows import read_contents

_ANSWER = 2 * ANSWER
"""Bytes that are read in one turn: each turn costs as much as to encrypt and send so many. A client
that stops reading holds what waits in its connection, and as much that was read ahead."""
_MOST = 500
"""Messages that are read in one turn."""


@value_class(frozen=True, slots=True, kw_only=True)
class WholeMessages:
    """Messages, ascending, and what is sent of each; every sequence has one value for each."""

    head: bytes
    """``SelectedMailbox.fetch_head``."""
    numbers: Sequence[int]
    """In its place."""
    uids: Sequence[Uid]
    sizes: Sequence[int]
    before: Sequence[Column]
    """What stands before the message."""
    label: bytes
    """How the answer names the message."""
    after: Sequence[Column]
    """What stands behind it."""

    def slice(self, start: int, end: int) -> WholeMessages:
        """Return those between two places."""
        return WholeMessages(
            head=self.head,
            numbers=self.numbers[start:end],
            uids=self.uids[start:end],
            sizes=self.sizes[start:end],
            before=[Column(one.text, one.values[start:end]) for one in self.before],
            label=self.label,
            after=[Column(one.text, one.values[start:end]) for one in self.after],
        )

    def portions(self) -> Iterator[WholeMessages]:
        """Cut into what is read and sent in one turn."""
        start = answer = 0
        for place, size in enumerate(self.sizes):
            answer += size
            if place > start and (answer > _ANSWER or place - start == _MOST):
                yield self.slice(start, place)
                start, answer = place, size
        if start < len(self.uids):
            yield self.slice(start, len(self.uids))

    def write(self, contents: Sequence[tuple[Uid, bytes, bytes]]) -> bytes:
        """Write the responses of those messages that are there.

        Args:
            contents: of ``read_contents``, for these messages.
        """
        columns = [self.numbers, *(one.values for one in (*self.before, *self.after))]
        if len(contents) < len(self.uids):
            there = {uid for uid, _, _ in contents}
            places = [place for place, uid in enumerate(self.uids) if uid in there]
            columns = [[column[place] for place in places] for column in columns]
        at = 1 + len(self.before)
        prefixes = [prefix for _, prefix, _ in contents]
        bodies = [content for _, _, content in contents]
        sizes = [len(prefix) + len(content) for _, prefix, content in contents]
        texts = [one.text for one in self.before]
        texts += [self.label + b" {%d}\r\n%b%b", *(one.text for one in self.after)]
        line = self.head + b" ".join(texts) + b")\r\n"
        values = zip(*columns[:at], sizes, prefixes, bodies, *columns[at:], strict=True)
        return (line * len(contents)) % tuple(chain.from_iterable(values))


async def send_whole(context: Context, messages: WholeMessages, sent: Answered) -> None:
    """Send the responses for messages that are short, and count them."""
    portions = messages.portions()
    reading = _begin(context, next(portions, None))
    try:
        while reading is not None:
            count, lost, data = await reading
            reading = _begin(context, next(portions, None))
            sent.there += count
            sent.lose(lost)
            context.engine.untagged(data)
            del data
            await context.connection.flush()
    finally:
        if reading is not None:
            reading.cancel()


def _begin(
    context: Context, portion: WholeMessages | None
) -> asyncio.Task[tuple[int, list[str], bytes]] | None:
    """Begin to read a portion.

    The task returns how many messages are sent, why others cannot be read, and what is sent.
    """
    if portion is None:
        return None
    reading = asyncio.create_task(_read(context, portion))
    reading.add_done_callback(_see)
    return reading


async def _read(context: Context, portion: WholeMessages) -> tuple[int, list[str], bytes]:
    blobs, box = context.store.blobs, context.selected.mailbox.mailbox_id

    def read(conn: Snapshot) -> tuple[int, list[str], bytes]:
        lost = list[str]()
        contents = read_contents(conn, blobs, box, portion.uids, lost)
        return len(contents), lost, portion.write(contents)

    return await context.read(read)


def _see(task: asyncio.Task[tuple[int, list[str], bytes]]) -> None:
    """Take note of a failure that nobody waits for: the peer is gone."""
    if not task.cancelled():
        task.exception()


def is_short(size: int) -> bool:
    """Return whether a message of this size may be read and sent with others.

    One without a byte is no literal (``fetch_read`` sends it).
    """
    return 0 < size <= ANSWER


def whole_place(items: Sequence[FetchItem]) -> int | None:
    """Return the place of the item that asks for whole messages, if it alone asks for bytes."""
    sections = [(at, item) for at, item in enumerate(items) if isinstance(item, BodySection)]
    if len(sections) != 1:
        return None
    at, item = sections[0]
    is_whole = item.text is SectionText.WHOLE and not item.path and item.partial is None
    return at if is_whole else None
