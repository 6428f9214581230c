"""LOGIN and AUTHENTICATE: who is it, and does that still hold? (RFC 3501 section 6.2)

The exchange itself is ``login.exchange``, the same as for SMTP; here stands what its outcomes are
in IMAP's words.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

from zajil.core.clock import Clock
from zajil.core.ids import ID_RANDOM_SIZE, new_session_id
from zajil.core.service import Service
from zajil.imap.command import Authenticate
from zajil.imap.response import Completion
from zajil.imap.server import ImapServerConnection
from zajil.login.account import Account
from zajil.login.exchange import Exchange, Failure, Outcome, begin_exchange
from zajil.login.open_sessions import TooManySessions
from zajil.login.service import LoginService, Origin
from zajil.net.drive_imap import Stream
from zajil.net.peer import Peer
from zajil.sasl.step import Challenge
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.tracking.events import LoggedIn, SessionOpened

_WRONG = Completion("NO", "log-in failed", "AUTHENTICATIONFAILED")
_FAILURES: dict[Failure, Completion] = {
    Failure.CANCELLED: Completion("BAD", "cancelled"),
    Failure.MALFORMED: Completion("BAD", "not what this mechanism sends"),
    Failure.WRONG: _WRONG,
    Failure.UNAVAILABLE: Completion("NO", "try again later", "UNAVAILABLE"),
}
_NO_TLS = Completion("NO", "log in only after STARTTLS", "PRIVACYREQUIRED")
_TOO_MANY = Completion("NO", "this account has too many sessions open", "LIMIT")
"""RFC 9051 section 7.1"""
_UNKNOWN = Completion("NO", "mechanism is not supported", "CANNOT")


class ImapLogin:
    """The log-in of one connection.

    Args:
        login: whom to ask.
        store: events of the log-in are recorded here.
        clock: for events.
        peer: who connected.
        service: ``imap`` or ``imaps``.
        engine: of this connection.
        stream: is woken when the log-in holds no more.
    """

    def __init__(
        self,
        login: LoginService,
        store: Store,
        clock: Clock,
        peer: Peer,
        service: Service,
        engine: ImapServerConnection,
        stream: Stream,
    ) -> None:
        self._login = login
        self._store = store
        self._clock = clock
        self._peer = peer
        self._engine = engine
        self._stream = stream
        self._opened_ms = clock.now_ms()
        self._session_id = new_session_id(self._opened_ms, login.random(ID_RANDOM_SIZE))
        self._origin = Origin(peer.host, service, self._session_id)
        self._exchange: Exchange | None = None
        self._unwatch: Callable[[], None] | None = None
        self.account: Account | None = None
        """Who is at the other end; ``None``: nobody has logged in."""
        self.has_ended = False
        """The password changed, or the account was suspended: the connection must end."""

    async def log_in(self, login: str, password: str) -> Completion | None:
        """LOGIN: a name and a password; ``None``: ``account`` is known."""
        # Security: also when a client ignores LOGINDISABLED, what it typed is not looked at.
        if not self._engine.encrypted:
            return _NO_TLS
        origin = self._origin
        account = await self._login.log_in(
            login,
            password,
            peer=origin.peer,
            service=origin.service,
            mechanism="LOGIN",
            session_id=origin.session_id,
        )
        if account is None:
            return _WRONG
        return self._begin(account, "LOGIN")

    async def authenticate(self, event: Authenticate) -> Completion | None:
        """AUTHENTICATE; ``None``: a challenge was sent, or ``account`` is known."""
        if not self._engine.encrypted:
            return _NO_TLS
        exchange = self._exchange = begin_exchange(self._login, event.mechanism, self._origin)
        if exchange is None:
            return _UNKNOWN
        return self._complete(exchange, await exchange.start(event.initial))

    async def go_on(self, data: bytes | None) -> Completion | None:
        """The client's answer to a challenge; ``None`` as for ``authenticate``."""
        if self._exchange is None:
            raise RuntimeError("no exchange under way")
        return self._complete(self._exchange, await self._exchange.respond(data))

    def close(self) -> None:
        """The connection is gone."""
        if self._unwatch is not None:
            self._unwatch()

    def _complete(self, exchange: Exchange, outcome: Outcome) -> Completion | None:
        if isinstance(outcome, Challenge):
            self._engine.go_ahead(b64encode(outcome.data))
            return None
        self._exchange = None
        if isinstance(outcome, Failure):
            return _FAILURES[outcome]
        return self._begin(outcome, exchange.mechanism)

    def _begin(self, account: Account, mechanism: str) -> Completion | None:
        try:
            self._unwatch = self._login.sessions.watch(account, self._end)
        except TooManySessions:
            return _TOO_MANY
        self.account = account
        now_ms = self._clock.now_ms()
        service, peer = self._origin.service, self._peer
        events = (
            SessionOpened(self._opened_ms, service, str(peer), peer.local),
            LoggedIn(now_ms, account.login, mechanism, service, peer.host),
        )
        batch = EventBatch(self._session_id, None, now_ms, events)
        self._store.write_later(record_events, batch)
        return None

    def _end(self) -> None:
        self.has_ended = True
        self._stream.wake()
