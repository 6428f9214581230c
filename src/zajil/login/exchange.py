"""One AUTH or AUTHENTICATE exchange, the same for SMTP, IMAP and whoever comes next.

A protocol makes an ``Exchange``, gives it what the client sends, and puts each ``Outcome`` into
its own words. The mechanism (``sasl``) reads the bytes, the log-in service decides.

Law: after a ``Failure`` or an ``Account`` the exchange is over and is not asked again.
"""

from __future__ import annotations

from enum import Enum, auto

from zajil.login.account import Account
from zajil.login.service import LoginService, Origin
from zajil.sasl.step import Challenge, Credentials, Mechanism, Step
from zajil.store.errors import StoreUnavailable


class Failure(Enum):
    """Why an exchange ended without a log-in."""

    CANCELLED = auto()
    """The client sent ``*``."""
    MALFORMED = auto()
    """Not what the mechanism sends."""
    WRONG = auto()
    """Nobody is told what was: the name, the secret, or a right that is missing."""
    UNAVAILABLE = auto()
    """We cannot look now; the client may try again."""


Outcome = Challenge | Account | Failure


class Exchange:
    """One exchange, from the mechanism's name to an account."""

    def __init__(self, login: LoginService, mechanism: Mechanism, origin: Origin) -> None:
        self._login = login
        self._mechanism = mechanism
        self._origin = origin

    @property
    def mechanism(self) -> str:
        """Name of the mechanism, for events."""
        return self._mechanism.name

    async def start(self, initial: bytes | None) -> Outcome:
        """Begin, with the initial response if the client sent one."""
        return await self._follow(self._mechanism.start(initial))

    async def respond(self, data: bytes | None) -> Outcome:
        """Take the answer to the last challenge; ``None``: the client gives up."""
        if data is None:
            return Failure.CANCELLED
        return await self._follow(self._mechanism.respond(data))

    async def _follow(self, step: Step) -> Outcome:
        match step:
            case Challenge():
                return step
            case Credentials(login, password, authorization_id) if authorization_id in ("", login):
                return await self._check_password(login, password)
            case Credentials():
                # Acting for another account is nobody's right here (RFC 4616 section 2).
                return Failure.WRONG
            case _:
                return Failure.MALFORMED

    async def _check_password(self, login: str, password: str) -> Outcome:
        origin = self._origin
        try:
            account = await self._login.log_in(
                login,
                password,
                peer=origin.peer,
                service=origin.service,
                mechanism=self.mechanism,
                session_id=origin.session_id,
            )
        except StoreUnavailable:
            return Failure.UNAVAILABLE
        return account or Failure.WRONG
