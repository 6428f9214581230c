"""What we answer on 587 and 465: TLS first, then AUTH, then only your own senders (RFC 6409)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from zajil.core.address import Address
from zajil.login.account import Account
from zajil.login.service import LoginService, Origin
from zajil.net.peer import Peer
from zajil.receive import replies
from zajil.receive.services import ReceiveServices
from zajil.receive.session import Answer, ReceiveSession
from zajil.smtp.command import Auth, AuthResponse, BodyEnd, Mail, Rcpt
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection
from zajil.submit.accept import accept_submission
from zajil.submit.log_in import SubmitLogin
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
        origin = Origin(peer.host, self.services.service, self.session_id)
        self.log_in = SubmitLogin(services.login, origin)

    def tls_started(self, version: str, cipher: str) -> None:
        """Forget what was said in the clear, a log-in included."""
        super().tls_started(version, cipher)
        self.log_in.forget()

    def closed(self, reason: str) -> None:
        """See ``ReceiveSession.closed``."""
        super().closed(reason)
        self.log_in.close()

    @property
    def account(self) -> Account | None:
        """Who logged in; ``None``: nobody yet."""
        return self.log_in.account

    def may_relay(self) -> bool:
        """Whoever logged in may send anywhere."""
        return self.account is not None

    async def answer_auth(self, event: Auth | AuthResponse) -> Reply:
        """AUTH, and the client's answers to a 334."""
        log_in = self.log_in
        reply = await (log_in.begin(event) if isinstance(event, Auth) else log_in.go_on(event))
        if self.account is not None:
            now_ms = self.services.clock.now_ms()
            self._note(LoggedIn(now_ms, self.account.login, log_in.mechanism))
            self.conn.authenticated()
        elif not reply.accepts and reply is not replies.WRONG_PASSWORD:  # that has its own event
            self.refuse("AUTH", reply)
        return reply

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
        if self.log_in.has_ended:
            return replies.LOG_IN_ENDED
        return None if self.account else replies.LOG_IN_FIRST

    def _may_send_as(self, address: Address) -> bool:
        return self.account is not None and may_send_as(self.account, address)

    ANSWERS: ClassVar[dict[type[Any], Any]] = {
        **ReceiveSession.ANSWERS,
        Auth: answer_auth,
        AuthResponse: answer_auth,
        Mail: answer_own_mail,
        Rcpt: answer_own_rcpt,
        BodyEnd: answer_own_body_end,
    }
