"""One IMAP connection: who it is, and which command goes where. (RFC 3501 section 6)

Law: every answer is OK, NO or BAD. What the store cannot do now is NO [UNAVAILABLE]; a fault of
ours leaves this file as an exception, and the connection ends with BYE.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from zajil.core.clock import Clock
from zajil.core.service import Service
from zajil.imap import command as c
from zajil.imap.grammar import BadSyntax
from zajil.imap.response import Completion, untagged, untagged_status
from zajil.imap.server import ImapServerConnection
from zajil.imap.state import ImapState
from zajil.login.service import LoginService
from zajil.net.drive_imap import Stream
from zajil.net.peer import Peer
from zajil.read.imap import append, copy_move, expunge, idle, mailbox_admin, mailbox_list, select
from zajil.read.imap.context import NO_MAILBOX, Context
from zajil.read.imap.fetch import fetch
from zajil.read.imap.flags import store_flags
from zajil.read.imap.log_in import ImapLogin
from zajil.read.imap.search import search
from zajil.store.engine.errors import StoreError
from zajil.store.engine.open import Store
from zajil.store.mail.append import NoSuchMailbox

_UNAVAILABLE = Completion("NO", "try again later", "UNAVAILABLE")

_LOOKS = (c.NoopCommand, c.Check, c.Expunge, c.StatusCommand)
"""Commands before whose end the store is asked for news, whether it called or not."""
_SILENT = (c.Logout, c.Close, c.Unselect, c.Select)
"""Commands after which nothing is told of the mailbox: it is being left, or was just read."""
_NUMBERED = (c.Fetch, c.StoreCommand, c.Search)
"""In their form without UID, numbers must not change under them (RFC 3501 section 7.4.1)."""


@dataclass(frozen=True, slots=True)
class ImapServices:
    """What every session of a listener uses."""

    store: Store
    login: LoginService
    clock: Clock
    starttls: bool
    """Offered while the connection is in the clear."""
    service: Service
    """``imap`` or ``imaps``: for events and the throttle."""


def capabilities(services: ImapServices, *, encrypted: bool, logged_in: bool) -> str:
    """Name what works in this state. (RFC 3501 section 6.1.1)"""
    words = ["IMAP4rev1", "LITERAL+", "ID", "ENABLE"]
    if logged_in:
        words += ["IDLE", "NAMESPACE", "UIDPLUS", "MOVE", "UNSELECT", "CHILDREN"]
        words += ["SPECIAL-USE", "LIST-EXTENDED", "LIST-STATUS"]
    elif encrypted:
        words += ["SASL-IR", *(f"AUTH={name}" for name in services.login.mechanisms)]
    else:
        # Security: no password in the clear (RFC 8314 section 4.1).
        words += ["SASL-IR", *(["STARTTLS"] if services.starttls else []), "LOGINDISABLED"]
    return " ".join(words)


class ImapSession:
    """Answers the commands of one connection."""

    def __init__(
        self, services: ImapServices, peer: Peer, engine: ImapServerConnection, stream: Stream
    ) -> None:
        self._services = services
        self._peer = peer
        self._engine = engine
        self._stream = stream
        self._log_in = ImapLogin(
            services.login,
            services.store,
            services.clock,
            peer,
            services.service,
            engine,
            stream,
        )
        self._context: Context | None = None
        self._upload: append.Upload | None = None
        self._idling = False

    async def answer(self, event: c.Event) -> None:
        """Answer one event through the engine; may wait for the store and for the client."""
        if self._end_if_over():
            return
        try:
            completion = await self._answer(event)
        except BadSyntax as error:
            completion = error.completion
        except NoSuchMailbox:
            # The selected mailbox was deleted by somebody else: the report below ends with BYE.
            completion = NO_MAILBOX
            if self._context is not None and self._context.view is not None:
                self._context.view.changed = True
        except StoreError as error:
            structlog.get_logger("zajil").error("IMAP: the store cannot answer", reason=str(error))
            completion = _UNAVAILABLE
        if completion is not None and await self._report(event):
            self._engine.complete(completion)

    async def tell(self) -> None:
        """Send what is new while the client idles; end what has lost its right to be here."""
        if not self._end_if_over() and self._idling:
            await self._report(None)

    def closed(self, reason: str) -> None:
        """Let go of the mailbox."""
        structlog.get_logger("zajil").debug(
            "IMAP session closed", peer=str(self._peer), reason=reason
        )
        self._log_in.close()
        self._leave()

    # ---- dispatch ---------------------------------------------------------------------------

    async def _answer(self, event: c.Event) -> Completion | None:
        """Do what is asked; ``None``: nothing is to be completed now."""
        match event:
            case c.Capability():
                self._engine.untagged(untagged(b"CAPABILITY", self._capabilities().encode()))
                return Completion("OK", "capabilities are sent")
            case c.NoopCommand():
                return Completion("OK", "nothing done")
            case c.Logout():
                self._engine.untagged(untagged_status("BYE", "until next time"))
                return Completion("OK", "logged out")
            case c.Id():
                self._engine.untagged(untagged(b'ID ("name" "Zajil")'))
                return Completion("OK", "pleased to meet you")
            case c.LoginCommand(login, password):
                return self._welcome(await self._log_in.log_in(login, password))
            case c.Authenticate():
                return self._welcome(await self._log_in.authenticate(event))
            case c.AuthenticateResponse(data):
                return self._welcome(await self._log_in.go_on(data))
            case _ if self._context is not None:
                return await self._answer_owner(self._context, event)
        raise RuntimeError("the engine let a command through before log-in")

    async def _answer_owner(self, context: Context, event: c.Event) -> Completion | None:
        match event:
            case c.Select():
                return await select.select(context, event)
            case c.Fetch():
                return await fetch(context, event)
            case c.StoreCommand():
                return await store_flags(context, event)
            case c.Search():
                return await search(context, event)
            case c.Copy():
                return await copy_move.copy(context, event)
            case c.Expunge():
                return await expunge.expunge(context, event)
            case c.AppendCommand():
                return await self._begin_append(context, event)
            case c.LiteralChunk(data):
                taken = None if self._upload is None else self._upload.add(data)
                if taken is not None:
                    await taken
                return None
            case c.LiteralEnd():
                return await self._finish_append(context, event)
            case c.Idle():
                await idle.begin(context)
                self._idling = True
                return None
            case c.IdleDone():
                self._idling = False
                return idle.finish(event)
            case c.Check():
                return Completion("OK", "checked")
            case c.Close():
                return await select.close(context)
            case c.Unselect():
                return select.unselect(context)
            case c.Enable():
                self._engine.untagged(untagged(b"ENABLED"))
                return Completion("OK", "nothing to enable")
        return await self._answer_about_mailboxes(context, event)

    async def _answer_about_mailboxes(self, context: Context, event: c.Event) -> Completion:
        match event:
            case c.Create():
                return await mailbox_admin.create(context, event)
            case c.Delete():
                return await mailbox_admin.delete(context, event)
            case c.Rename():
                return await mailbox_admin.rename(context, event)
            case c.Subscribe():
                return await mailbox_admin.subscribe(context, event)
            case c.StatusCommand():
                return await mailbox_admin.status(context, event)
            case c.List():
                return await mailbox_list.list_(context, event)
            case c.Lsub():
                return await mailbox_list.lsub(context, event)
            case c.Namespace():
                return mailbox_list.namespace(context)
        raise RuntimeError(f"no answer to {type(event).__name__}")

    # ---- log-in -----------------------------------------------------------------------------

    def _welcome(self, refusal: Completion | None) -> Completion | None:
        """Say what a log-in came to; ``None``: the exchange goes on."""
        services, account = self._services, self._log_in.account
        if refusal is not None or account is None:
            return refusal
        self._context = Context(services.store, account, self._engine, self._stream, services.clock)
        words = capabilities(services, encrypted=True, logged_in=True)
        return Completion("OK", "welcome", f"CAPABILITY {words}")

    def _end_if_over(self) -> bool:
        """End the connection if its log-in holds no more."""
        if self._log_in.has_ended:
            self._engine.close("log in again", "log-in has ended")
        return self._log_in.has_ended

    def _capabilities(self) -> str:
        return capabilities(
            self._services,
            encrypted=self._engine.encrypted,
            logged_in=self._engine.state is not ImapState.NOT_AUTHENTICATED,
        )

    # ---- the rest ---------------------------------------------------------------------------

    async def _begin_append(self, context: Context, event: c.AppendCommand) -> Completion | None:
        upload = await append.begin(context, event)
        if isinstance(upload, Completion):
            return upload
        self._upload = upload
        self._engine.go_ahead()
        return None

    async def _finish_append(self, context: Context, event: c.LiteralEnd) -> Completion:
        upload, self._upload = self._upload, None
        if upload is None:
            raise RuntimeError("a message came that nobody asked for")
        if not event.clean:
            return Completion("BAD", "end of line expected after the message")
        return await append.finish(context, upload)

    async def _report(self, event: c.Event | None) -> bool:
        """Send what happened meanwhile, before the tagged line; false: the connection ends."""
        if self._context is None or isinstance(event, _SILENT):
            return True
        numbered = isinstance(event, _NUMBERED) and not event.uid
        try:
            return await select.report(
                self._context, expunge=not numbered, look=isinstance(event, _LOOKS)
            )
        except StoreError as error:
            # What was asked has been done: its answer must not say otherwise.
            structlog.get_logger("zajil").error("IMAP: the store cannot answer", reason=str(error))
            return True

    def _leave(self) -> None:
        if self._context is not None:
            select.leave(self._context)
