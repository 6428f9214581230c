"""What we answer on port 25, stage by stage (RFC 5321 section 4.1).

The engine has checked syntax and order before ``answer`` is called; what is left is policy. The
submission session is this one with a few answers replaced (``submit.session``).

A reply is given at once where memory suffices, and as a coroutine where it must wait for the
store; ``net.drive_smtp`` deals with both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar

from zajil.core.address import Address
from zajil.core.ids import ID_RANDOM_SIZE, SessionId, new_mail_id, new_session_id
from zajil.net.peer import Peer
from zajil.receive import replies
from zajil.receive.accept import accept_mail
from zajil.receive.services import ReceiveServices
from zajil.receive.spool import Spool
from zajil.receive.transaction import Recipient, Transaction
from zajil.route.directory_flow import ask_directory
from zajil.route.recipient import Local, RecipientRoute, Remote, Suspended, route_recipient
from zajil.smtp.command import (
    BodyEnd,
    Data,
    Ehlo,
    Event,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
)
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection
from zajil.store.tracking import EventBatch, record_events
from zajil.tracking.events import (
    CommandRefused,
    PeerGreeted,
    RecipientNamed,
    RecipientRefused,
    SenderNamed,
    SessionClosed,
    SessionOpened,
    TlsStarted,
    TrackingEvent,
)

Answer = Reply | Awaitable[Reply]

_MOST_EVENTS = 200
"""Events kept for one session or mail: a peer that talks for hours must not fill the memory."""


class ReceiveSession:
    """One connection of a foreign server."""

    def __init__(self, services: ReceiveServices, peer: Peer, conn: ServerConnection) -> None:
        self.services = services
        self.peer = peer
        self.conn = conn
        now_ms = services.clock.now_ms()
        self.session_id: SessionId = new_session_id(now_ms, services.random(ID_RANDOM_SIZE))
        self.claimed_name = ""
        """Of EHLO or HELO."""
        self.extended = False
        """It said EHLO, so it speaks ESMTP."""
        self.tls: str | None = None
        """Version and cipher, for people."""
        self.transaction: Transaction | None = None
        self.events: list[TrackingEvent] = [
            SessionOpened(now_ms, services.service, str(peer), peer.local)
        ]
        """About the connection, not yet recorded; the next mail's row takes them along."""
        self.mails = 0

    # ---- what net.drive_smtp calls ----------------------------------------------------------

    def answer(self, event: Event) -> Answer:
        """Decide what to say to one command or to the end of the data."""
        return self.ANSWERS[type(event)](self, event)

    def take_body(self, chunk: bytes) -> Awaitable[None] | None:
        """Keep a piece of the message; a large one has to wait for the disk now and then."""
        return None if self.transaction is None else self.transaction.spool.add(chunk)

    def tls_started(self, version: str, cipher: str) -> None:
        """Forget what was said in the clear (RFC 3207 section 4.2)."""
        self.claimed_name = ""
        self.transaction = None
        self.tls = f"{version} {cipher}"
        self._note(TlsStarted(self.services.clock.now_ms(), version, cipher, None))

    def closed(self, reason: str) -> None:
        """Record a session that came to nothing, or in which something was refused."""
        now_ms = self.services.clock.now_ms()
        refused = [
            CommandRefused(now_ms, command, str(reply)) for command, reply in self.conn.refusals
        ]
        unfinished = self.transaction.events if self.transaction else []
        self.transaction = None
        if self.mails and reason == "quit" and not (self.events or refused or unfinished):
            return
        events = (
            *self.events,
            *unfinished,
            *refused,
            SessionClosed(now_ms, reason, self.mails),
        )
        # Nobody waits for this row: the connection is gone. It shares the next commit.
        self.services.store.write_later(
            record_events, EventBatch(self.session_id, None, now_ms, events)
        )

    # ---- answers ----------------------------------------------------------------------------

    def answer_greeting(self, event: Ehlo | Helo) -> Answer:
        """EHLO, HELO: the transaction is over, the name is noted."""
        self.drop_transaction()
        self.claimed_name = event.client_name
        self.extended = isinstance(event, Ehlo)
        verb = "EHLO" if self.extended else "HELO"
        self._note(PeerGreeted(self.services.clock.now_ms(), verb, event.client_name))
        return replies.OK

    def answer_mail(self, event: Mail) -> Answer:
        """MAIL FROM: a transaction begins, unless its size or sender is refused."""
        size = event.declared_size
        if size is not None and size > self.services.limits.message_size:
            return self.refuse("MAIL", replies.TOO_LARGE)
        now_ms = self.services.clock.now_ms()
        transaction = Transaction(
            new_mail_id(now_ms, self.services.random(ID_RANDOM_SIZE)),
            now_ms,
            event.reverse_path,
            event.smtputf8,
            Spool(self.services.limits, self.services.store.blobs),
        )
        path = str(event.reverse_path) if event.reverse_path else ""
        transaction.events.append(SenderNamed(now_ms, path, event.parameters))
        self.transaction = transaction
        return replies.SENDER_OK

    def answer_rcpt(self, event: Rcpt) -> Answer:
        """RCPT TO: ask whose it is; the answer is a route or a refusal."""
        transaction = self._transaction()
        if len(transaction.recipients) >= self.services.limits.recipients:
            return self._refuse_recipient(event.forward_path, replies.TOO_MANY_RECIPIENTS)
        directory = self.services.store.directory
        flow = route_recipient(event.forward_path, directory.postmaster)
        route = ask_directory(flow, directory)
        if isinstance(route, Coroutine):
            return self._answer_rcpt_later(event.forward_path, route)
        return self._answer_route(event.forward_path, route)

    def answer_data(self, event: Data) -> Answer:
        """DATA: the engine has seen to it that there is a recipient."""
        return replies.GO_AHEAD

    async def answer_body_end(self, event: BodyEnd) -> Reply:
        """End of data: everything that can be said against the mail is said now."""
        transaction, self.transaction = self._transaction(), None
        reply = await accept_mail(self, transaction, event)
        if reply.code == 250:
            self.mails += 1
        return reply

    def answer_rset(self, event: Rset) -> Answer:
        """RSET: what was said of a mail is forgotten, but it leaves a trace."""
        self.drop_transaction()
        return replies.OK

    def answer_starttls(self, event: StartTls) -> Answer:
        """STARTTLS: the driver does the handshake after this reply."""
        return replies.START_TLS

    # ---- for submit.session, which replaces some answers ---------------------------------------

    def may_relay(self) -> bool:
        """Whether this peer may send to domains that are not ours."""
        return False

    def refuse(self, command: str, reply: Reply) -> Reply:
        """Note a refusal that is not about one recipient, and give it."""
        text = str(reply)
        self._note(CommandRefused(self.services.clock.now_ms(), command, text))
        return reply

    def drop_transaction(self) -> None:
        """Forget the mail under way; what was refused in it stays with the session."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            refused = [e for e in transaction.events if isinstance(e, RecipientRefused)]
            for event in refused:
                self._note(event)

    # ---- inside -----------------------------------------------------------------------------

    def _answer_route(self, address: Address, route: RecipientRoute) -> Reply:
        transaction = self._transaction()
        match route:
            case Local() | Remote() if isinstance(route, Local) or self.may_relay():
                if address.key not in transaction.keys:
                    transaction.keys.add(address.key)
                    transaction.recipients.append(Recipient(address, route))
                    kind = "local" if isinstance(route, Local) else "remote"
                    transaction.events.append(
                        RecipientNamed(self.services.clock.now_ms(), str(address), kind)
                    )
                return replies.RECIPIENT_OK
            case Remote():
                return self._refuse_recipient(address, replies.NO_RELAY)
            case Suspended():
                return self._refuse_recipient(address, replies.SUSPENDED)
            case _:
                return self._refuse_recipient(address, replies.NO_SUCH_RECIPIENT)

    async def _answer_rcpt_later(self, address: Address, route: Awaitable[RecipientRoute]) -> Reply:
        return self._answer_route(address, await route)

    def _refuse_recipient(self, address: Address, reply: Reply) -> Reply:
        text = str(reply)
        events = self._transaction().events
        if len(events) < _MOST_EVENTS:
            events.append(RecipientRefused(self.services.clock.now_ms(), str(address), text))
        return reply

    def _transaction(self) -> Transaction:
        # Invariant: the engine lets RCPT, DATA and the body through only after MAIL.
        if self.transaction is None:
            raise RuntimeError("no transaction")
        return self.transaction

    def _note(self, event: TrackingEvent) -> None:
        if len(self.events) < _MOST_EVENTS:
            self.events.append(event)

    ANSWERS: ClassVar[dict[type[Any], Callable[[Any, Any], Answer]]] = {
        Ehlo: answer_greeting,
        Helo: answer_greeting,
        Mail: answer_mail,
        Rcpt: answer_rcpt,
        Data: answer_data,
        BodyEnd: answer_body_end,
        Rset: answer_rset,
        StartTls: answer_starttls,
        Noop: lambda self, event: replies.OK,
        Vrfy: lambda self, event: replies.CANNOT_VERIFY,
        Help: lambda self, event: replies.HELP,
        Quit: lambda self, event: replies.BYE,
    }
