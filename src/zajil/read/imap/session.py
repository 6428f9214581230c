"""One IMAP connection: who it is, and which command goes where. (RFC 3501 section 6)

Law: every answer is OK, NO or BAD. What the store cannot do now is NO [UNAVAILABLE]; a fault of
ours leaves this file as an exception, and the connection ends with BYE.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from zajil.core.ids import ID_RANDOM_SIZE, new_session_id
from zajil.core.line_engine import End
from zajil.imap import command as c
from zajil.imap.append_command import AppendCommand, AppendEnd, AppendMore
from zajil.imap.feature import Feature
from zajil.imap.notify import NotifyCommand
from zajil.imap.response import Completion, untagged, untagged_status
from zajil.imap.search_command import MultiSearch, Search, Sort, Thread
from zajil.imap.search_key import has_numbers
from zajil.imap.server import ImapServerConnection
from zajil.imap.state import ALLOWED, ImapState
from zajil.login.account import Origin
from zajil.login.exchange import Failure, Outcome
from zajil.login.session_login import SessionLogin
from zajil.net.line_protocol import Connection
from zajil.net.logger import get_logger
from zajil.net.peer import Peer
from zajil.read.imap import append, copy_move, expunge, select
from zajil.read.imap.capabilities import capabilities_after_login, capabilities_before_login
from zajil.read.imap.condstore import complete
from zajil.read.imap.context import Context
from zajil.read.imap.enable import compress, enable
from zajil.read.imap.fetch import fetch
from zajil.read.imap.flags import store_flags
from zajil.read.imap.mailbox_commands import answer_about_mailboxes
from zajil.read.imap.outcome import NEEDS_APP_PASSWORD, TOO_MANY_SESSIONS, UNAVAILABLE, outcome
from zajil.read.imap.postponed import PostponedAppends
from zajil.read.imap.searches import answer_search, names_numbers
from zajil.sasl.step import Challenge
from zajil.store.engine.errors import StoreError
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.tracking.events import LoggedIn, SessionOpened, TrackingEvent

if TYPE_CHECKING:
    from zajil.read.imap.service import ImapServices

logger = get_logger()

_DONE_EXPECTED = Completion("BAD", "DONE expected")

_FAILURES: dict[Failure, Completion] = {
    Failure.CANCELLED: Completion("BAD", "cancelled"),
    Failure.MALFORMED: Completion("BAD", "malformed SASL response"),
    Failure.WRONG: Completion("NO", "wrong login or password", "AUTHENTICATIONFAILED"),
    Failure.NEEDS_APP_PASSWORD: NEEDS_APP_PASSWORD,
    Failure.UNAVAILABLE: UNAVAILABLE,
    Failure.UNKNOWN_MECHANISM: Completion("NO", "unknown mechanism", "CANNOT"),
    Failure.TOO_MANY_SESSIONS: TOO_MANY_SESSIONS,
}

_LOOKS = (c.NoopCommand, c.Idle, NotifyCommand, c.Check, c.Expunge, c.StatusCommand)
"""Commands with which the store is asked for news, whether it called or not."""
_SILENT = (c.Logout, c.Close, c.Unselect, c.Select)
"""Commands after which nothing is told of the mailbox: it is being left, or was just read."""
_ON_SELECTED = tuple(
    kind
    for kind, states in ALLOWED.items()
    if states == {ImapState.SELECTED} and kind not in (c.Close, c.Unselect)
)
"""Commands before which the rights on the selected mailbox are looked at again."""
_NUMBERED = (c.Fetch, c.StoreCommand, Search, Sort, Thread)
"""In their form without UID, numbers must not change under them (RFC 3501 section 7.4.1)."""


class ImapSession:
    """Answers the commands of one connection."""

    def __init__(
        self,
        services: ImapServices,
        peer: Peer,
        engine: ImapServerConnection,
        connection: Connection,
    ) -> None:
        self._services = services
        self._peer = peer
        self._engine = engine
        self._connection = connection
        self._opened_ms = services.clock.now_ms()
        self._session_id = new_session_id(self._opened_ms, services.login.random(ID_RANDOM_SIZE))
        origin = Origin(peer.host, services.service, self._session_id)
        self._log_in = SessionLogin(services.login, origin, connection.wake)
        self._context: Context | None = None
        self._upload: append.Uploading | None = None
        self._postponed = PostponedAppends()
        self._idling = self._is_recorded = False

    # ---- what net.connection calls ------------------------------------------------------------

    def answer(self, event: c.Event) -> Awaitable[Completion | None] | None:
        """Answer one event; may wait for the store and for the client.

        Returns:
            What completes the command; ``None``: it goes on, or the connection ends.
        """
        # Nothing waits, so that no task is made for it.
        if type(event) is c.LiteralChunk and self._upload is not None:
            return self._upload.add(event.data)
        if type(event) is AppendCommand and self._context is not None:
            upload = append.Uploading(self._context)
            if upload.begin_at_once(event) and not self._end_if_over():
                self._forget_upload()
                self._upload = upload
                self._engine.go_ahead()
                return None
        if type(event) is AppendEnd and self._may_postpone(event):
            self._postpone(event)
            return None
        return self._complete(event)

    async def _complete(self, event: c.Event) -> Completion | None:
        if self._end_if_over():
            return None
        if self._postponed:
            is_last = isinstance(event, AppendEnd)
            if isinstance(event, AppendEnd):
                self._postpone(event)
            await self._finish_postponed()
            if is_last or self._engine.close_reason:
                return None
        completion = self._ask_for_uids(event)
        if completion is None:
            completion = await outcome(self._context, self._answer(event))
        watcher = None if self._context is None else self._context.watcher
        if watcher is not None and completion is not None and completion.status == "OK":
            watcher.ignore(event)
        if completion is None or not await self._report(event):
            return None
        return completion if self._context is None else complete(self._context, completion)

    def news(self) -> Awaitable[None] | None:
        """Send what is new to a client that idles, or asked for it by NOTIFY.

        End the session if its credentials changed.
        """
        if self._end_if_over() or self._context is None:
            return None
        if self._postponed:
            return self._finish_postponed()
        watches = self._context.watcher is not None and self._upload is None
        return self._tell() if self._idling or watches else None

    def _may_postpone(self, end: AppendEnd) -> bool:
        """Whether an APPEND may share the commit of the next one, which has come already."""
        if self._upload is None or not self._upload.is_like_the_last or end.refusal is not None:
            return False
        return not self._postponed.is_full and self._engine.is_append_next()

    def _postpone(self, end: AppendEnd) -> None:
        if self._upload is None:
            raise RuntimeError("the end of an APPEND that was not begun")
        self._postponed.take(self._engine.postpone(), self._upload, end)
        self._upload = None
        # Should the next command turn out to be wrong, nothing else would end the wait.
        self._connection.wake()

    async def _finish_postponed(self) -> None:
        context = self._context
        if context is None:
            return
        completions = await self._postponed.finish(context)
        if await self._report(AppendEnd()):
            for tag, completion in completions:
                self._engine.complete(tag, complete(context, completion))

    def tls_started(self, version: str, cipher: str) -> None:
        """Nothing was learned in the clear: nobody can log in there."""

    def closed(self, reason: str) -> None:
        """Release the log-in and the mailbox."""
        logger.debug("IMAP session closed", peer=str(self._peer), reason=reason)
        self._log_in.close()
        self._forget_upload()
        self._postponed.discard()
        self._leave()

    # ---- dispatch ---------------------------------------------------------------------------

    async def _answer(self, event: c.Event) -> Completion | None:
        """Do what is asked; ``None``: nothing is to be completed now."""
        match event:
            case c.Capability():
                words = self._capabilities(logged_in=self._context is not None)
                self._engine.untagged(untagged(b"CAPABILITY", words.encode()))
                return Completion("OK", "CAPABILITY completed")
            case c.NoopCommand():
                return Completion("OK", "NOOP completed")
            case c.Logout():
                self._engine.untagged(untagged_status("BYE", "logging out"))
                return Completion("OK", "logged out")
            case c.Id(client):
                logger.debug("IMAP client", peer=str(self._peer), client=client)
                self._engine.untagged(untagged(b'ID ("name" "Zajil")'))
                return Completion("OK", "ID completed")
            case c.StartTlsCommand() if not self._services.starttls:
                return Completion("BAD", "TLS is not available")
            case c.StartTlsCommand():
                return Completion("OK", "begin TLS now")
            # Security: also when a client ignores LOGINDISABLED, its password is not looked at.
            case c.LoginCommand() | c.Authenticate() if not self._engine.encrypted:
                return Completion("NO", "STARTTLS is required before log-in", "PRIVACYREQUIRED")
            case c.LoginCommand(login, password):
                return self._welcome(await self._log_in.check_password(login, password))
            case c.Authenticate(mechanism, initial):
                return self._welcome(await self._log_in.begin(mechanism, initial))
            case c.AuthenticateResponse(data):
                return self._welcome(await self._log_in.respond(data))
            case _ if self._context is not None:
                return await self._answer_owner(self._context, event)
        raise RuntimeError("the engine let a command through before log-in")

    async def _answer_owner(self, context: Context, event: c.Event) -> Completion | None:
        replaces = isinstance(event, AppendCommand) and event.replaced is not None
        if replaces or isinstance(event, _ON_SELECTED):
            await select.check_rights(context)
        match event:
            case c.Select():
                return await select.select(context, event)
            case c.Fetch():
                return await fetch(context, event)
            case c.StoreCommand():
                return await store_flags(context, event)
            case Search() | Sort() | Thread() | MultiSearch():
                return await answer_search(context, event)
            case c.Copy():
                return await copy_move.copy(context, event)
            case c.Expunge():
                return await expunge.expunge(context, event)
            case AppendCommand():
                self._forget_upload()
                self._upload = append.Uploading(context)
                return self._go_ahead(await self._upload.begin(event))
            case AppendMore() if self._upload is not None:
                return self._go_ahead(await self._upload.go_on(event))
            case AppendEnd() if self._upload is not None:
                completion = await self._upload.finish(event)
                self._forget_upload()
                return completion
            case c.Idle():  # RFC 2177
                # The continuation first, as Dovecot has it: some clients read no further for it.
                self._engine.go_ahead(b"idling")
                self._idling = True
                await self._report(event)
                return None
            case c.IdleDone(clean):
                self._idling = False
                return Completion("OK", "IDLE ended") if clean else _DONE_EXPECTED
            case c.Check():
                return Completion("OK", "checked")
            case c.Close():
                return await select.close(context)
            case c.Unselect():
                return select.unselect(context)
            case c.Enable():
                return enable(context, event)
            case c.Compress():
                return compress(context, event)
            case c.Unauthenticate():
                return self._unauthenticate()
        return await answer_about_mailboxes(context, event)

    def _ask_for_uids(self, event: c.Event) -> Completion | None:
        """Refuse a command with sequence numbers, if the client said that it uses none."""
        if Feature.UIDONLY not in self._engine.enabled:
            return None
        match event:
            case c.Fetch(uid=uid) | c.StoreCommand(uid=uid) | c.Copy(uid=uid):
                is_numbered = not uid
            case Search(key, uid) | Sort(_, key, uid) | Thread(_, key, uid):
                is_numbered = not uid or has_numbers(key)
            case MultiSearch(key=key):
                is_numbered = has_numbers(key)
            case c.Select(known=c.KnownState(sample=sample)):
                is_numbered = sample is not None
            case AppendCommand(replaced=replaced):
                is_numbered = replaced is not None and not replaced.uid
            case _:
                is_numbered = False
        # RFC 9586 section 3
        return Completion("BAD", "UIDs are expected", "UIDREQUIRED") if is_numbered else None

    # ---- log-in -----------------------------------------------------------------------------

    def _welcome(self, outcome: Outcome) -> Completion | None:
        """Answer a step of a log-in; ``None``: the exchange goes on."""
        if isinstance(outcome, Challenge):
            self._engine.go_ahead(b64encode(outcome.data))
            return None
        if isinstance(outcome, Failure):
            return _FAILURES[outcome]
        front, peer = self._services, self._peer
        services = front.others.get(outcome.shard, front)
        self._context = Context(
            store=services.store,
            account=outcome,
            engine=self._engine,
            connection=self._connection,
            clock=services.clock,
        )
        now_ms = services.clock.now_ms()
        mechanism = self._log_in.mechanism
        events: tuple[TrackingEvent, ...] = (
            LoggedIn(now_ms, outcome.login, mechanism, services.service, peer.host),
        )
        if not self._is_recorded:  # after UNAUTHENTICATE it is
            self._is_recorded = True
            opened = SessionOpened(self._opened_ms, services.service, str(peer), peer.local)
            events = (opened, *events)
        batch = EventBatch(self._session_id, None, now_ms, events)
        services.store.write_later(record_events, batch)
        words = self._capabilities(logged_in=True)
        return Completion("OK", "logged in", f"CAPABILITY {words}")

    def _unauthenticate(self) -> Completion:
        """Forget the log-in and all that came of it; TLS and compression stay. (RFC 8437)"""
        self._leave()
        self._context = None
        self._log_in.forget()
        self._engine.enabled.clear()
        words = self._capabilities(logged_in=False)
        return Completion("OK", "logged out", f"CAPABILITY {words}")

    def _end_if_over(self) -> bool:
        """End the connection if the credentials of its log-in changed."""
        if self._log_in.has_ended:
            self._engine.end(End.CREDENTIALS)
        return self._log_in.has_ended

    def _capabilities(self, *, logged_in: bool) -> str:
        engine, services = self._engine, self._services
        if logged_in:
            return capabilities_after_login(engine.limits.max_message, compressed=engine.compressed)
        return capabilities_before_login(
            services.login.mechanisms, encrypted=engine.encrypted, starttls=services.starttls
        )

    # ---- the rest ---------------------------------------------------------------------------

    def _go_ahead(self, refusal: Completion | None) -> Completion | None:
        """Ask for what an APPEND still has, unless it is refused."""
        if refusal is None:
            self._engine.go_ahead()
        else:
            self._forget_upload()
        return refusal

    def _forget_upload(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.discard()

    async def _tell(self) -> None:
        await self._report(None)

    async def _report(self, event: c.Event | None) -> bool:
        """Send what happened meanwhile, before the tagged line; false: the connection ends."""
        if self._context is None or isinstance(event, _SILENT):
            return True
        numbered = isinstance(event, _NUMBERED) and not event.uid
        numbered = numbered or names_numbers(event)
        look, watcher = isinstance(event, _LOOKS), self._context.watcher
        try:
            if watcher is None:
                return await select.report(self._context, expunge=not numbered, look=look)
            return await watcher.report(event, expunge=not numbered, look=look, idles=self._idling)
        except StoreError as error:
            # What was asked has been done: its answer must not say otherwise.
            logger.error("IMAP: the store cannot answer", reason=str(error))
            return True

    def _leave(self) -> None:
        if self._context is not None:
            select.leave(self._context)
            if self._context.watcher is not None:
                self._context.watcher.close()
