"""FETCH of messages whose bytes have to be read: short ones together, a long one alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from zajil.core.ids import Uid
from zajil.core.value_class import value_class
from zajil.imap.feature import Feature
from zajil.imap.fetch_item import FetchItem
from zajil.read.imap.content import HEAD, Content, Needs, Piece, answer_size, needs_of
from zajil.read.imap.context import Context
from zajil.read.indexer import read_summaries
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.message_rows import OpenMessage, open_contents
from zajil.store.mail.summaries import NewSummary, WaitingBlob, write_summaries

_SMALL = 262_144
"""Bytes of a message that is read in one go with others."""
_TOGETHER = 1 << 20
"""Bytes of such messages that are read in one turn of a reader thread."""
_MOST = 500
"""Messages that are read in one turn."""
_SUMMARIES = 64
"""Of these, messages whose summary is missing and made."""
ANSWER = 262_144
"""Bytes of the answer after which a turn ends, and what a longer answer is cut into. What a session
holds of its answer is at most twice this; as much waits in the connection (``net.connection``)."""


@value_class(frozen=True, slots=True)
class Unread:
    """A message of which something may have to be read."""

    uid: Uid
    size: int
    head: bytes
    """The beginning of its response."""
    items: tuple[FetchItem, ...]
    """What is sent of it, in this order."""
    pieces: tuple[bytes | None, ...]
    """Each item as it is sent; ``None``: it has to be read."""
    lacks_summary: bool
    """It has to be made, and kept."""

    @property
    def left(self) -> tuple[FetchItem, ...]:
        """Return the items that have to be read."""
        pairs = zip(self.items, self.pieces, strict=True)
        return tuple([item for item, piece in pairs if piece is None])

    def write_ready(self) -> bytes:
        """Write the response where nothing is left to be read."""
        return self.head + b" ".join(filter(None, self.pieces)) + b")\r\n"

    def write(self, content: Content) -> Iterator[Piece]:
        """Write the response, in pieces, each when it is asked for.

        What cannot be decoded is left out; if nothing else was asked for, there is no response.
        """
        between = self.head
        unknown = content.unknown(self.left)
        for item, piece in zip(self.items, self.pieces, strict=True):
            if item in unknown:
                continue
            yield between
            between = b" "
            if piece is None:
                yield from content.write(item)
            else:
                yield piece
        if between is not self.head:
            yield b")\r\n"


@dataclass(slots=True)
class Answered:
    """What became of the messages of a FETCH."""

    there: int = 0
    """How many were still there."""
    undecoded: int = 0
    """How many of them have a transfer encoding that is not known, where it is to be decoded."""
    lost: int = 0
    """How many of them cannot be read now; nothing was sent of them."""
    reason: str = ""
    """Why the first of these cannot be read."""

    def lose(self, reasons: Sequence[str]) -> None:
        """Count messages that cannot be read, each with its reason."""
        self.there += len(reasons)
        self.lost += len(reasons)
        self.reason = self.reason or next(iter(reasons), "")


async def read_and_send(context: Context, messages: Sequence[Unread], sent: Answered) -> None:
    """Send the responses for these messages, and count them."""
    plan = _Plan(has_global=Feature.IMAP4REV2 in context.engine.enabled)
    for portion in _portions(messages, plan):
        waiting = portion
        if not plan.is_short(waiting[0]):
            await _send_long(context, waiting[0], plan, sent)
            continue
        while waiting:
            turn = _Turn(context, plan, waiting)
            await context.read(turn.run)
            waiting = waiting[turn.looked_at :]
            sent.there += len(turn.lines)
            sent.undecoded += turn.undecoded
            sent.lose(turn.lost)
            for line in turn.lines:
                context.engine.untagged(line)
            if turn.summaries:
                context.store.write_later(write_summaries, tuple(turn.summaries))
            await context.connection.flush()


class _Plan:
    """What has to be read of messages; most have the same left."""

    def __init__(self, *, has_global: bool) -> None:
        self._has_global = has_global
        self._needs: dict[tuple[FetchItem, ...], Needs] = {}

    def needs(self, one: Unread) -> Needs:
        """Return what has to be read of this message."""
        left = one.left
        found = self._needs.get(left)
        if found is None:
            found = self._needs[left] = needs_of(left, has_global=self._has_global)
        return found

    def read_size(self, one: Unread) -> int:
        """Return how many bytes of this message are read, as far as it is known."""
        return min(one.size, HEAD) if self.needs(one).only_head else one.size

    def is_short(self, one: Unread) -> bool:
        """Whether the answer about this message may be made together with others."""
        return one.size <= _SMALL and answer_size(one.items, one.size) <= ANSWER


def _portions(messages: Sequence[Unread], plan: _Plan) -> Iterator[Sequence[Unread]]:
    """Cut into what is read in one turn: short answers together, a long one alone."""
    start = size = answer = summaries = 0
    for place, one in enumerate(messages):
        is_short = plan.is_short(one)
        # What does not fit into the answer of a turn would be read again in the next one.
        sent = 0 if plan.needs(one).only_head else one.size
        size, answer = size + plan.read_size(one), answer + sent
        summaries += one.lacks_summary
        is_full = size > _TOGETHER or answer > ANSWER
        is_full = is_full or place - start == _MOST or summaries > _SUMMARIES
        if place > start and (is_full or not is_short):
            yield messages[start:place]
            start, size, answer = place, plan.read_size(one), sent
            summaries = int(one.lacks_summary)
        if not is_short:
            yield messages[place : place + 1]
            start, size, answer, summaries = place + 1, 0, 0, 0
    if start < len(messages):
        yield messages[start:]


class _Turn:
    """One turn of a reader thread: as many responses as it allows."""

    def __init__(self, context: Context, plan: _Plan, messages: Sequence[Unread]) -> None:
        self._context = context
        self._plan = plan
        self._messages = messages
        self.lines: list[bytes] = []
        self.undecoded = 0
        self.summaries: list[NewSummary] = []
        """Those that were missing."""
        self.lost: list[str] = []
        """Why others of them cannot be read."""
        self.looked_at = 0
        """How many of the messages; the others that are in neither list are gone."""

    def run(self, conn: Snapshot) -> None:
        """Write the responses."""
        box = self._context.selected.mailbox.mailbox_id
        places = {one.uid: place for place, one in enumerate(self._messages)}
        only_head = all([self._plan.needs(one).only_head for one in self._messages])
        head = HEAD if only_head else None
        size, blobs = 0, self._context.store.blobs
        for found in open_contents(conn, blobs, box, list(places), head, self.lost):
            place = places[found.uid]
            try:
                with found.reader:
                    line = self._write(conn, self._messages[place], found)
            except StoreUnavailable as error:
                self.lost.append(str(error))
                continue
            self.lines.append(line)
            size += len(line)
            if size >= ANSWER:
                self.looked_at = place + 1
                return
        self.looked_at = len(self._messages)

    def _write(self, conn: Snapshot, one: Unread, found: OpenMessage) -> bytes:
        needs = self._plan.needs(one)
        content = Content(found.reader, needs)
        if one.lacks_summary:
            blobs = self._context.store.blobs
            waiting = WaitingBlob(found.blob_id, one.size, 0)
            (made,) = read_summaries(conn, blobs, [waiting])
            if not made.summary.fault:
                self.summaries.append(made)
        self.undecoded += bool(content.unknown(one.left))
        return _join(one.write(content), content)


async def _send_long(context: Context, one: Unread, plan: _Plan, sent: Answered) -> None:
    """Send one response in pieces; hold the message's file, not a snapshot, while they are read."""
    blobs, box, needs = context.store.blobs, context.selected.mailbox.mailbox_id, plan.needs(one)
    lost = list[str]()

    def open_it(conn: Snapshot) -> OpenMessage | None:
        return next(open_contents(conn, blobs, box, [one.uid], lost=lost), None)

    found = await context.read(open_it)
    if found is None:
        sent.lose(lost)
        return
    with found.reader:
        key = (found.blob_id, found.prefix)
        known = context.known.get(key)

        def prepare() -> Content:
            content = Content(found.reader, needs, known)
            content.write_structures(one.left)
            return content

        content = await context.work(prepare)
        if needs.structure and known is None and content.known is not None:
            context.keep_known(key, content.known)
        sent.there += 1
        sent.undecoded += bool(content.unknown(one.left))
        pieces = one.write(content)
        begun = False
        while True:
            try:
                data = await context.work(lambda: content.read_pieces(pieces, ANSWER))
            except StoreUnavailable as error:
                if not begun:
                    raise
                # A literal was announced: no other answer fits in here any more.
                raise ConnectionAbortedError(str(error)) from error
            if data is None:
                return
            if data:
                begun = True
                context.engine.untagged(data)
            del data
            await context.connection.flush()


def _join(pieces: Iterable[Piece], content: Content) -> bytes:
    joined = [
        piece if isinstance(piece, bytes) else content.read(piece.start, piece.end)
        for piece in pieces
    ]
    return b"".join(joined)
