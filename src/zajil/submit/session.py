"""What we answer on 587 and 465: TLS first, then AUTH, then only your own senders (RFC 6409)."""

from __future__ import annotations

from typing import Any, ClassVar

from zajil.accept.context import AcceptanceContext
from zajil.accept.outcome import NotAccepted, RefusalReason
from zajil.core.line_engine import End
from zajil.login.account import Account, Origin
from zajil.login.exchange import Failure, Outcome
from zajil.login.open_sessions import TooManySessions
from zajil.login.service import LoginService
from zajil.login.session_login import SessionLogin
from zajil.net.line_protocol import Connection
from zajil.net.peer import Peer
from zajil.receive import replies
from zajil.receive.patience import SlowAnswers
from zajil.receive.session import Answer, SmtpSession
from zajil.receive.shard import use_context
from zajil.sasl.step import Challenge
from zajil.smtp.command import Auth, AuthResponse, Mail, Rcpt, Xclient
from zajil.smtp.refusals import CREDENTIALS_CHANGED
from zajil.smtp.reply import Reply, ReplyEach
from zajil.smtp.server import ServerConnection
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.feedback.send_counts import NOTHING_SENT, load_send_counts
from zajil.tracking.events import LoggedIn

_FAILED_LOGINS = (replies.WRONG_PASSWORD, replies.NEEDS_APP_PASSWORD, replies.AUTH_MALFORMED)
"""Replies to log-ins whose failure is an event already (``login.service``)."""


