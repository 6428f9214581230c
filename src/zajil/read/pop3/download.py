"""Messages on their way to the client: a large one in pieces, small ones some at a time.

Who fetches one message after the other gets those that follow read ahead. Runs in reader threads:
nothing here but ``ReadAhead`` touches the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from zajil.core.ids import Uid
from zajil.pop3.message_lines import MessageLines
from zajil.pop3.reply import END, StatusLine
from zajil.pop3.texts import Text
from zajil.read.pop3.maildrop import Maildrop
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.blobs import Blobs, NoSuchBlob
from zajil.store.mail.message_rows import read_contents
from zajil.store.mail.messages import MessageReader, get_messages, open_message

PIECE = 65_536
"""Bytes of a message that are read and sent at a time."""
_AHEAD_SIZE = 524_288
"""Bytes of messages that are read ahead at a time; as many may be ready. An account has one
session."""
_LARGE = 262_144
"""Bytes above which a message is sent in pieces."""
_AHEAD_COUNT = 100
_FEW = 8


class Download:
    """One message, in pieces.

    Args:
        reader: of the message; closed by ``close``.
        body_lines: for TOP; ``None``: all.
    """

    def __init__(self, reader: MessageReader, body_lines: int | None) -> None:
        self._reader = reader
        self._lines = MessageLines(body_lines)
        self._at = 0
        self.has_ended = False

    def read_some(self) -> bytes:
        """Return the next bytes to send, with the last line of the answer behind the last of them.

        Raises:
            StoreUnavailable: the file of the message cannot be read.
        """
        piece = self._reader.read_at(self._at, PIECE)
        self._at += len(piece)
        data = self._lines.add(piece)
        if self._at < self._reader.size and not self._lines.has_enough:
            return data
        self.has_ended = True
        return data + self._lines.end() + END

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()


def open_download(
    conn: Snapshot, blobs: Blobs, drop: Maildrop, uid: Uid, body_lines: int | None
) -> Download | None:
    """Begin to read a message; ``None``: another session removed it.

    Raises:
        StoreUnavailable: the file of the message cannot be read.
    """
    found = get_messages(conn, drop.mailbox_id, [uid])
    try:
        return Download(open_message(conn, blobs, found[0]), body_lines) if found else None
    except NoSuchBlob:
        return None


def _read_whole(
    conn: Snapshot, blobs: Blobs, drop: Maildrop, numbers: Sequence[int], language: str
) -> dict[int, bytes]:
    """Return the whole answers to RETR of small messages in a row, but of those that are gone."""
    by_uid = {drop.uid(number): number for number in numbers}
    answers: dict[int, bytes] = {}
    for uid, prefix, content in read_contents(conn, blobs, drop.mailbox_id, list(by_uid)):
        number = by_uid[uid]
        lines = MessageLines()
        data = lines.add(prefix + content)
        answers[number] = b"".join([size_line(drop, number, language), data, lines.end(), END])
    return answers


def size_line(drop: Maildrop, number: int, language: str) -> bytes:
    """Return the first line of the answer to RETR."""
    return StatusLine(True, Text.OCTETS, start=str(drop.size(number))).to_bytes(language)


class ReadAhead:
    """Small messages that the client is likely to fetch next, ready to be sent.

    While one half of what is ready is being sent, the next messages are read.
    """

    def __init__(self, store: Store, drop: Maildrop) -> None:
        self._store = store
        self._drop = drop
        self._language = ""
        """Of the first lines of answers."""
        self._ready: dict[int, bytes] = {}
        self._reading: tuple[range, asyncio.Task[dict[int, bytes]]] | None = None
        self._next = 0
        """The number that is fetched next, if the client takes one after the other."""
        self._count = 1
        """How many are read at a time; it doubles as long as they are fetched."""
        self._enough = 0
        """As many as are ready when the next are read."""
        self._end = 0
        """The number behind those that are ready."""

    def take(self, number: int, language: str) -> bytes | None:
        """Return the answer to RETR of a message that was read ahead; ``None``: it was not."""
        if language != self._language:
            return None
        data = self._ready.pop(number, None)
        if data is not None:
            self._next = number + 1
            if len(self._ready) == self._enough and self._reading is None:
                self._begin(self._end)
        return data

    async def fetch(self, number: int, language: str) -> bytes | None:
        """Read a message and some that follow; ``None``: it is large, or gone.

        Returns:
            The answer to RETR.

        Raises:
            StoreUnavailable: messages cannot be read.
        """
        is_next = number == self._next
        self._count = min(2 * self._count, _AHEAD_COUNT) if is_next else 1
        self._next = number + 1
        if self._reading is None or language != self._language or number != self._reading[0].start:
            self.close()
            self._language = language
            self._begin(number)
        if self._reading is None:
            return None
        (numbers, reading), self._reading = self._reading, None
        self._end = numbers.stop
        self._ready = await reading
        data = self._ready.pop(number, None)
        # Of a few, the next are read when they are asked for: nobody may ever do.
        self._enough = len(self._ready) // 2 if len(self._ready) > _FEW else -1
        return data

    def close(self) -> None:
        """Forget what was read, and what is being read."""
        self._ready = {}
        self._enough = -1
        if self._reading is not None:
            self._reading[1].cancel()
            self._reading = None

    def _begin(self, first: int) -> None:
        """Begin to read messages from a number on; nothing is begun where the first is large."""
        drop, end, size = self._drop, first, 0
        while end < first + self._count and drop.has(end) and not drop.is_marked(end):
            size += drop.size(end)
            if drop.size(end) > _LARGE or size > _AHEAD_SIZE:
                break
            end += 1
        if end > first:
            numbers = range(first, end)
            reading = asyncio.create_task(self._read(numbers, self._language))
            reading.add_done_callback(_see)
            self._reading = numbers, reading

    async def _read(self, numbers: range, language: str) -> dict[int, bytes]:
        blobs, drop = self._store.blobs, self._drop
        return await self._store.read(
            lambda conn: _read_whole(conn, blobs, drop, numbers, language), drop.account_id
        )


def _see(task: asyncio.Task[dict[int, bytes]]) -> None:
    """Take note of a failure that nobody waits for: whoever fetches the messages meets it again."""
    if not task.cancelled():
        task.exception()
