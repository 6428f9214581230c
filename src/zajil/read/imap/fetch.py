"""FETCH. (RFC 3501 section 6.4.5)

Laws:
- A message's bytes are sent as they are stored; large ones in pieces, never as one string.
- No snapshot of the database stays open while a client takes its time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from zajil.core.ids import Uid
from zajil.imap.command import Fetch
from zajil.imap.date_time import format_date_time
from zajil.imap.fetch_item import Attribute, FetchItem
from zajil.imap.flag import SEEN
from zajil.imap.response import Completion
from zajil.read.imap.content import Content, Needs, Piece, needs_of
from zajil.read.imap.context import Context
from zajil.read.imap.flags import change
from zajil.read.imap.view import View
from zajil.store.blobs import NoSuchBlob
from zajil.store.errors import StoreUnavailable
from zajil.store.message_changes import FlagMode
from zajil.store.messages import (
    Message,
    MessageReader,
    get_messages,
    open_message,
    use_messages,
)

_ROWS = 500
"""Messages looked up at a time."""
_SMALL = 262_144
"""Bytes of a message that is read in one go with others."""
_TOGETHER = 1 << 20
"""Bytes of such messages in one turn of a reader thread."""
_PIECE = 262_144
"""Bytes of a large message that are read and sent at a time."""


async def fetch(context: Context, command: Fetch) -> Completion:
    """Send what is asked of each message, and mark as seen what was read."""
    view = context.selected
    uids = view.choose(command.numbers, uid=command.uid)
    needs = needs_of(command.items)
    marked: frozenset[Uid] = frozenset()
    if needs.seen and not view.read_only and uids:
        marked = await _mark_seen(context, uids)
    sent = 0
    for start in range(0, len(uids), _ROWS):
        wanted = uids[start : start + _ROWS]
        box = view.mailbox.mailbox_id
        found = await context.store.read(lambda conn: get_messages(conn, box, wanted))  # noqa: B023
        if marked or Attribute.FLAGS in command.items:
            # These rows may be newer than the view: what it did not name yet is named first.
            for line in view.new_keywords(one.flags for one in found):
                context.engine.untagged(line)
        for portion in _portions(found, needs):
            sent += await _send(context, portion, command.items, needs, marked)
    if sent < len(uids):
        return Completion("OK", "done; some messages were expunged", "EXPUNGEISSUED")
    return Completion("OK", "messages are fetched")


async def _mark_seen(context: Context, uids: list[Uid]) -> frozenset[Uid]:
    view = context.selected
    before = view.modseq
    results = await change(context, uids, FlagMode.ADD, frozenset({SEEN}))
    return frozenset(one.uid for one in results if one.modseq > before)


def _portions(found: Sequence[Message], needs: Needs) -> Iterator[list[Message]]:
    """Cut into what is read in one turn: a large message alone, small ones together."""
    portion: list[Message] = []
    size = 0
    for message in found:
        if portion and needs.content and size + message.size > _TOGETHER:
            yield portion
            portion, size = [], 0
        portion.append(message)
        size += message.size
    if portion:
        yield portion


async def _send(
    context: Context,
    portion: list[Message],
    items: Sequence[FetchItem],
    needs: Needs,
    marked: frozenset[Uid],
) -> int:
    """Send the responses for some messages; give how many were still there."""
    view = context.selected
    lines: Sequence[bytes | None]
    if not needs.content:
        lines = [_join(_write(view, one, items, marked, None)) for one in portion]
    elif portion[0].size > _SMALL:
        return await _send_large(context, portion[0], items, needs, marked)
    else:

        def write_small(message: Message, reader: MessageReader) -> bytes:
            content = Content(reader, needs, None)
            return _join(_write(view, message, items, marked, content), content)

        blobs = context.store.blobs
        lines = await context.store.read(
            lambda conn: use_messages(conn, blobs, portion, write_small)
        )
    there = [line for line in lines if line is not None]
    for line in there:
        context.engine.untagged(line)
    await context.stream.flush()
    return len(there)


async def _send_large(
    context: Context,
    message: Message,
    items: Sequence[FetchItem],
    needs: Needs,
    marked: frozenset[Uid],
) -> int:
    """Send one message in pieces; hold its file, not a snapshot, while the client reads."""
    blobs, view = context.store.blobs, context.selected
    try:
        reader = await context.store.read(lambda conn: open_message(conn, blobs, message))
    except NoSuchBlob:
        return 0
    with reader:
        key = (message.blob_id, message.prefix)
        known = context.structures.get(key)
        content = await asyncio.to_thread(Content, reader, needs, known)
        if needs.structure and known is None and content.part is not None:
            context.keep_structure(key, content.part)
        pieces = await asyncio.to_thread(_write, view, message, items, marked, content)
        content.forget_data()
        for piece in pieces:
            if isinstance(piece, bytes):
                context.engine.untagged(piece)
                continue
            for start in range(piece.start, piece.end, _PIECE):
                end = min(start + _PIECE, piece.end)
                try:
                    context.engine.untagged(await asyncio.to_thread(content.read, start, end))
                except StoreUnavailable as error:
                    # A literal was announced: no other answer fits in here any more.
                    raise ConnectionAbortedError(str(error)) from error
                await context.stream.flush()
    return 1


def _write(
    view: View,
    message: Message,
    items: Sequence[FetchItem],
    marked: frozenset[Uid],
    content: Content | None,
) -> list[Piece]:
    """Write the response for one message, in pieces."""
    pieces: list[Piece] = [b"* %d FETCH (" % (view.number_of(message.uid) or 0)]
    wanted = list(items)
    if message.uid in marked and Attribute.FLAGS not in wanted:
        # They changed by being read (RFC 3501 section 6.4.5), and stand where clients look first.
        wanted.insert(0, Attribute.FLAGS)
    for place, item in enumerate(wanted):
        if place:
            pieces.append(b" ")
        match item:
            case Attribute.UID:
                pieces.append(b"UID %d" % message.uid)
            case Attribute.FLAGS:
                pieces.append(b"FLAGS " + view.flags_of(message.uid, message.flags))
            case Attribute.INTERNALDATE:
                pieces.append(b"INTERNALDATE " + format_date_time(message.received_at_ms))
            case Attribute.SIZE:
                pieces.append(b"RFC822.SIZE %d" % message.size)
            case _ if content is not None:
                pieces += content.write(item)
    pieces.append(b")\r\n")
    return pieces


def _join(pieces: list[Piece], content: Content | None = None) -> bytes:
    joined: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            joined.append(piece)
        elif content is not None:
            joined.append(content.read(piece.start, piece.end))
    return b"".join(joined)
