"""What we answer on port 25 and LMTP, stage by stage (RFC 5321 section 4.1, RFC 2033).

The engine has checked syntax and order before ``answer`` is called; what is left is policy. The
submission session (``submit.session``) answers some commands by its own rules.

A reply is given at once where memory suffices, and as a coroutine where it must wait for the
store; ``net.connection`` handles both.

Law: 250 to the end of the data is sent only if ``accept`` returned ``Accepted``, after the commit.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar

from zajil.accept.accept import accept
from zajil.accept.context import AcceptanceContext, SessionFacts
from zajil.accept.outcome import Accepted, NotAccepted, RefusalReason
from zajil.accept.recipients import add_recipient, record_refused_recipient
from zajil.accept.trace_fields import protocol_keyword
from zajil.accept.transaction import Transaction
from zajil.check.sender.peer import PeerFindings
from zajil.login.account import Account
from zajil.net.line_protocol import Connection
from zajil.net.peer import Peer
from zajil.receive import replies
from zajil.receive.patience import Patience, SlowAnswers
from zajil.receive.session_record import SessionRecord
from zajil.receive.shard import choose_shard, is_elsewhere, use_context
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
from zajil.store.engine.errors import StoreUnavailable
from zajil.tracking.events import (
    LineEndsMended,
    PeerGreeted,
    SenderNamed,
    TlsStarted,
)

Answer = Reply | Awaitable[Reply | ReplyEach]

_GREETINGS: dict[type[Event], str] = {Ehlo: "EHLO", Helo: "HELO", Lhlo: "LHLO"}
_DEFECTS = {
    "bare-lf": RefusalReason.BARE_LINE_END,
    "bare-cr": RefusalReason.BARE_LINE_END,
    "nul": RefusalReason.NUL_BYTE,
    "size": RefusalReason.TOO_LARGE,
}


class SmtpSession:
    """One connection of another server.

    Args:
        context: of its listener.
        slow: what holds its answers back.
        peer: who connected.
        conn: the engine.
        connection: what drives both.
    """

    def __init__(
        self,
        context: AcceptanceContext,
        slow: SlowAnswers,
        peer: Peer,
        conn: ServerConnection,
        connection: Connection,
    ) -> None:
        self.connection = connection
        self.context = self.first_context = context
        self.conn = conn
        self.record = SessionRecord(context, peer, conn)
        self.patience = Patience(context.limits, context.clock, slow, self.record)
        self.claimed_name = ""
        """Of EHLO or HELO."""
        self.extended = False
        """It said EHLO, so it speaks ESMTP."""
        self.tls: str | None = None
        """Version and cipher, for people."""
        self.transaction: Transaction | None = None
        self.looked: Future[PeerFindings] | None = None
        """What is being found out about the peer; the same for all its mails."""

    # ---- what net.connection calls ----------------------------------------------------------

    def answer(self, event: Event) -> Answer | Awaitable[None] | None:
        """Answer one command or the end of the data; keep a piece of the message.

        A reply that need not wait is returned as it is. A task for each of the five commands around
        a mail would cost 55 µs of CPU, a tenth of engine and session (tests/perf/stages.py).
        """
        if type(event) is BodyChunk:
            return self.take_body(event.data)
        if self.conn.errors > self.patience.soft_error_limit and type(event) is not BodyEnd:
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
        self.record.note(TlsStarted(self.context.clock.now_ms(), version, cipher, None))

    def closed(self, reason: str) -> None:
        """Record how the session ended, if it is worth a row."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None and transaction.refused:
            self.record.drop(transaction)
            transaction = None
        self.record.close(reason, transaction.events if transaction is not None else ())

    # ---- answers ----------------------------------------------------------------------------

    def answer_greeting(self, event: Ehlo | Helo | Lhlo) -> Answer:
        """EHLO, HELO, LHLO: the transaction is over, the name is noted."""
        self.drop_transaction()
        if event.client_name != self.claimed_name:
            self.looked = None
        self.claimed_name = event.client_name
        self.extended = not isinstance(event, Helo)
        verb = _GREETINGS[type(event)]
        self.record.note(PeerGreeted(self.context.clock.now_ms(), verb, event.client_name))
        return replies.OK

    def answer_mail(self, event: Mail) -> Answer:
        """MAIL FROM: a transaction begins, unless its declared size is too large."""
        if self.account is None:
            use_context(self, self.first_context)
        size = event.declared_size
        if size is not None and size > self.context.limits.message_size:
            return self.record.refuse("MAIL", replies.TOO_LARGE)
        now_ms = self.context.clock.now_ms()
        transaction = Transaction(
            mail_id=self.context.new_mail_id(now_ms),
            reverse_path=event.reverse_path,
            smtputf8=event.smtputf8,
            spool=self.context.make_spool(),
            options=event.options,
            declared_size=size or 0,
        )
        path = str(event.reverse_path) if event.reverse_path else ""
        transaction.events.append(SenderNamed(now_ms, path, event.parameters))
        self.transaction = transaction
        return replies.SENDER_OK

    def answer_rcpt(self, event: Rcpt) -> Answer:
        """RCPT TO: ask whose the address is; the answer is a route or a refusal."""
        transaction = self.current()
        if self.context.shards is not None:
            elsewhere = choose_shard(self, event.forward_path)
            if elsewhere is not None:
                return self.refuse_rcpt(event, elsewhere)
        directory = self.context.store.directory
        if len(transaction.recipients) >= self.context.policy.max_recipients:
            return self.refuse_rcpt(event, NotAccepted(RefusalReason.TOO_MANY_RECIPIENTS))
        route = ask_directory(route_recipient(event.forward_path, directory.postmaster), directory)
        if self.patience.has_tarpit or isinstance(route, Coroutine):
            return self._answer_rcpt_later(event, route)
        return self._answer_route(event, route)

    def answer_data(self, event: Data) -> Answer:
        """DATA: the engine has made sure that there is a recipient."""
        self._look_at_peer()
        return replies.GO_AHEAD

    def answer_bdat(self, event: Bdat) -> Answer:
        """BDAT, not the last: its bytes are in; a defect of them is answered at once."""
        transaction = self.current()
        defect = _defect_of(transaction, BodyEnd(event.size, event.defect))
        if defect is None:
            self._look_at_peer()
            return replies.CHUNK_OK
        self.transaction = None
        return self._refuse_message(transaction, NotAccepted(defect))

    async def answer_body_end(self, event: BodyEnd) -> Reply | ReplyEach:
        """End of data: accept the mail, or refuse it."""
        transaction, self.transaction = self.current(), None
        if event.tolerated:
            transaction.events.append(LineEndsMended(self.context.clock.now_ms()))
        defect = _defect_of(transaction, event)
        if defect is not None:
            return self._refuse_message(transaction, NotAccepted(defect))
        facts = self._facts(transaction)
        outcome = await accept(self.context, facts, transaction)
        if isinstance(outcome, NotAccepted):
            return self._refuse_message(transaction, outcome)
        del self.record.events[: len(facts.events)]  # they were recorded with the mail
        self.record.mails += 1
        self.patience.mail_accepted(len(transaction.recipients))
        return self.reply_to_message(outcome, transaction)

    def answer_rset(self, event: Rset) -> Answer:
        """RSET: the mail under way is dropped; refused recipients leave a row."""
        self.drop_transaction()
        return replies.OK

    def answer_xclient(self, event: Xclient) -> Reply:
        """XCLIENT: a proxy of ours speaks for another peer; the session begins anew.

        Security: only ``net.xclient_peers`` get an offer by which the engine lets this through.
        """
        self.drop_transaction()
        self.claimed_name = event.client_name if isinstance(event.client_name, str) else ""
        self.record.begin_anew(event, self.claimed_name)
        self.looked = None
        self.extended = event.protocol == "ESMTP"
        self.patience.bad_recipients = 0
        return replies.greeting(self.context.hostname)

    # ---- what differs -----------------------------------------------------------------------

    @property
    def account(self) -> Account | None:
        """Who logged in; with an account a peer may send to any domain."""
        return None

    def reply_to_message(self, outcome: Accepted, transaction: Transaction) -> Reply | ReplyEach:
        """Return the reply to an accepted mail."""
        return replies.queued(outcome.mail_id)

    # ---- for subclasses ---------------------------------------------------------------------

    def refuse_rcpt(self, event: Rcpt, why: NotAccepted) -> Reply:
        """Refuse a recipient, and record it with the mail."""
        reply, now_ms = refusal_of(self.context, why), self.context.clock.now_ms()
        record_refused_recipient(self.current(), event.forward_path, str(reply), now_ms)
        return reply

    def drop_transaction(self) -> None:
        """Forget the mail under way."""
        transaction, self.transaction = self.transaction, None
        self.record.drop(transaction)

    def current(self) -> Transaction:
        """Return the mail under way."""
        # Invariant: the engine lets RCPT, DATA and the body through only after MAIL.
        if self.transaction is None:
            raise RuntimeError("no transaction")
        return self.transaction

    # ---- inside -----------------------------------------------------------------------------

    async def _answer_slowly(self, event: Event) -> Reply | ReplyEach:
        await self.patience.wait_for_errors(self.conn.errors)
        answer = self.ANSWERS[type(event)](self, event)
        return answer if isinstance(answer, Reply) else await answer

    async def _answer_rcpt_later(
        self, event: Rcpt, route: RecipientRoute | Awaitable[RecipientRoute]
    ) -> Reply:
        await self.patience.wait_if_unknown()
        try:
            found = route if isinstance(route, RecipientRoute) else await route
        except StoreUnavailable:  # nobody knows whether it is one of ours
            return self.record.refuse("RCPT", replies.UNAVAILABLE)
        return self._answer_route(event, found)

    def _answer_route(self, event: Rcpt, route: RecipientRoute) -> Reply:
        if self.context.shards is not None and is_elsewhere(self, event.forward_path, route):
            return self.refuse_rcpt(event, NotAccepted(RefusalReason.UNAVAILABLE))
        why = add_recipient(
            self.current(),
            event.forward_path,
            route,
            may_relay=self.account is not None,
            at_ms=self.context.clock.now_ms(),
            options=event.options,
        )
        if why is None:
            return replies.RECIPIENT_OK
        reply = self.refuse_rcpt(event, why)
        if self.patience.count_bad_recipient():
            return self.record.refuse("RCPT", replies.TOO_MANY_BAD_RECIPIENTS)
        return reply

    def _look_at_peer(self) -> None:
        """Begin to ask who the peer is, while its mail arrives."""
        if self.looked is None and self.context.policy.checks_peer:
            now_ms = self.context.clock.now_ms()
            checks = self.context.checks
            self.looked = checks.look_at(self.record.peer, self.claimed_name, now_ms)

    def _facts(self, transaction: Transaction) -> SessionFacts:
        account = self.account
        return SessionFacts(
            session_id=self.record.session_id,
            peer=self.record.peer,
            claimed_name=self.claimed_name,
            protocol=protocol_keyword(
                extended=self.extended,
                utf8=transaction.smtputf8,
                encrypted=self.conn.encrypted,
                authenticated=account is not None,
                lmtp=self.conn.offer.lmtp,
            ),
            tls=self.tls,
            account=account,
            looked=self.looked,
            events=tuple(self.record.events),
        )

    def _refuse_message(self, transaction: Transaction, why: NotAccepted) -> Reply:
        reply = refusal_of(self.context, why)
        self.record.refuse_message(transaction, reply)
        return replies.naming(reply, transaction.mail_id)

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
        StartTls: lambda self, event: replies.START_TLS,  # the driver does the handshake
        Xclient: answer_xclient,
        Noop: lambda self, event: replies.OK,
        Vrfy: lambda self, event: replies.CANNOT_VERIFY,
        Help: lambda self, event: replies.HELP,
        Quit: lambda self, event: replies.BYE,
    }


def refusal_of(context: AcceptanceContext, why: NotAccepted) -> Reply:
    """Return the reply to what is not accepted, by the rules of the service."""
    return replies.refusal(why, defers_full=context.policy.defers_full)


def _defect_of(transaction: Transaction, end: BodyEnd) -> RefusalReason | None:
    """Return what is wrong with the bytes; a failed disk is found later, by ``Spool.split``."""
    if end.defect is not None:
        return _DEFECTS.get(end.defect, RefusalReason.MALFORMED)
    return RefusalReason.TOO_LARGE if transaction.spool.too_large else None
