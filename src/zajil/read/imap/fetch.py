"""FETCH. (RFC 3501 section 6.4.5)

Laws:
- A message's bytes are sent as they are stored; a long answer in pieces, never as one string.
- A message whose summary has all that is asked for is not read.
- Nothing further is read while the client does not take what was sent, or is gone.
- No snapshot of the database stays open while a client takes its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from zajil.core.ids import BlobId, MailboxId, Uid
from zajil.imap.command import Fetch
from zajil.imap.date_time import format_date_time
from zajil.imap.feature import Feature
from zajil.imap.fetch_item import Attribute, FetchItem
from zajil.imap.flag import SEEN
from zajil.imap.grammar import bad
from zajil.imap.response import Completion
from zajil.read.imap.condstore import enable_condstore
from zajil.read.imap.content import (
    FORMS,
    Content,
    Needs,
    Piece,
    answer_size,
    find_form,
    needs_of,
)
from zajil.read.imap.context import Context
from zajil.read.imap.flags import change
from zajil.read.imap.object_id import email_object_id, give_threads, thread_object_id
from zajil.read.imap.resync import changed_among, tell_vanished
from zajil.read.imap.selected_mailbox import SelectedMailbox
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.message_changes import FlagMode
from zajil.store.mail.messages import Message, get_messages, open_message, open_messages
from zajil.store.mail.summaries import ImapForms, find_imap_forms

_ROWS = 200
"""Messages looked up at a time."""
_ROWS_WITH_FORMS = 100
"""The same with what their summaries have ready, up to ``read.indexer.MAX_FORM`` of each."""
_SMALL = 262_144
"""Bytes of a message that is read in one go with others."""
_TOGETHER = 1 << 20
"""Bytes of such messages that are read in one turn of a reader thread."""
_ANSWER = 262_144
"""Bytes of the answer after which a turn ends, and what a longer answer is cut into. What a session
holds of its answer is at most twice this; as much waits in the connection (``net.connection``)."""

_NEWS = (Attribute.UID, Attribute.FLAGS, Attribute.MODSEQ)
"""What a client that is told MODSEQs has to know of a message that changed."""


async def fetch(context: Context, command: Fetch) -> Completion:
    """Send what is asked of each message, and mark as seen what was read."""
    view = context.selected
    box = view.mailbox.mailbox_id
    if command.vanished and Feature.QRESYNC not in view.enabled:
        raise bad("QRESYNC is not enabled")
    if Attribute.MODSEQ in command.items:
        enable_condstore(context)
    uids = view.choose(command.numbers, uid=command.uid)
    if command.changed_since is not None:
        if command.vanished:
            await tell_vanished(context, command.numbers, command.changed_since)
        uids = await changed_among(context, uids, command.changed_since)
    needs = needs_of(command.items)
    kinds = [item.value for item in command.items if item in FORMS]
    rows = _ROWS_WITH_FORMS if kinds else _ROWS
    sent = 0
    for start in range(0, len(uids), rows):
        wanted = uids[start : start + rows]
        found, forms = await context.read(lambda conn: _look_up(conn, box, wanted, kinds))  # noqa: B023
        if Attribute.THREADID in command.items and await give_threads(context, found):
            found = await context.read(lambda conn: get_messages(conn, box, wanted))  # noqa: B023
        marked: frozenset[Uid] = frozenset()
        if needs.seen and not view.read_only:
            found, marked = await _mark_seen(context, found)
        if marked or Attribute.FLAGS in command.items:
            # These rows may be newer than the view: what it did not name yet is named first.
            for line in view.new_keywords(one.flags for one in found):
                context.engine.untagged(line)
        answer = _Answer(view, command.items, needs, marked, forms)
        for portion in _portions(found, answer):
            sent += await _send(context, portion, answer)
    if sent < len(uids):
        return Completion("OK", "done; some messages were expunged", "EXPUNGEISSUED")
    return Completion("OK", "messages are fetched")


def _look_up(
    conn: Snapshot, box: MailboxId, uids: Sequence[Uid], kinds: Sequence[str]
) -> tuple[list[Message], dict[BlobId, ImapForms]]:
    """Return messages, and of their summaries what is asked for. Runs in a reader thread."""
    found = get_messages(conn, box, uids)
    return found, find_imap_forms(conn, [one.blob_id for one in found], kinds) if kinds else {}


async def _mark_seen(
    context: Context, found: Sequence[Message]
) -> tuple[list[Message], frozenset[Uid]]:
    """Set ``\\Seen`` where it is not set; give the messages as they are now, and which changed."""
    unseen = [one.uid for one in found if SEEN not in one.flags]
    results = await change(context, unseen, FlagMode.ADD, frozenset({SEEN}))
    now = {one.uid: one for one in results}
    for one in results:
        # It is told with the answer.
        if one.modseq > context.selected.modseq:
            context.selected.told[one.uid] = one.modseq
    changed = [
        replace(one, flags=now[one.uid].flags, modseq=now[one.uid].modseq)
        if one.uid in now
        else one
        for one in found
    ]
    return changed, frozenset(one.uid for one in results if one.modseq > one.previous)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is to be sent of each message."""

    view: SelectedMailbox
    items: tuple[FetchItem, ...]
    needs: Needs
    marked: frozenset[Uid]
    """Messages that became ``\\Seen`` by this command."""
    forms: dict[BlobId, ImapForms]
    """What the summaries of the messages have ready."""

    def reads(self, message: Message) -> Needs:
        """Return what has to be read of this message."""
        if message.blob_id not in self.forms:
            return self.needs
        return needs_of(self.left(message))

    def left(self, message: Message) -> list[FetchItem]:
        """Return the items that the summary of this message does not have ready."""
        forms = self.forms.get(message.blob_id)
        return [item for item in self.items if find_form(forms, item) is None]

    def is_short(self, message: Message) -> bool:
        """Whether the answer about this message may be made together with others."""
        return message.size <= _SMALL and answer_size(self.items, message.size) <= _ANSWER

    def write(self, message: Message, content: Content | None) -> Iterator[Piece]:
        """Write the response for one message, in pieces, each when it is asked for."""
        view, wanted = self.view, list(self.items)
        forms = self.forms.get(message.blob_id)
        yield b"* %d FETCH (" % (view.number_of(message.uid) or 0)
        if message.uid in self.marked:
            # Changed by being read (RFC 3501 section 6.4.5, RFC 7162 section 3.2.4); first, where
            # clients look.
            news = _NEWS if view.condstore else (Attribute.FLAGS,)
            wanted[:0] = [item for item in news if item not in wanted]
        for place, item in enumerate(wanted):
            if place:
                yield b" "
            match item:
                case Attribute.UID:
                    yield b"UID %d" % message.uid
                case Attribute.FLAGS:
                    yield b"FLAGS " + view.flags_of(message.uid, message.flags)
                case Attribute.MODSEQ:
                    yield view.modseq_item(message.modseq)
                case Attribute.INTERNALDATE:
                    yield b"INTERNALDATE " + format_date_time(message.received_at_ms)
                case Attribute.SIZE:
                    yield b"RFC822.SIZE %d" % message.size
                case Attribute.EMAILID:
                    yield b"EMAILID (%b)" % email_object_id(message).encode("ascii")
                case Attribute.THREADID:
                    # Without one only where the message was expunged meanwhile.
                    thread = thread_object_id(message)
                    yield b"THREADID (%b)" % thread.encode("ascii") if thread else b"THREADID NIL"
                case Attribute() if (form := find_form(forms, item)) is not None:
                    yield item.value.encode("ascii") + b" " + form
                case _ if content is not None:
                    yield from content.write(item)
        yield b")\r\n"


