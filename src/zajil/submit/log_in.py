"""AUTH on 587 and 465: what each outcome of an exchange is in SMTP's words (RFC 4954 section 4).

The exchange itself is ``login.exchange``; the engine has seen to TLS, to the order of commands,
and to it that only an announced mechanism comes here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from zajil.accept import replies
from zajil.login.account import Account
from zajil.login.exchange import Exchange, Failure, Outcome, begin_exchange
from zajil.login.open_sessions import TooManySessions
from zajil.login.service import LoginService, Origin
from zajil.sasl.step import Challenge
from zajil.smtp.command import Auth, AuthResponse
from zajil.smtp.reply import Reply

_FAILURES: dict[Failure, Reply] = {
    Failure.CANCELLED: replies.AUTH_CANCELLED,
    Failure.MALFORMED: replies.AUTH_MALFORMED,
    Failure.WRONG: replies.WRONG_PASSWORD,
    Failure.UNAVAILABLE: replies.LOGIN_LATER,
}


class SubmitLogin:
    """The log-in of one submission session.

    Args:
        login: whom to ask.
        origin: whose connection this is.
    """

    def __init__(self, login: LoginService, origin: Origin) -> None:
        self._login = login
        self._origin = origin
        self._exchange: Exchange | None = None
        self.account: Account | None = None
        """Who is at the other end; ``None``: nobody has logged in."""
        self.mechanism = ""
        """By which mechanism, for the event."""
        self.has_ended = False
        """The password changed, or the account was suspended: nothing more may be sent."""
        self._unwatch: Callable[[], None] | None = None
        self._generation = 0
        """Of the directory, when ``account`` was asked for or before."""

    def forget(self) -> None:
        """Undo everything: TLS begins (RFC 3207 section 4.2)."""
        self.close()
        self._exchange = None
        self.account = None

    def close(self) -> None:
        """The connection is gone, or begins anew."""
        if self._unwatch is not None:
            self._unwatch()

    async def begin(self, event: Auth) -> Reply:
        """AUTH: begin an exchange. A 235 means that ``account`` is known."""
        self._generation = self._login.generation
        exchange = self._exchange = begin_exchange(self._login, event.mechanism, self._origin)
        if exchange is None:
            return replies.AUTH_UNKNOWN
        return self._reply(await exchange.start(event.initial))

    async def go_on(self, event: AuthResponse) -> Reply:
        """The client's answer to a 334; ``*`` cancels."""
        if self._exchange is None:
            raise RuntimeError("no exchange under way")
        return self._reply(await self._exchange.respond(event.data))

    def vouch(self, account: Account, mechanism: str, generation: int) -> None:
        """Somebody has proven who is at the other end: the exchange, or a proxy of ours.

        Args:
            account: what was found.
            mechanism: for the event.
            generation: of the directory, before it was looked for.

        Raises:
            TooManySessions: of this account; nobody is logged in.
        """
        self.close()
        self._unwatch = self._login.sessions.watch(account, self._end)
        self.account = account
        self.mechanism = mechanism
        self._generation = generation

    @property
    def is_stale(self) -> bool:
        """Whether a right to send may have been given or taken back since ``account`` was read."""
        return self.account is not None and self._generation != self._login.generation

    async def renew(self) -> None:
        """Ask again as whom the account may send; whether its password holds is watched anyway.

        Raises:
            StoreUnavailable: nobody can say.
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

    def _reply(self, outcome: Outcome) -> Reply:
        if isinstance(outcome, Challenge):
            return replies.challenge(outcome.data)
        exchange, self._exchange = self._exchange, None
        if isinstance(outcome, Failure):
            return _FAILURES[outcome]
        try:
            self.vouch(outcome, exchange.mechanism if exchange else "", self._generation)
        except TooManySessions:
            return replies.TOO_MANY_SESSIONS
        return replies.LOGGED_IN

    def _end(self) -> None:
        self.has_ended = True
