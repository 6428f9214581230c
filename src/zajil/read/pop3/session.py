"""One POP3 connection: who it is, and what is answered. (RFC 1939)

Laws:
- Messages are deleted after QUIT alone, never when a connection ends otherwise.
- What the store cannot do now is -ERR [SYS/TEMP]; a fault of ours leaves this file as an exception,
  and the connection ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import field

from zajil.core.clock import Clock
from zajil.core.ids import ID_RANDOM_SIZE, Uid, new_session_id
from zajil.core.line_engine import End
from zajil.core.service import Service
from zajil.core.value_class import value_class
from zajil.login.account import Account, Origin
from zajil.login.exchange import Failure, Outcome
from zajil.login.service import LoginService
from zajil.login.session_login import SessionLogin
from zajil.net.line_protocol import Connection
from zajil.net.logger import get_logger
from zajil.net.peer import Peer
from zajil.pop3 import command as c
from zajil.pop3.reply import END, Answer, AnswerLines, Continuation, StatusLine, error
from zajil.pop3.server import Pop3ServerConnection
from zajil.pop3.texts import Text
from zajil.read.pop3.download import ReadAhead, open_download, size_line
from zajil.read.pop3.locks import MaildropLocks
from zajil.read.pop3.maildrop import Maildrop, open_maildrop
from zajil.sasl.step import Challenge
from zajil.store.engine.errors import StoreError
from zajil.store.engine.open import Store
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.tracking.events import LoggedIn, SessionOpened

logger = get_logger()

_DELETED = 500
"""Messages that one commit deletes: others write in between."""
_SENT_AT_ONCE = 131_072
"""Bytes of messages that were read ahead and may wait to be sent."""

# RFC 3206 section 4: AUTH means that the credentials are wrong, SYS/TEMP that they may be right.
_FAILURES: dict[Failure, StatusLine] = {
    Failure.CANCELLED: error(Text.CANCELLED),
    Failure.MALFORMED: error(Text.MALFORMED),
    Failure.WRONG: error(Text.WRONG_PASSWORD, "AUTH"),
    Failure.NEEDS_APP_PASSWORD: error(Text.NEEDS_APP_PASSWORD, "AUTH"),
    Failure.UNAVAILABLE: error(Text.TRY_LATER, "SYS/TEMP"),
    Failure.UNKNOWN_MECHANISM: error(Text.UNKNOWN_MECHANISM),
    Failure.TOO_MANY_SESSIONS: error(Text.TOO_MANY_SESSIONS, "SYS/TEMP"),
}


@value_class(frozen=True, slots=True)
class Pop3Services:
    """What every session of a listener uses."""

    store: Store
    login: LoginService
    locks: MaildropLocks
    clock: Clock
    service: Service
    """``pop3`` or ``pop3s``: for events and the throttle."""
    others: Mapping[str, Pop3Services] = field(default_factory=dict)
    """The same for accounts of other shards, by name of the shard."""


class Pop3Session:
    """Answers the commands of one connection."""

    def __init__(
        self,
        services: Pop3Services,
        peer: Peer,
        engine: Pop3ServerConnection,
        connection: Connection,
    ) -> None:
        self._services = self._front = services
        self._peer = peer
        self._engine = engine
        self._connection = connection
        self._opened_ms = services.clock.now_ms()
        self._session_id = new_session_id(self._opened_ms, services.login.random(ID_RANDOM_SIZE))
        origin = Origin(peer.host, services.service, self._session_id)
        self._log_in = SessionLogin(services.login, origin, connection.wake)
        self._drop: Maildrop | None = None
        self._ahead: ReadAhead | None = None

    # ---- what net.connection calls ------------------------------------------------------------

    def answer(self, event: c.Event) -> Answer | Awaitable[Answer | None] | None:
        """Answer one event: at once where nothing has to be waited for."""
        if self._end_if_over():
            return None
        drop = self._drop
        if drop is None:
            return self._try(self._answer_stranger(event))
        now = self._answer_now(drop, event)
        return self._try(self._answer_owner(drop, event)) if now is None else now

    def news(self) -> None:
        """End the session if its credentials changed."""
        self._end_if_over()

    def tls_started(self, version: str, cipher: str) -> None:
        """Nothing was learned in the clear: nobody can log in there."""

    def closed(self, reason: str) -> None:
        """Release the log-in and the maildrop."""
        logger.debug("POP3 session closed", peer=str(self._peer), reason=reason)
        self._log_in.close()
        if self._ahead is not None:
            self._ahead.close()
        self._services.locks.release_later(self._session_id)

    # ---- dispatch ---------------------------------------------------------------------------

    async def _try(self, answer: Awaitable[Answer | None]) -> Answer | None:
        try:
            return await answer
        except StoreError as failure:
            logger.error("POP3: the store cannot answer", reason=str(failure))
            return error(Text.TRY_LATER, "SYS/TEMP")

    async def _answer_stranger(self, event: c.Event) -> Answer | None:
        match event:
            case c.PasswordLogin(name, password):
                return await self._welcome(await self._log_in.check_password(name, password))
            case c.AuthCommand(mechanism, initial):
                return await self._welcome(await self._log_in.begin(mechanism, initial))
            case c.ChallengeResponse(data):
                return await self._welcome(await self._log_in.respond(data))
        raise RuntimeError("the engine let a command through before log-in")

    def _answer_now(self, drop: Maildrop, event: c.Event) -> Answer | None:
        """Answer what needs the list of messages alone; ``None``: there is more to do."""
        if type(event) is c.Retr:  # looked at first: a client sends thousands
            return _missing(drop, event.number) or self._answer_about(drop, event, event.number)
        match event:
            case c.Stat():
                return AnswerLines(f"+OK {drop.count} {drop.total_size}\r\n".encode("ascii"))
            case c.ResetCommand():
                drop.unmark_all()
                return StatusLine(True, Text.UNMARKED)
            case c.ScanListing(int(n)) | c.Uidl(int(n)) | c.Dele(n) | c.Top(n, _):
                return _missing(drop, n) or self._answer_about(drop, event, n)
        return None

    def _answer_about(self, drop: Maildrop, event: c.Event, number: int) -> Answer | None:
        match event:
            case c.ScanListing():
                return AnswerLines(f"+OK {number} {drop.size(number)}\r\n".encode("ascii"))
            case c.Uidl():
                return AnswerLines(f"+OK {number} {drop.unique_id(number)}\r\n".encode("ascii"))
            case c.Dele():
                drop.mark(number)
                return StatusLine(True, Text.MARKED)
            case c.Retr() if self._engine.unsent_size() < _SENT_AT_ONCE:
                return self._take_ready(number)
        return None

    async def _answer_owner(self, drop: Maildrop, event: c.Event) -> Answer | None:
        match event:
            case c.QuitCommand():
                return await self._quit(drop)
            case c.ScanListing():
                return await self._send_list(Text.MESSAGES, drop.size_lines())
            case c.Uidl():
                return await self._send_list(Text.IDS, drop.id_lines())
            case c.Top(number, lines):
                return await self._send_message(drop, number, lines)
            case c.Retr(number):
                await self._connection.flush()
                return self._take_ready(number) or await self._send_message(drop, number, None)
        raise RuntimeError(f"no answer to {type(event).__name__}")

    def _take_ready(self, number: int) -> Answer | None:
        """Return a message that was read ahead; ``None``: it was not."""
        data = None if self._ahead is None else self._ahead.take(number, self._engine.language)
        return None if data is None else AnswerLines(data)

    # ---- log-in -----------------------------------------------------------------------------

    async def _welcome(self, outcome: Outcome) -> Answer | None:
        """Answer a step of a log-in."""
        if isinstance(outcome, Challenge):
            return Continuation(outcome.data)
        if isinstance(outcome, Failure):
            return _FAILURES[outcome]
        services = self._services = self._services.others.get(outcome.shard, self._services)
        try:
            refusal = await self._open(outcome)
        except BaseException:
            self._leave()
            raise
        if refusal is not None:
            self._leave()
            return refusal
        if self._end_if_over():
            return None
        now_ms, peer = services.clock.now_ms(), self._peer
        events = (
            SessionOpened(self._opened_ms, services.service, str(peer), peer.local),
            LoggedIn(now_ms, outcome.login, self._log_in.mechanism, services.service, peer.host),
        )
        batch = EventBatch(self._session_id, None, now_ms, events)
        services.store.write_later(record_events, batch)
        return StatusLine(True, Text.LOGGED_IN)

    async def _open(self, account: Account) -> StatusLine | None:
        """Take the maildrop and read its list; else give the refusal."""
        services = self._services
        if not await services.locks.take(account.account_id, self._session_id):
            return error(Text.IN_USE, "IN-USE")  # RFC 2449 section 8.1.1
        self._drop = await open_maildrop(services.store, account.account_id)
        self._ahead = ReadAhead(services.store, self._drop)
        return None

    def _leave(self) -> None:
        """Undo a log-in that got no maildrop: the client may try again."""
        self._log_in.forget()
        self._services.locks.release_later(self._session_id)
        self._services = self._front
        self._drop = self._ahead = None

    def _end_if_over(self) -> bool:
        """End the connection if the credentials of its log-in changed."""
        if self._log_in.has_ended:
            self._engine.end(End.CREDENTIALS)
        return self._log_in.has_ended

    # ---- the messages -----------------------------------------------------------------------

    async def _send_list(self, text: Text, portions: Iterator[bytes]) -> Answer:
        self._engine.send(StatusLine(True, text).to_bytes(self._engine.language))
        for portion in portions:
            self._engine.send(portion)
            await self._connection.flush()
            await asyncio.sleep(0)  # others' turn
        return AnswerLines(END)

    async def _send_message(
        self, drop: Maildrop, number: int, body_lines: int | None
    ) -> Answer | None:
        # Deviation: RFC 6856 has a server downgrade or refuse header fields in UTF-8 where the
        # client did not send UTF8. Few programs send it, and all of them read such fields
        # (2026-11-28): they are sent as they are.
        store, language = self._services.store, self._engine.language
        if body_lines is None and self._ahead is not None:
            data = await self._ahead.fetch(number, language)
            if data is not None:
                return AnswerLines(data)
        uid = drop.uid(number)
        download = await store.read(
            lambda conn: open_download(conn, store.blobs, drop, uid, body_lines), drop.account_id
        )
        if download is None:
            return error(Text.GONE)
        try:
            piece = await store.work(download.read_some, drop.account_id)
            is_whole = body_lines is None
            top = StatusLine(True, Text.MESSAGE).to_bytes(language)
            start = size_line(drop, number, language) if is_whole else top
            self._engine.send(start + piece)
            while not download.has_ended:
                await self._connection.flush()
                piece = await store.work(download.read_some, drop.account_id)
                self._engine.send(piece)
        except StoreError:
            self._engine.end(End.FAULT, "the store cannot answer")
            raise
        finally:
            download.close()
        return AnswerLines(b"")

    # ---- UPDATE (RFC 1939 section 6) ------------------------------------------------------------

    async def _quit(self, drop: Maildrop) -> Answer:
        """Delete what is marked, then let others have the maildrop."""
        locks, token = self._services.locks, self._session_id
        try:
            marked = drop.marked_uids()
            if marked and not await locks.still_has(token):
                return error(Text.NOT_REMOVED, "SYS/TEMP")
            for start in range(0, len(marked), _DELETED):
                await self._delete(drop, marked[start : start + _DELETED])
            await locks.release(token)
        except StoreError as failure:
            logger.error("POP3: the store cannot delete messages", reason=str(failure))
            return error(Text.NOT_REMOVED, "SYS/TEMP")
        return StatusLine(True, Text.GOODBYE)

    async def _delete(self, drop: Maildrop, uids: list[Uid]) -> None:
        item = ExpungeMessages(drop.account_id, drop.mailbox_id, tuple(uids), deleted_only=False)
        await self._services.store.write_large(expunge_messages, item, drop.account_id)


def _missing(drop: Maildrop, number: int) -> StatusLine | None:
    """Return why there is no message of this number; ``None``: there is one."""
    if not drop.has(number):
        return error(Text.NO_MESSAGE)
    return error(Text.DELETED) if drop.is_marked(number) else None
