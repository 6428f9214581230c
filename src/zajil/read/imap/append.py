"""APPEND. (RFC 3501 section 6.3.11)"""

from __future__ import annotations

import re
from collections.abc import Awaitable

from zajil.imap.command import AppendCommand
from zajil.imap.response import Completion
from zajil.message.source import Source, size_of
from zajil.read.imap.context import TRY_CREATE, Context
from zajil.store.engine.errors import ReserveReached
from zajil.store.engine.spill import Spill
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.mailboxes import Mailbox, find_mailbox
from zajil.store.mail.message_changes import PutMessage, put_messages

_BARE = re.compile(rb"\r\n|\r|\n")


class Upload:
    """One message on its way in; past ``store.inline_limit`` it goes to a file while it arrives."""

    def __init__(self, command: AppendCommand, mailbox: Mailbox, spill: Spill) -> None:
        self.command = command
        self.mailbox = mailbox
        self.has_nul = False
        self._spill = spill
        self._line_ends = LineEnds()

    def add(self, chunk: bytes) -> Awaitable[None] | None:
        """Keep a piece; wait for what this gives before the next one, if it gives something."""
        self.has_nul = self.has_nul or b"\x00" in chunk
        return self._spill.add(self._line_ends.clean(chunk))

    async def content(self) -> bytes | Source:
        """Return the whole message.

        Raises:
            StoreUnavailable, StoreFull: it could not be kept.
        """
        taken = self._spill.add(self._line_ends.end())
        if taken is not None:
            await taken
        return self._spill.content()


async def begin(context: Context, command: AppendCommand) -> Upload | Completion:
    """Check whether the mailbox may take a message before it is sent; else give the refusal."""
    account_id, store = context.account.account_id, context.store
    box = await context.read(lambda conn: find_mailbox(conn, account_id, command.mailbox))
    if box is None:
        return TRY_CREATE
    refusal = await context.refuse_more(box, 1)
    return refusal or Upload(command, box, store.blobs.spill())


async def finish(context: Context, upload: Upload) -> Completion:
    """Put the message into its mailbox; OK is made only after the commit."""
    command, box = upload.command, upload.mailbox
    # Security: a NUL cannot be sent back in a literal (RFC 3501 section 9, CHAR8).
    if upload.has_nul:
        return Completion("NO", "the message has a NUL byte")
    content = await upload.content()
    if not size_of(content):
        return Completion("NO", "the message is empty")
    at_ms = command.received_at_ms
    if at_ms is None:
        at_ms = context.clock.now_ms()
    staged = await context.store.blobs.stage_any([content])
    item = PutMessage(box.account_id, box.mailbox_id, staged, command.flags, at_ms)
    try:
        appended = await context.store.write(put_messages, item)
    except NoSuchMailbox:
        context.store.blobs.discard(staged)
        return TRY_CREATE
    except ReserveReached:
        context.store.blobs.discard(staged)
        raise
    code = f"APPENDUID {box.uid_validity} {appended.uid}"
    return Completion("OK", "message is stored", code)


class LineEnds:
    """Makes every line end CRLF, piece by piece.

    Deviation: RFC 3501 section 6.3.11 has a message stored as it came. Programs append with bare
    LF (mutt, old scripts; 2026-11-23), and a draft of today is sent tomorrow: no message with a
    bare CR or LF may ever leave us (SMTP smuggling). A message with CRLF alone is kept byte for
    byte.
    """

    def __init__(self) -> None:
        self._carry = b""  # a CR at the end of a piece: half of a CRLF, or a bare one

    def clean(self, piece: bytes) -> bytes:
        """Return the piece with its line ends mended; a last CR waits for the next piece."""
        data = self._carry + piece
        self._carry = b""
        if data.endswith(b"\r"):
            data, self._carry = data[:-1], b"\r"
        # As many CR as LF as CRLF: there is no bare one, and nothing is rewritten.
        pairs = data.count(b"\r\n")
        if data.count(b"\r") != pairs or data.count(b"\n") != pairs:
            data = _BARE.sub(b"\r\n", data)
        return data

    def end(self) -> bytes:
        """Return what is still to come."""
        carry, self._carry = self._carry, b""
        return b"\r\n" if carry else b""
