"""Messages on their way to the client: a large one in pieces, small ones some at a time.

Who fetches one message after the other gets those that follow read ahead. Runs in reader threads:
nothing here but ``ReadAhead`` touches the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence

from zajil.core.ids import Uid
from zajil.pop3.message_lines import MessageLines
from zajil.pop3.reply import END, StatusLine
from zajil.pop3.texts import Text
from zajil.read.pop3.maildrop import Maildrop
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.blobs import Blobs, NoSuchBlob
from zajil.store.mail.maildrops import read_contents
from zajil.store.mail.messages import MessageReader, get_messages, open_message

PIECE = 65_536
"""Bytes of a message that are read and sent at a time."""
_AHEAD_SIZE = 262_144
"""Bytes of messages that are read ahead."""
_AHEAD_COUNT = 100


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
    first, last = drop.uid(numbers[0]), drop.uid(numbers[-1])
    answers: dict[int, bytes] = {}
    for uid, content in read_contents(conn, blobs, drop.mailbox_id, first, last):
        number = by_uid[uid]
        lines = MessageLines()
        data = lines.add(content)
        answers[number] = b"".join([size_line(drop, number, language), data, lines.end(), END])
    return answers


def size_line(drop: Maildrop, number: int, language: str) -> bytes:
    """Return the first line of the answer to RETR."""
    return StatusLine(True, Text.OCTETS, start=str(drop.size(number))).to_bytes(language)


class ReadAhead:
    """Small messages that the client is likely to fetch next, ready to be sent."""

    def __init__(self, store: Store, drop: Maildrop) -> None:
        self._store = store
        self._drop = drop
        self._ready: dict[int, bytes] = {}
        self._language = ""
        """Of the first lines in ``_ready``."""
        self._next = 0
        """The number that is fetched next, if the client takes one after the other."""
        self._count = 1
        """How many are read at a time; it doubles as long as they are fetched."""

    def take(self, number: int, language: str) -> bytes | None:
        """Return the answer to RETR of a message that was read ahead; ``None``: it was not."""
        if language != self._language:
            return None
        data = self._ready.pop(number, None)
        if data is not None:
            self._next = number + 1
        return data

    async def fetch(self, number: int, language: str) -> bytes | None:
        """Read a message and some that follow; ``None``: it is large, or gone.

        Returns:
            The answer to RETR.

        Raises:
            StoreUnavailable: messages cannot be read.
        """
        drop = self._drop
        is_next = number == self._next
        self._count = min(2 * self._count, _AHEAD_COUNT) if is_next else 1
        self._language = language
        self._ready.clear()
        self._next = number + 1
        wanted: list[int] = []
        size = 0
        for one in range(number, number + self._count):
            if not drop.has(one) or drop.is_marked(one) or size + drop.size(one) > _AHEAD_SIZE:
                break
            wanted.append(one)
            size += drop.size(one)
        if not wanted:
            return None
        blobs = self._store.blobs
        self._ready = await self._store.read(
            lambda conn: _read_whole(conn, blobs, drop, wanted, language), drop.account_id
        )
        return self._ready.pop(number, None)
