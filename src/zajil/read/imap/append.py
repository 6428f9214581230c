"""APPEND and REPLACE. (RFC 3501 section 6.3.11, RFC 3502, RFC 4469, RFC 8508)

Laws:
- OK is made after the one commit that holds all messages of the command, never before.
- A message past ``store.inline_limit`` goes to a file while it arrives; so do the small ones of a
  command once they are many. No command makes us keep more than that in memory.
- What was refused is never asked for, where the client waits to be asked.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

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
from zajil.imap.feature import Feature
from zajil.imap.message_url import BadUrl, parse_message_url
from zajil.imap.response import Completion, untagged_status
from zajil.imap.sequence_set import format_set
from zajil.read.imap.catenate import find_url, read_part
from zajil.read.imap.context import NO_PERMISSION, TRY_CREATE, Context
from zajil.read.imap.flags import READ_ONLY
from zajil.read.imap.incoming import IncomingMessage
from zajil.read.imap.mailbox_names import tell_name
from zajil.store.engine.errors import ReserveReached
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.blobs import StagedBlob
from zajil.store.mail.mailboxes import Mailbox
from zajil.store.mail.message_changes import ExpungeMessages, PutMessage
from zajil.store.mail.room import OverQuota
from zajil.store.mail.uploads import MailboxIsFull, MessageIsGone, Upload, put_uploads

MAX_MESSAGES = 1000
"""Messages of one command: they are one commit, and others wait for it."""
_MAX_HELD = 1 << 22
"""Bytes of small messages of one command that are kept in memory."""
_SMALL = 65_536
"""Bytes of a message whose mailbox is not looked up before it comes."""

_TOO_BIG = Completion("NO", "message is too large", "TOOBIG")
_GONE = Completion("NO", "the message to be replaced is gone", "EXPUNGEISSUED")


class Uploading:
    """The messages of one command on their way in."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._target: Mailbox | None = None
        self._is_known = False  # the mailbox, from an earlier command
        self._replaced: ExpungeMessages | None = None
        self._message: IncomingMessage | None = None  # the one that is coming
        self._messages: list[PutMessage] = []  # those that have come
        self._held = 0
        self._given = ""

    def begin_at_once(self, command: AppendCommand) -> bool:
        """Begin like the APPEND before, if this one is like it: nothing has to be looked up.

        The commit finds out what has changed since. A large message is not taken so: the client
        should learn before it sends it that the mailbox is full.
        """
        target = self._context.target
        if target is None or target.name != command.mailbox or command.replaced is not None:
            return False
        if command.given:
            return False
        head, *parts = command.steps
        if not isinstance(head, NewMessage) or len(parts) != 1:
            return False
        (literal,) = parts
        if not isinstance(literal, LiteralPart) or literal.size > _SMALL:
            return False
        if literal.binary or literal.utf8:
            return False
        self._target, self._is_known = target, True
        self._message = IncomingMessage(head, self._context.store.blobs)
        return True

    async def begin(self, command: AppendCommand) -> Completion | None:
        """Check whether the mailbox may take messages, before they are sent.

        Returns:
            A refusal; ``None``: the client may go on.
        """
        self._given = command.given
        if command.replaced is not None:
            refusal = self._choose(command.replaced)
            if refusal is not None:
                return refusal
        refusal = await self._find(command.mailbox)
        if refusal is None:
            size = sum([step.size for step in command.steps if isinstance(step, LiteralPart)])
            refusal = await self._refuse(1, size)
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
        # One message of the size that was announced has been looked at already.
        if refusal is None and not self._is_known and len(self._messages) > 1:
            refusal = await self._refuse_all()
        if refusal is not None:
            return refusal
        try:
            return await self._commit()
        except (NoSuchMailbox, MailboxIsFull, OverQuota):
            if not self._is_known:
                raise
        # What was known of the mailbox holds no more: look again, as if nothing had been known.
        self._is_known, self._context.target = False, None
        refusal = await self._find(self._box.name) or await self._refuse_all()
        return refusal or await self._commit()

    @property
    def is_like_the_last(self) -> bool:
        """Whether ``begin_at_once`` took it: one small message for the mailbox of the last one."""
        return self._is_known and not self._messages

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

    async def _find(self, name: str) -> Completion | None:
        context = self._context
        self._target = await context.find_mailbox(name, "i")
        return TRY_CREATE if self._target is None else None

    async def _refuse(self, count: int, size: int) -> Completion | None:
        """Refuse what there is no room for; what REPLACE takes away makes some."""
        is_edit = self._replaced is not None
        return await self._context.refuse_more(self._box, count, size=size, moved=is_edit)

    async def _refuse_all(self) -> Completion | None:
        size = sum([one.content.size for one in self._messages])
        moved = [replace(one, mailbox_id=self._box.mailbox_id) for one in self._messages]
        self._messages = moved
        return await self._refuse(len(moved), size)

    def _choose(self, replaced: Replaced) -> Completion | None:
        view = self._context.selected
        if view.read_only:
            return READ_ONLY
        # RFC 8508 section 4.4
        if not view.mailbox.rights.issuperset("te"):
            return NO_PERMISSION
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
            box.account_id, box.mailbox_id, (Uid(uid),), False, right="te"
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
        if literal.utf8 and not self._context.engine.utf8:
            return Completion("NO", "UTF8=ACCEPT is not enabled", "CANNOT")
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

    async def _commit(self) -> Completion:
        context, box, replaced = self._context, self._box, self._replaced
        # Where the store fails otherwise, they may be on disk, and their files must stay.
        messages, self._messages = self._messages, []
        item = Upload(tuple(messages), box.name if self._is_known else None, replaced)
        try:
            if replaced is None:
                placed = await context.write(put_uploads, item, len(messages))
            else:
                placed = await context.write_alone(put_uploads, item)
        except (NoSuchMailbox, MessageIsGone) as error:
            self._messages = messages
            if self._is_known:
                raise
            return _GONE if isinstance(error, MessageIsGone) else TRY_CREATE
        except (MailboxIsFull, ReserveReached, OverQuota):
            self._messages = messages
            raise
        context.target = None if box.is_shared else box
        if self._given and Feature.IMAP4REV2 in context.engine.enabled:
            await tell_name(context, box.name, self._given)
        # RFC 4315 section 3: who may not select the mailbox learns nothing about it.
        if "r" not in box.rights:
            return Completion("OK", "message is stored")
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
