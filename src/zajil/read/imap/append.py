"""APPEND and REPLACE. (RFC 3501 section 6.3.11, RFC 3502, RFC 4469, RFC 8508)

Laws:
- OK is made after the one commit that holds all messages of the command, never before.
- A message past ``store.inline_limit`` goes to a file while it arrives; so do the small ones of a
  command once they are many. No command makes us keep more than that in memory.
- What was refused is never asked for, where the client waits to be asked.
"""

from __future__ import annotations

from collections.abc import Awaitable

from zajil.core.ids import Uid
from zajil.imap.append_command import (
    AppendCommand,
    AppendEnd,
    AppendMore,
    AppendStep,
    LiteralPart,
    NewMessage,
    Replaced,
    UrlPart,
)
from zajil.imap.message_url import BadUrl, parse_message_url
from zajil.imap.response import Completion, untagged_status
from zajil.imap.sequence_set import format_set
from zajil.read.imap.catenate import find_url, read_part
from zajil.read.imap.context import TRY_CREATE, Context
from zajil.read.imap.flags import READ_ONLY
from zajil.read.imap.incoming import IncomingMessage
from zajil.store.engine.errors import ReserveReached
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.blobs import StagedBlob
from zajil.store.mail.mailboxes import Mailbox, find_mailbox
from zajil.store.mail.message_changes import ExpungeMessages, PutMessage
from zajil.store.mail.room import OverQuota
from zajil.store.mail.uploads import MessageIsGone, Upload, put_uploads

MAX_MESSAGES = 1000
"""Messages of one command: they are one commit, and others wait for it."""
_MAX_HELD = 1 << 22
"""Bytes of small messages of one command that are kept in memory."""

_TOO_BIG = Completion("NO", "message is too large", "TOOBIG")
_GONE = Completion("NO", "the message to be replaced is gone", "EXPUNGEISSUED")


