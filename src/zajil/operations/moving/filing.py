"""Messages of a source into the mailboxes of an account, in commits of many.

Laws:
- A message is in memory up to ``store.inline_limit``, else in a file; a commit has few megabytes.
- The commit that appends a message notes its key (``store.mail.imported``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from zajil.core.errors import NotFound, Refused
from zajil.core.ids import AccountId, MailboxId
from zajil.core.moment import EARLIEST_MS, LATEST_MS
from zajil.imap.flag import MAX_KEYWORD, SYSTEM_FLAGS
from zajil.message.date import parse_date
from zajil.message.fields import find_value, read_fields, split_message
from zajil.message.source import Source as Bytes
from zajil.message.source import read_range, size_of
from zajil.operations.context import OperationContext
from zajil.operations.moving.model import Moved, Report, Unreadable
from zajil.read.imap.line_ends import LineEnds
from zajil.store.engine.errors import ReserveReached
from zajil.store.mail.blobs import Blobs
from zajil.store.mail.flags import MAX_KEYWORDS
from zajil.store.mail.imported import (
    Doubles,
    Import,
    ImportedMessage,
    ImportOrigin,
    import_messages,
)

MOST_MESSAGES = 200
"""Messages of one commit: others wait for it."""
MOST_BYTES = 1 << 22
"""Bytes of the messages of one commit that are in memory."""
_HEAD = 65_536
"""Bytes in which the fields with times are looked for."""
_KEYWORD = frozenset(map(chr, range(0x21, 0x7F))) - frozenset('(){%*"\\]')
_SYSTEM = {flag.lower(): flag for flag in SYSTEM_FLAGS}


@dataclass(slots=True, kw_only=True)
class Importer:
    """Collects messages of one mailbox of a source, and commits them."""

    context: OperationContext
    origin: ImportOrigin
    report: Report
    ignore_quota: bool = False
    doubles: Doubles = Doubles.NONE
    _held: list[ImportedMessage] = field(default_factory=list)
    _bytes: int = 0

    async def add(self, key: str, moved: Moved, mailbox_id: MailboxId) -> None:
        """Take a message; commit when there are many.

        Raises:
            Unreadable: this message cannot be taken; the rest may go on.
            NoSuchMailbox, MailboxIsFull, OverQuota, StoreUnavailable: as ``import_messages``.
        """
        content = await _collect(self.context.store.blobs, moved.pieces)
        received_ms = moved.received_at_ms
        if received_ms is None:
            received_ms = time_of_header(read_range(content, 0, _HEAD))
        if received_ms is None:
            received_ms = self.context.clock.now_ms()
        staged = await self.context.store.blobs.stage_any([content])
        self._held.append(
            ImportedMessage(
                key=key,
                mailbox_id=mailbox_id,
                content=staged,
                flags=known_flags(moved.flags),
                received_at_ms=min(max(received_ms, EARLIEST_MS), LATEST_MS),
            )
        )
        self._bytes += 0 if staged.content is None else staged.size
        if len(self._held) >= MOST_MESSAGES or self._bytes >= MOST_BYTES:
            await self.commit()

    async def commit(self) -> None:
        """Write what was collected.

        Raises:
            NoSuchMailbox, MailboxIsFull, OverQuota, StoreUnavailable: as ``import_messages``.
        """
        held, self._held, self._bytes = self._held, [], 0
        if not held:
            return
        item = Import(
            origin=self.origin,
            messages=tuple(held),
            ignore_quota=self.ignore_quota,
            doubles=self.doubles,
        )
        blobs = self.context.store.blobs
        try:
            uids = await self.context.write(import_messages, item)
        except (NotFound, Refused, ReserveReached):
            for one in held:
                blobs.discard(one.content)
            raise
        for one, uid in zip(held, uids, strict=True):
            if uid is None:
                blobs.discard(one.content)
                self.report.known += 1
            else:
                self.report.moved += 1
                self.report.size += one.content.size


def origin_of(account_id: AccountId, source: str, mailbox: str) -> ImportOrigin:
    """Return how rows name a mailbox of a source, without NUL, which PostgreSQL cannot store."""
    return ImportOrigin(account_id, source.replace("\0", ""), mailbox.replace("\0", ""))


def known_flags(flags: frozenset[str]) -> frozenset[str]:
    r"""Return those of the flags that a message can have; ``\Recent`` and odd ones are left out."""
    system = {_SYSTEM[flag.lower()] for flag in flags if flag.lower() in _SYSTEM}
    keywords = sorted(
        flag
        for flag in flags
        if 0 < len(flag) <= MAX_KEYWORD and not flag.startswith("\\") and _KEYWORD.issuperset(flag)
    )
    return frozenset(system) | frozenset(keywords[:MAX_KEYWORDS])


def time_of_header(head: bytes) -> int | None:
    """Return when a message was received by its first Received, else when it was written.

    Args:
        head: the beginning of the message.
    """
    fields = read_fields(head[: split_message(head)[0]])
    received = find_value(fields, b"received")
    if received is not None and (found := parse_date(received.rpartition(b";")[2])) is not None:
        return found
    date = find_value(fields, b"date")
    return None if date is None else parse_date(date)


async def _collect(blobs: Blobs, pieces: Iterator[bytes]) -> bytes | Bytes:
    """Return a message with CRLF.

    Deviation: RFC 3501 section 9 has no NUL in a literal. Old files have some in damaged messages
    (2026-11-30); as in Dovecot, 0x80 takes their place, so that the message can be read.

    Raises:
        Unreadable: it is empty, or cannot be read to its end.
        StoreUnavailable, StoreFull: it could not be kept.
    """
    spill, ends = blobs.spill(), LineEnds()
    try:
        for piece in pieces:
            clean = ends.clean(piece)
            if b"\0" in clean:
                clean = clean.replace(b"\0", b"\x80")
            if (taken := spill.add(clean)) is not None:
                await taken
    except Unreadable:
        spill.discard()
        raise
    if (taken := spill.add(ends.end())) is not None:
        await taken
    content = spill.content()
    if not size_of(content):
        raise Unreadable("it is empty")
    return content