class SubmitSession(SmtpSession):
    """One connection of one of our users.

    It answers AUTH, and MAIL, RCPT and XCLIENT by the rights of the account; all else is answered
    as on port 25.
    """

    def __init__(
        self,
        context: AcceptanceContext,
        slow: SlowAnswers,
        login: LoginService,
        peer: Peer,
        conn: ServerConnection,
        connection: Connection,
    ) -> None:
        super().__init__(context, slow, peer, conn, connection)
        self._login = login
        self.log_in = self._new_log_in()
        self._sent = NOTHING_SENT
        """By the account before the mail under way; read only if there is a limit."""

    def tls_started(self, version: str, cipher: str) -> None:
        """Forget what was said in the clear, a log-in included."""
        super().tls_started(version, cipher)
        self.log_in.forget()

    def closed(self, reason: str) -> None:
        """Record how the session ended, and end the log-in."""
        super().closed(reason)
        self.log_in.close()

    def news(self) -> None:
        """End the session between two mails if its credentials changed."""
        if self.log_in.has_ended and not self.conn.in_transaction():
            self.conn.end(End.CREDENTIALS)

    @property
    def account(self) -> Account | None:
        """Who logged in; ``None``: nobody yet."""
        return self.log_in.account

    async def answer_auth(self, event: Auth | AuthResponse) -> Reply:
        """AUTH, and the client's answers to a 334."""
        log_in = self.log_in
        if isinstance(event, Auth):
            outcome = await log_in.begin(event.mechanism, event.initial)
        else:
            outcome = await log_in.respond(event.data)
        reply = _reply_to(outcome)
        if self.account is not None and reply is replies.LOGGED_IN:
            self._use_shard_of(self.account)
            now_ms = self.context.clock.now_ms()
            service, host = self.context.policy.service, self.record.peer.host
            self.record.note(LoggedIn(now_ms, self.account.login, log_in.mechanism, service, host))
            self.conn.is_authenticated = True
        elif not reply.accepts and reply not in _FAILED_LOGINS:
            self.record.refuse("AUTH", reply)
        return reply

    def answer_own_mail(self, event: Mail) -> Answer:
        """MAIL FROM: logged in, and as one of your own addresses."""
        if self.log_in.is_stale:
            return self._answer_mail_anew(event)
        return self._answer_known_mail(event)

    def _answer_known_mail(self, event: Mail) -> Answer:
        refusal = self._not_yet()
        if refusal is not None:
            return self.record.refuse("MAIL", refusal)
        # A null path is what a client's own notifications carry; it needs no right.
        account, sender = self.account, event.reverse_path
        if sender is not None and (account is None or not account.may_send_as(sender)):
            return self.record.refuse("MAIL", replies.NOT_YOUR_SENDER)
        if self.context.policy.send_limit is None:
            return self.answer_mail(event)
        return self._answer_counted_mail(event)

    def answer_own_rcpt(self, event: Rcpt) -> Answer:
        """RCPT TO: any domain, as far as the limits of the account go."""
        refusal = self._not_yet()
        if refusal is not None:
            return self.record.refuse("RCPT", refusal)
        transaction, limit = self.current(), self.context.policy.send_limit
        if limit is None or event.forward_path.key in transaction.keys:
            return self.answer_rcpt(event)
        count = len(transaction.recipients) + 1
        until_ms = limit.blocked_until_ms(self._sent, count, self.context.clock.now_ms())
        if until_ms is None:
            return self.answer_rcpt(event)
        return self.refuse_rcpt(event, NotAccepted(RefusalReason.SENT_TOO_MUCH, until_ms=until_ms))

    async def answer_own_xclient(self, event: Xclient) -> Reply:
        """XCLIENT: beside what it is on port 25, a proxy may vouch for a log-in."""
        account, generation = None, self._login.generation
        if isinstance(event.login, str):
            try:
                account = await self._login.find_by_name(event.login)
            except StoreUnavailable:
                return self.record.refuse("XCLIENT", replies.UNAVAILABLE)
            if account is None:
                return self.record.refuse("XCLIENT", replies.NO_SUCH_LOGIN)
        reply = self.answer_xclient(event)
        self.log_in.close()
        self.log_in = self._new_log_in()
        if account is not None:
            try:
                self.log_in.vouch(account, "XCLIENT", generation)
            except TooManySessions:
                return self.record.refuse("XCLIENT", replies.TOO_MANY_SESSIONS)
            self._use_shard_of(account)
            now_ms = self.context.clock.now_ms()
            self.record.note(LoggedIn(now_ms, account.login, "XCLIENT"))
        return reply

    async def _answer_mail_anew(self, event: Mail) -> Reply | ReplyEach:
        # Security: a right that was taken back ends with the next mail, not with the connection.
        # The directory may change again while we ask; what is read now is good for this mail.
        try:
            await self.log_in.renew()
        except StoreUnavailable:
            return self.record.refuse("MAIL", replies.UNAVAILABLE)
        answer = self._answer_known_mail(event)
        return answer if isinstance(answer, Reply) else await answer

    async def _answer_counted_mail(self, event: Mail) -> Reply | ReplyEach:
        account = self.account
        if account is not None:
            account_id = account.account_id
            try:
                self._sent = await self.context.store.read(
                    lambda conn: load_send_counts(conn, account_id)
                )
            except StoreUnavailable:
                return self.record.refuse("MAIL", replies.UNAVAILABLE)
        answer = self.answer_mail(event)
        return answer if isinstance(answer, Reply) else await answer

    def _use_shard_of(self, account: Account) -> None:
        """Accept mail in the shard of who logged in."""
        shards = self.context.shards
        if shards is not None:
            use_context(self, shards.contexts[account.shard])

    def _new_log_in(self) -> SessionLogin:
        record = self.record
        origin = Origin(record.peer.host, self.context.policy.service, record.session_id)
        return SessionLogin(self._login, origin, self.connection.wake)

    def _not_yet(self) -> Reply | None:
        # Without TLS nobody logs in; for whom a proxy vouches, the proxy has seen to that.
        if self.log_in.has_ended:
            return CREDENTIALS_CHANGED
        if self.account is not None:
            return None
        return replies.LOG_IN_FIRST if self.conn.encrypted else replies.TLS_FIRST

    ANSWERS: ClassVar[dict[type[Any], Any]] = {
        **SmtpSession.ANSWERS,
        Auth: answer_auth,
        AuthResponse: answer_auth,
        Mail: answer_own_mail,
        Rcpt: answer_own_rcpt,
        Xclient: answer_own_xclient,
    }


def _reply_to(outcome: Outcome) -> Reply:
    """Put the outcome of a step of AUTH into SMTP's words (RFC 4954 section 4)."""
    if isinstance(outcome, Challenge):
        return replies.challenge(outcome.data)
    return _FAILURES[outcome] if isinstance(outcome, Failure) else replies.LOGGED_IN


_FAILURES: dict[Failure, Reply] = {
    Failure.CANCELLED: replies.AUTH_CANCELLED,
    Failure.MALFORMED: replies.AUTH_MALFORMED,
    Failure.WRONG: replies.WRONG_PASSWORD,
    Failure.NEEDS_APP_PASSWORD: replies.NEEDS_APP_PASSWORD,
    Failure.UNAVAILABLE: replies.LOGIN_LATER,
    Failure.UNKNOWN_MECHANISM: replies.AUTH_UNKNOWN,
    Failure.TOO_MANY_SESSIONS: replies.TOO_MANY_SESSIONS,
}