class Uploading:
    """The messages of one command on their way in."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._target: Mailbox | None = None
        self._replaced: ExpungeMessages | None = None
        self._message: IncomingMessage | None = None  # the one that is coming
        self._messages: list[PutMessage] = []  # those that have come
        self._held = 0

    async def begin(self, command: AppendCommand) -> Completion | None:
        """Check whether the mailbox may take messages, before they are sent.

        Returns:
            A refusal; ``None``: the client may go on.
        """
        context = self._context
        if command.replaced is not None:
            refusal = self._choose(command.replaced)
            if refusal is not None:
                return refusal
        owner = context.account.account_id
        box = await context.read(lambda conn: find_mailbox(conn, owner, command.mailbox))
        if box is None:
            return TRY_CREATE
        self._target = box
        size = sum([step.size for step in command.steps if isinstance(step, LiteralPart)])
        # What REPLACE takes away makes room: the commit decides.
        is_edit = command.replaced is not None
        refusal = await context.refuse_more(box, 1, size=size, moved=is_edit)
        return refusal or await self._take(command.steps)

    async def go_on(self, event: AppendMore) -> Completion | None:
        """Take what stands between two literals; give a refusal or ``None``."""
        return await self._take(event.steps)

    def add(self, chunk: bytes) -> Awaitable[None] | None:
        """Keep a piece of a literal; wait for what this gives before the next one."""
        if self._message is None:
            raise RuntimeError("a literal came that nobody asked for")
        return self._message.add(chunk)

    async def finish(self, event: AppendEnd) -> Completion:
        """Put all messages into the mailbox; OK is made only after the commit."""
        refusal = event.refusal or await self._take(event.steps) or await self._end_message()
        if refusal is None:
            size = sum([one.content.size for one in self._messages])
            refusal = await self._context.refuse_more(
                self._box, len(self._messages), size=size, moved=self._replaced is not None
            )
        if refusal is not None:
            return refusal
        # Where the store fails otherwise, they may be on disk, and their files must stay.
        messages, self._messages = self._messages, []
        try:
            return await self._commit(messages)
        except (NoSuchMailbox, MessageIsGone, ReserveReached, OverQuota) as error:
            self._messages = messages
            if isinstance(error, ReserveReached | OverQuota):
                raise
            return TRY_CREATE if isinstance(error, NoSuchMailbox) else _GONE

    def discard(self) -> None:
        """Forget all messages; not to be called while a commit may hold them."""
        messages, self._messages, self._message = self._messages, [], None
        for one in messages:
            self._context.store.blobs.discard(one.content)

    @property
    def _box(self) -> Mailbox:
        if self._target is None:
            raise RuntimeError("no mailbox was found")
        return self._target

    def _choose(self, replaced: Replaced) -> Completion | None:
        view = self._context.selected
        if view.read_only:
            return READ_ONLY
        if replaced.uid:
            uid = replaced.number or (view.uids[-1] if view.uids else 0)
            if view.number_of(Uid(uid)) is None:
                return _GONE
        else:
            number = replaced.number or len(view.uids)
            if not 0 < number <= len(view.uids):
                return Completion("BAD", "no such message")
            uid = view.uids[number - 1]
        box = view.mailbox
        self._replaced = ExpungeMessages(
            box.account_id, box.mailbox_id, (Uid(uid),), deleted_only=False
        )
        return None

    async def _take(self, steps: tuple[AppendStep, ...]) -> Completion | None:
        for step in steps:
            match step:
                case NewMessage():
                    refusal = await self._end_message()
                    if refusal is None and len(self._messages) == MAX_MESSAGES:
                        refusal = Completion("NO", "too many messages in one command", "LIMIT")
                    self._message = IncomingMessage(step, self._context.store.blobs)
                case UrlPart(url):
                    refusal = await self._take_url(url)
                case LiteralPart():
                    refusal = self._expect(step)
            if refusal is not None:
                return refusal
        return None

    def _expect(self, literal: LiteralPart) -> Completion | None:
        message = self._message
        if message is None:
            raise RuntimeError("a literal of no message")
        if message.size + literal.size > self._context.engine.limits.max_message:
            return _TOO_BIG
        if literal.binary:
            message.begin_binary()
        return None

    async def _take_url(self, url: str) -> Completion | None:
        message, context = self._message, self._context
        if message is None:
            raise RuntimeError("a URL of no message")
        blobs = context.store.blobs
        try:
            parsed = parse_message_url(url)
            box = context.view and context.view.mailbox.name
            part = await context.read(
                find_url(blobs, context.account.account_id, parsed, box or "")
            )
            if message.size + part.size > context.engine.limits.max_message:
                return _TOO_BIG
            for span in part.pieces():
                piece = await context.read(read_part(blobs, part, span))
                if (taken := message.add(piece)) is not None:
                    await taken
            if (taken := message.add(part.tail)) is not None:
                await taken
        except BadUrl as error:
            return Completion("NO", str(error), f"BADURL {_printable(url)}")
        return None

    async def _end_message(self) -> Completion | None:
        """Keep the message that has come, if there is one; give a refusal or ``None``."""
        message, self._message = self._message, None
        if message is None:
            return None
        context = self._context
        staged = await message.stage(in_memory=self._held < _MAX_HELD)
        if not isinstance(staged, StagedBlob):
            return staged
        if staged.content is not None:
            self._held += staged.size
        box, head = self._box, message.head
        at_ms = context.clock.now_ms() if head.received_at_ms is None else head.received_at_ms
        self._messages.append(PutMessage(box.account_id, box.mailbox_id, staged, head.flags, at_ms))
        return None

    async def _commit(self, messages: list[PutMessage]) -> Completion:
        context, box = self._context, self._box
        item = Upload(tuple(messages), self._replaced)
        if self._replaced is None:
            placed = await context.write(put_uploads, item, len(messages))
        else:
            placed = await context.write_alone(put_uploads, item)
        uids = format_set([one.uid for one in placed]).decode("ascii")
        code = f"APPENDUID {box.uid_validity} {uids}"
        if self._replaced is None:
            return Completion("OK", "message is stored", code)
        # RFC 8508 section 4.3: before the EXPUNGE response that follows.
        context.engine.untagged(untagged_status("OK", "message is stored", code))
        return Completion("OK", "message is replaced")


def _printable(url: str) -> str:
    """Return a URL as a response code may hold it."""
    return "".join([one for one in url if " " <= one <= "~" and one != "]"])[:1000]
