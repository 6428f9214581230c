"""What we answer on 587 and 465: TLS first, then AUTH, then only your own senders (RFC 6409)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from zajil.core.address import Address
from zajil.login.account import Account
from zajil.login.service import LoginService
from zajil.net.peer import Peer
from zajil.receive import replies
from zajil.receive.services import ReceiveServices
from zajil.receive.session import Answer, ReceiveSession
from zajil.sasl.mechanism import make_mechanism
from zajil.sasl.step import Challenge, Credentials, Mechanism, Step
from zajil.smtp.command import Auth, AuthResponse, BodyEnd, Mail, Rcpt
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection
from zajil.store.errors import StoreUnavailable
from zajil.submit.accept import accept_submission
from zajil.submit.permission import may_send_as
from zajil.tracking.events import LoggedIn


@dataclass(frozen=True, slots=True)
class SubmitServices:
    """What every submission session of one listener shares."""

    receive: ReceiveServices
    login: LoginService


class SubmitSession(ReceiveSession):
    """One connection of one of our users."""

    def __init__(self, services: SubmitServices, peer: Peer, conn: ServerConnection) -> None:
        super().__init__(services.receive, peer, conn)
        self._login = services.login
        self.account: Account | None = None
        self._exchange: Mechanism | None = None

    def tls_started(self, version: str, cipher: str) -> None:
        """Forget what was said in the clear, a log-in included."""
        super().tls_started(version, cipher)
        self.account = None
        self._exchange = None

    def may_relay(self) -> bool:
        """Whoever logged in may send anywhere."""
        return self.account is not None

    def answer_auth(self, event: Auth) -> Answer:
        """AUTH: begin an exchange (RFC 4954 section 4); the engine has seen to TLS."""
        self._exchange = make_mechanism(event.mechanism)
        if self._exchange is None:
            return self.refuse("AUTH", replies.AUTH_UNKNOWN)
        return self._answer_step(self._exchange.start(event.initial))

    def answer_auth_response(self, event: AuthResponse) -> Answer:
        """The client's answer to a 334; ``*`` cancels."""
        if self._exchange is None:
            raise RuntimeError("no exchange under way")
        if event.data is None:
            self._exchange = None
            return self.refuse("AUTH", replies.AUTH_CANCELLED)
        return self._answer_step(self._exchange.respond(event.data))

    def answer_own_mail(self, event: Mail) -> Answer:
        """MAIL FROM: logged in, and as one of your own addresses."""
        refusal = self._not_yet()
        if refusal is not None:
            return self.refuse("MAIL", refusal)
        # A null path is what a client's own notifications carry; it needs no right.
        if event.reverse_path is not None and not self._may_send_as(event.reverse_path):
            return self.refuse("MAIL", replies.NOT_YOUR_SENDER)
        return self.answer_mail(event)

    def answer_own_rcpt(self, event: Rcpt) -> Answer:
        """RCPT TO: any domain."""
        refusal = self._not_yet()
        return self.refuse("RCPT", refusal) if refusal else self.answer_rcpt(event)

    async def answer_own_body_end(self, event: BodyEnd) -> Reply:
        """End of data: sender rights in the header section, completion, then the store."""
        transaction, self.transaction = self._transaction(), None
        if self.account is None:
            raise RuntimeError("body without a log-in")
        reply = await accept_submission(self, self.account, transaction, event)
        if reply.code == 250:
            self.mails += 1
        return reply

    def _not_yet(self) -> Reply | None:
        if not self.conn.encrypted:
            return replies.TLS_FIRST
        return None if self.account else replies.LOG_IN_FIRST

    def _may_send_as(self, address: Address) -> bool:
        return self.account is not None and may_send_as(self.account, address)

    def _answer_step(self, step: Step) -> Answer:
        exchange = self._exchange
        if exchange is None:
            raise RuntimeError("no exchange under way")
        match step:
            case Challenge(data):
                return replies.challenge(data)
            case Credentials(login, password, authorization_id) if authorization_id in ("", login):
                return self._check_password(exchange.name, login, password)
            case Credentials():
                # Acting for another account is nobody's right here (RFC 4616 section 2).
                self._exchange = None
                return self.refuse("AUTH", replies.WRONG_PASSWORD)
            case _:
                self._exchange = None
                return self.refuse("AUTH", replies.AUTH_MALFORMED)

    async def _check_password(self, mechanism: str, login: str, password: str) -> Reply:
        self._exchange = None
        try:
            account = await self._login.log_in(
                login,
                password,
                peer=self.peer.host,
                service=self.services.service,
                mechanism=mechanism,
                session_id=self.session_id,
            )
        except StoreUnavailable:
            return self.refuse("AUTH", replies.LOGIN_LATER)
        if account is None:
            return replies.WRONG_PASSWORD
        self.account = account
        self._note(LoggedIn(self.services.clock.now_ms(), account.login, mechanism))
        self.conn.authenticated()
        return replies.LOGGED_IN

    ANSWERS: ClassVar[dict[type[Any], Any]] = {
        **ReceiveSession.ANSWERS,
        Auth: answer_auth,
        AuthResponse: answer_auth_response,
        Mail: answer_own_mail,
        Rcpt: answer_own_rcpt,
        BodyEnd: answer_own_body_end,
    }
