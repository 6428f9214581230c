"""What we answer on port 25, stage by stage (RFC 5321 section 4.1).

The engine has checked syntax and order before ``answer`` is called; what is left is policy. The
submission session is this one with a few answers replaced (``submit.session``).

A reply is given at once where memory suffices, and as a coroutine where it must wait for the
store; ``net.connection`` handles both.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, ClassVar

from zajil.accept import replies
from zajil.accept.commit import record, record_refusal, refuse
from zajil.accept.context import ReceiveServices
from zajil.accept.known_peers import error_delay_ms
from zajil.accept.recipients import refuse_recipient, take_recipient
from zajil.accept.transaction import Transaction
from zajil.check.sender.peer import PeerFindings
from zajil.core.ids import ID_RANDOM_SIZE, SessionId, new_mail_id, new_session_id
from zajil.net.floods import VAIN_SESSION
from zajil.net.peer import Peer
from zajil.receive.accept import accept_mail, body_refusal
from zajil.receive.reported_peer import reported_peer
from zajil.route.directory_flow import ask_directory
from zajil.route.recipient import RecipientRoute, route_recipient
from zajil.smtp.command import (
    Bdat,
    BodyChunk,
    BodyEnd,
    Data,
    Ehlo,
    Event,
    Helo,
    Help,
    Lhlo,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    Xclient,
)
from zajil.smtp.reply import Reply, ReplyEach
from zajil.smtp.server import ServerConnection
from zajil.tracking.events import (
    AnswersSlowed,
    CommandRefused,
    LineEndsMended,
    PeerGreeted,
    PeerReported,
    SenderNamed,
    SessionClosed,
    SessionOpened,
    TlsStarted,
    TrackingEvent,
)

Answer = Reply | Awaitable[Reply | ReplyEach]

_MOST_EVENTS = 200
"""Events kept for one session or mail: a peer that talks for hours must not fill the memory."""

NOT_SENT = "the peer did not send the message"
"""Why a mail did not reach recipients that RCPT had accepted."""

_GREETINGS: dict[type[Event], str] = {Ehlo: "EHLO", Helo: "HELO", Lhlo: "LHLO"}


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
        self.looked: Future[PeerFindings] | None = None
        """What is being found out about the peer; the same for all its mails."""
        self.events: list[TrackingEvent] = [
            SessionOpened(now_ms, services.service, str(peer), peer.local)
        ]
        """About the connection, not yet recorded; the next mail's row takes them along."""
        self.mails = 0
        self.bad_recipients = 0
        """Refused in all mails of the session; recipients of accepted mails are taken off."""
        limits = services.limits
        self.soft_error_limit = limits.soft_error_limit if limits.error_delay_ms else limits.errors
        """More errors than this make the answers slow."""
        self.most_bad_recipients = limits.bad_recipients
        """At so many the session is closed; 0: no limit."""
        self._is_slowed = False
        self._most_recipients = services.most_recipients

    # ---- what net.connection calls ----------------------------------------------------------

    def answer(self, event: Event) -> Answer | Awaitable[None] | None:
        """Decide what to reply to one command or to the end of the message; keep its pieces.

        A reply that need not wait is returned as it is. A task for each of the five commands around
        a mail would cost 55 µs of CPU, a tenth of engine and session (tests/perf/stages.py).
        """
        if type(event) is BodyChunk:
            return self.take_body(event.data)
        if self.conn.errors > self.soft_error_limit and type(event) is not BodyEnd:
            return self._answer_slowly(event)
        return self.ANSWERS[type(event)](self, event)

    def take_body(self, chunk: bytes) -> Awaitable[None] | None:
        """Keep a piece of the message; a large one has to wait for the disk now and then."""
        return None if self.transaction is None else self.transaction.spool.add(chunk)

    def news(self) -> None:
        """See ``net.line_protocol.Session``: nothing that happens elsewhere concerns this one."""

    def tls_started(self, version: str, cipher: str) -> None:
        """Forget what was said in the clear (RFC 3207 section 4.2)."""
        self.claimed_name = ""
        self.transaction = None
        self.tls = f"{version} {cipher}"
        self.note(TlsStarted(self.services.clock.now_ms(), version, cipher, None))

    def closed(self, reason: str) -> None:
        """Record a session that came to nothing, or in which something was refused."""
        now_ms = self.services.clock.now_ms()
        refused = self._take_refusals(now_ms)
        if self.transaction is not None and self.transaction.refused:
            self.drop_transaction()
        unfinished = self.transaction.events if self.transaction else []
        self.transaction = None
        if self.mails and reason == "quit" and not (self.events or refused or unfinished):
            return
        closed = SessionClosed(now_ms, reason, self.mails)
        refusals = self.services.refusals
        if self.mails or refusals is None or refusals.takes(self.host, VAIN_SESSION):
            self._record((*self.events, *unfinished, *refused, closed))

    @property
    def host(self) -> str:
        """Address of the peer."""
        return self.peer.host

    # ---- answers ----------------------------------------------------------------------------

    def answer_greeting(self, event: Ehlo | Helo | Lhlo) -> Answer:
        """EHLO, HELO, LHLO: the transaction is over, the name is noted."""
        self.drop_transaction()
        if event.client_name != self.claimed_name:
            self.looked = None
        self.claimed_name = event.client_name
        self.extended = not isinstance(event, Helo)
        verb = _GREETINGS[type(event)]
        self.note(PeerGreeted(self.services.clock.now_ms(), verb, event.client_name))
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
            self.services.make_spool(),
            options=event.options,
        )
        path = str(event.reverse_path) if event.reverse_path else ""
        transaction.events.append(SenderNamed(now_ms, path, event.parameters))
        self.transaction = transaction
        return replies.SENDER_OK

    def answer_rcpt(self, event: Rcpt) -> Answer:
        """RCPT TO: ask whose it is; the answer is a route or a refusal."""
        transaction, services = self._transaction(), self.services
        if len(transaction.recipients) >= self._most_recipients:
            now_ms = services.clock.now_ms()
            refusal = replies.TOO_MANY_RECIPIENTS
            return refuse_recipient(transaction, event.forward_path, refusal, now_ms)
        directory = services.store.directory
        route = ask_directory(route_recipient(event.forward_path, directory.postmaster), directory)
        if services.known_peers is not None:
            delay_ms = services.known_peers.delay_ms(self.peer.host)
            return self._answer_rcpt_later(event, route, delay_ms)
        if isinstance(route, Coroutine):
            return self._answer_rcpt_later(event, route)
        return self._answer_route(event, route)

    def answer_data(self, event: Data) -> Answer:
        """DATA: the engine has seen to it that there is a recipient."""
        self._look_at_peer()
        return replies.GO_AHEAD

    def answer_bdat(self, event: Bdat) -> Answer:
        """BDAT, not the last: its bytes are in; what is wrong with them is said at once."""
        transaction = self._transaction()
        refusal = body_refusal(transaction, BodyEnd(event.size, event.defect))
        if refusal is None:
            self._look_at_peer()
            return replies.CHUNK_OK
        self.transaction = None
        refuse(self, transaction, refusal)
        return replies.naming(refusal, transaction.mail_id)

    async def answer_body_end(self, event: BodyEnd) -> Reply | ReplyEach:
        """End of data: everything that can be said against the mail is said now."""
        transaction, self.transaction = self._transaction(), None
        if event.tolerated:
            transaction.events.append(LineEndsMended(self.services.clock.now_ms()))
        reply = await self.accept(transaction, event)
        if isinstance(reply, Reply) and not reply.accepts:
            return replies.naming(reply, transaction.mail_id)
        self.mails += 1
        # Guessing addresses costs as many good ones.
        self.bad_recipients = max(0, self.bad_recipients - len(transaction.recipients))
        if self.services.known_peers is not None:
            self.services.known_peers.remember(self.peer.host)
        return reply

    def answer_rset(self, event: Rset) -> Answer:
        """RSET: what was said of a mail is forgotten, but it leaves a trace."""
        self.drop_transaction()
        return replies.OK

    def answer_starttls(self, event: StartTls) -> Answer:
        """STARTTLS: the driver does the handshake after this reply."""
        return replies.START_TLS

    def answer_xclient(self, event: Xclient) -> Answer:
        """XCLIENT: a proxy of ours speaks for another peer; the engine begins anew, and so do we.

        Security: ``net.xclient_peers`` alone get an offer by which the engine lets this through.
        """
        return self.start_anew(event)

    # ---- for submit.session, which replaces some answers ---------------------------------------

    def start_anew(self, event: Xclient) -> Reply:
        """Become another session, of whom a proxy speaks for.

        What was said before is recorded apart: it belongs to somebody else.
        """
        self.drop_transaction()
        proxy, now_ms = self.peer, self.services.clock.now_ms()
        before = (*self.events, *self._take_refusals(now_ms))
        if before:
            self._record((*before, SessionClosed(now_ms, "XCLIENT", self.mails)))
        self.session_id = new_session_id(now_ms, self.services.random(ID_RANDOM_SIZE))
        self.peer = reported_peer(proxy, event)
        self.claimed_name = event.client_name if isinstance(event.client_name, str) else ""
        self.looked = None
        self.extended = event.protocol == "ESMTP"
        self.mails = 0
        self.bad_recipients = 0
        login = event.login if isinstance(event.login, str) else None
        self.events = [
            SessionOpened(now_ms, self.services.service, str(self.peer), self.peer.local),
            PeerReported(now_ms, str(proxy), self.claimed_name, login),
        ]
        return replies.greeting(self.services.hostname)

    async def accept(self, transaction: Transaction, end: BodyEnd) -> Reply | ReplyEach:
        """Decide about a whole mail; 250 means it is on disk."""
        return await accept_mail(self, transaction, end)

    def may_relay(self) -> bool:
        """Whether this peer may send to domains that are not ours."""
        return False

    def refuse(self, command: str, reply: Reply) -> Reply:
        """Note a refusal that is not about one recipient, and give it."""
        text = str(reply)
        self.note(CommandRefused(self.services.clock.now_ms(), command, text))
        return reply

    def drop_transaction(self) -> None:
        """Forget the mail under way; if recipients were refused, it leaves a row of its own."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None and transaction.refused:
            record_refusal(self, transaction, NOT_SENT)

    def note(self, event: TrackingEvent) -> None:
        """Keep what happened on the connection, for the next row."""
        if len(self.events) < _MOST_EVENTS:
            self.events.append(event)

    # ---- inside -----------------------------------------------------------------------------

    async def _answer_slowly(self, event: Event) -> Reply | ReplyEach:
        await self._wait("errors", error_delay_ms(self.conn.errors, self.services.limits))
        answer = self.ANSWERS[type(event)](self, event)
        return answer if isinstance(answer, Reply) else await answer

    async def _answer_rcpt_later(
        self, event: Rcpt, route: RecipientRoute | Awaitable[RecipientRoute], delay_ms: int = 0
    ) -> Reply:
        if delay_ms:
            await self._wait("unknown peer", delay_ms)
        found = route if isinstance(route, RecipientRoute) else await route
        return self._answer_route(event, found)

    async def _wait(self, reason: str, delay_ms: int) -> None:
        if not self._is_slowed:
            self._is_slowed = True
            self.note(AnswersSlowed(self.services.clock.now_ms(), reason))
        await self.services.sleep(delay_ms / 1000)

    def _answer_route(self, event: Rcpt, route: RecipientRoute) -> Reply:
        reply = take_recipient(
            self._transaction(),
            event.forward_path,
            route,
            may_relay=self.may_relay(),
            at_ms=self.services.clock.now_ms(),
            options=event.options,
        )
        if reply.code == 250:
            return reply
        self.bad_recipients += 1
        if self.bad_recipients == self.most_bad_recipients:
            return self.refuse("RCPT", replies.TOO_MANY_BAD_RECIPIENTS)
        return reply

    def _look_at_peer(self) -> None:
        """Begin to ask who the peer is, while its mail arrives."""
        services = self.services
        if self.looked is None and services.looks_at_peers:
            now_ms = services.clock.now_ms()
            self.looked = services.checks.look_at(self.peer, self.claimed_name, now_ms)

    def _take_refusals(self, now_ms: int) -> list[TrackingEvent]:
        """Give what the engine has refused by itself, once."""
        taken, self.conn.refusals = self.conn.refusals, []
        return [CommandRefused(now_ms, command, str(reply)) for command, reply in taken]

    def _record(self, events: Sequence[TrackingEvent]) -> None:
        # Nobody waits for this row. It shares the next commit.
        record(self.services.store, self.session_id, None, self.services.clock.now_ms(), events)

    def _transaction(self) -> Transaction:
        # Invariant: the engine lets RCPT, DATA and the body through only after MAIL.
        if self.transaction is None:
            raise RuntimeError("no transaction")
        return self.transaction

    ANSWERS: ClassVar[dict[type[Any], Callable[[Any, Any], Answer]]] = {
        Ehlo: answer_greeting,
        Helo: answer_greeting,
        Lhlo: answer_greeting,
        Mail: answer_mail,
        Rcpt: answer_rcpt,
        Data: answer_data,
        Bdat: answer_bdat,
        BodyEnd: answer_body_end,
        Rset: answer_rset,
        StartTls: answer_starttls,
        Xclient: answer_xclient,
        Noop: lambda self, event: replies.OK,
        Vrfy: lambda self, event: replies.CANNOT_VERIFY,
        Help: lambda self, event: replies.HELP,
        Quit: lambda self, event: replies.BYE,
    }
