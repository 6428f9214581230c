"""The log-in of one session, the same for every protocol: AUTH, AUTHENTICATE, LOGIN, and its end.

A protocol makes a ``SessionLogin``, passes on what the client sends, and formats each outcome.

Law: one mechanism ends a session whose credentials changed. ``has_ended`` becomes true and
``on_end`` is called (``net.line_protocol.Connection.wake``), so that the session closes its
connection between two commands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from zajil.login.account import Account, Origin
from zajil.login.exchange import Exchange, Failure, Outcome, begin_exchange
from zajil.login.open_sessions import TooManySessions
from zajil.login.service import LoginService
from zajil.login.tokens import JudgeUnavailable
from zajil.login.verification import AppPasswordNeeded
from zajil.sasl.step import Challenge
from zajil.store.engine.errors import StoreUnavailable


class SessionLogin:
    """Who is at the other end of a session, and whether that still holds.

    Args:
        login: checks the credentials.
        origin: whose connection this is.
        on_end: called once, in the event loop, when the credentials were changed or the account
            was suspended.
    """

    __slots__ = (
        "_exchange",
        "_front",
        "_generation",
        "_login",
        "_on_end",
        "_origin",
        "_unwatch",
        "account",
        "has_ended",
        "mechanism",
    )

    def __init__(self, login: LoginService, origin: Origin, on_end: Callable[[], None]) -> None:
        self._front = self._login = login
        self._origin = origin
        self._on_end = on_end
        self._exchange: Exchange | None = None
        self._unwatch: Callable[[], None] | None = None
        self._generation = 0
        """Of the directory, when ``account`` was read or before."""
        self.account: Account | None = None
        """Who logged in; ``None``: nobody yet."""
        self.mechanism = ""
        """By which mechanism, for the event."""
        self.has_ended = False
        """The credentials changed or the account was suspended: the session must end."""

    async def begin(self, mechanism: str, initial: bytes | None) -> Outcome:
        """Begin an exchange; an ``Account`` is logged in already.

        Args:
            initial: the initial response, ``None`` if the client sent none.
        """
        self._generation = self._login.generation
        self._exchange = begin_exchange(self._login, mechanism, self._origin)
        if self._exchange is None:
            return Failure.UNKNOWN_MECHANISM
        return self._take(await self._exchange.start(initial))

    async def respond(self, data: bytes | None) -> Outcome:
        """Take the client's answer to a challenge; ``None``: the client cancels."""
        if self._exchange is None:
            raise RuntimeError("no exchange in progress")
        return self._take(await self._exchange.respond(data))

    async def check_password(self, login: str, password: str) -> Account | Failure:
        """Log in by a command of its own, such as LOGIN of IMAP."""
        origin = self._origin
        self._generation = self._login.generation
        try:
            account = await self._login.log_in(
                login,
                password,
                peer=origin.peer,
                service=origin.service,
                mechanism="LOGIN",
                session_id=origin.session_id,
            )
        except (StoreUnavailable, JudgeUnavailable):
            return Failure.UNAVAILABLE
        except AppPasswordNeeded:
            return Failure.NEEDS_APP_PASSWORD
        if account is None:
            return Failure.WRONG
        return self._log_in(account, "LOGIN")

    def vouch(self, account: Account, mechanism: str, generation: int) -> None:
        """Log an account in: the exchange proved it, or a trusted proxy reports it.

        Args:
            account: what was found.
            mechanism: for the event.
            generation: of the directory, before the account was read.

        Raises:
            TooManySessions: of this account; nobody is logged in.
        """
        self.close()
        self._login = self._login.serving(account)
        self._unwatch = self._login.sessions.watch(account, self._end)
        self.account = account
        self.mechanism = mechanism
        self._generation = generation

    def forget(self) -> None:
        """Undo the log-in: TLS begins (RFC 3207 section 4.2)."""
        self.close()
        self._login = self._front
        self._exchange = None
        self.account = None

    def close(self) -> None:
        """Stop watching the credentials: the connection ends, or begins anew."""
        if self._unwatch is not None:
            self._unwatch()

    @property
    def is_stale(self) -> bool:
        """Whether a right of the account may have been given or taken back since it was read."""
        return self.account is not None and self._generation != self._login.generation

    async def renew(self) -> None:
        """Read the rights of the account again; whether its password holds is watched anyway.

        Raises:
            StoreUnavailable: they cannot be read now.
        """
        if self.account is None:
            return
        generation = self._login.generation
        account = await self._login.find(self.account.account_id)
        if account is None:
            self.has_ended = True
            return
        self.account = replace(account, proof=self.account.proof)
        self._generation = generation

    def _take(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Challenge):
            return outcome
        exchange, self._exchange = self._exchange, None
        if isinstance(outcome, Failure):
            return outcome
        return self._log_in(outcome, exchange.mechanism if exchange else "")

    def _log_in(self, account: Account, mechanism: str) -> Account | Failure:
        try:
            self.vouch(account, mechanism, self._generation)
        except TooManySessions:
            return Failure.TOO_MANY_SESSIONS
        return account

    def _end(self) -> None:
        self.has_ended = True
        self._on_end()