def _portions(found: Sequence[Message], answer: _Answer) -> Iterator[list[Message]]:
    """Cut into what is read in one turn: short answers together, a long one alone.

    Messages that need not be read are not mixed with those that must.
    """
    portion: list[Message] = []
    size, was_read = 0, False
    for message in found:
        is_read = answer.reads(message).content
        alone = is_read and not answer.is_short(message)
        is_full = is_read and (alone or size + message.size > _TOGETHER)
        if portion and (is_full or is_read is not was_read):
            yield portion
            portion, size = [], 0
        portion.append(message)
        size, was_read = size + message.size, is_read
        if alone:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


async def _send(context: Context, portion: list[Message], answer: _Answer) -> int:
    """Send the responses for some messages; give how many were still there."""
    if not answer.reads(portion[0]).content:
        size = 0
        for one in portion:
            written = _join(answer.write(one, None))
            context.engine.untagged(written)
            size += len(written)
            if size >= _ANSWER:
                await context.connection.flush()
                size = 0
        await context.connection.flush()
        return len(portion)
    if not answer.is_short(portion[0]):
        return await _send_long(context, portion[0], answer)
    sent = 0
    while portion:
        waiting = portion
        lines = await context.read(lambda conn: _write_turn(context, conn, waiting, answer))  # noqa: B023
        portion = portion[len(lines) :]
        for line in lines:
            sent += line is not None
            context.engine.untagged(line or b"")
        await context.connection.flush()
    return sent


def _write_turn(
    context: Context, conn: Snapshot, portion: list[Message], answer: _Answer
) -> list[bytes | None]:
    """Write the responses for as many messages as one turn allows; ``None``: it is gone.

    Runs in a reader thread.
    """
    lines: list[bytes | None] = []
    size = 0
    for message, reader in open_messages(conn, context.store.blobs, portion):
        if reader is None:
            lines.append(None)
            continue
        with reader:
            content = Content(reader, answer.reads(message), None)
            line = _join(answer.write(message, content), content)
        lines.append(line)
        size += len(line)
        if size >= _ANSWER:
            break
    return lines


async def _send_long(context: Context, message: Message, answer: _Answer) -> int:
    """Send one response in pieces; hold the message's file, not a snapshot, while they are read."""
    blobs, needs = context.store.blobs, answer.reads(message)
    try:
        reader = await context.read(lambda conn: open_message(conn, blobs, message))
    except NoSuchBlob:
        return 0
    with reader:
        key = (message.blob_id, message.prefix)
        known = context.structures.get(key)

        def prepare() -> Content:
            content = Content(reader, needs, known)
            content.write_structures(answer.left(message))
            return content

        content = await context.work(prepare)
        if needs.structure and known is None and content.part is not None:
            context.keep_structure(key, content.part)
        pieces = answer.write(message, content)
        begun = False
        while True:
            try:
                data = await context.work(lambda: content.read_pieces(pieces, _ANSWER))
            except StoreUnavailable as error:
                if not begun:
                    raise
                # A literal was announced: no other answer fits in here any more.
                raise ConnectionAbortedError(str(error)) from error
            if not data:
                return 1
            begun = True
            context.engine.untagged(data)
            del data
            await context.connection.flush()


def _join(pieces: Iterable[Piece], content: Content | None = None) -> bytes:
    joined: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, bytes):
            joined.append(piece)
        elif content is not None:
            joined.append(content.read(piece.start, piece.end))
    return b"".join(joined)
