"""One AUTH or AUTHENTICATE exchange, the same for SMTP, IMAP and other protocols.

``session_login`` makes an ``Exchange`` and passes on what the client sends. The mechanism
(``sasl``) parses the bytes; the log-in service decides.

Laws:
- After a ``Failure`` or an ``Account`` the exchange has ended and is not continued.
- A failure is final: a mechanism that defines an error message sends it in one more challenge, and
  the exchange ends whatever the client answers.
"""

from __future__ import annotations

from enum import Enum, auto

from zajil.core.login_name import BadLogin, prepare_login
from zajil.login.account import Account, Origin
from zajil.login.service import FoundKeys, LoginService
from zajil.login.tokens import JudgeUnavailable
from zajil.login.verification import AppPasswordNeeded
from zajil.sasl.mechanism import make_mechanism
from zajil.sasl.scram import Scram
from zajil.sasl.step import (
    Challenge,
    Credentials,
    Denied,
    KeysWanted,
    Mechanism,
    Proven,
    Step,
    Token,
)
from zajil.store.engine.errors import StoreUnavailable


class Failure(Enum):
    """Why an exchange ended without a log-in."""

    CANCELLED = auto()
    """The client sent ``*``."""
    MALFORMED = auto()
    """The mechanism has no such response."""
    WRONG = auto()
    """The reply does not say what was: the name, the secret, or a missing right."""
    UNAVAILABLE = auto()
    """The store or the token service cannot answer now; the client may try again."""
    UNKNOWN_MECHANISM = auto()
    """It is not offered."""
    NEEDS_APP_PASSWORD = auto()
    """The password is right, but the account has a second factor."""
    TOO_MANY_SESSIONS = auto()
    """The account has as many sessions open as it may."""


_FOR_ANOTHER = "one account may not act for another"
_MALFORMED = "malformed SASL response"

Outcome = Challenge | Account | Failure


def begin_exchange(login: LoginService, name: str, origin: Origin) -> Exchange | None:
    """Make an exchange by the name of its mechanism; ``None``: we do not offer that one."""
    if name not in login.mechanisms:
        return None
    mechanism = make_mechanism(name, login.random)
    return Exchange(login, mechanism, origin) if mechanism is not None else None


class Exchange:
    """One exchange, from the mechanism's name to an account."""

    def __init__(self, login: LoginService, mechanism: Mechanism, origin: Origin) -> None:
        self._login = login
        self._mechanism = mechanism
        self._origin = origin
        self._asked_for = ""
        self._found: FoundKeys | None = None
        self._end: Account | Failure | None = None
        """What it will have come to, once the client answered the last challenge."""

    @property
    def mechanism(self) -> str:
        """Name of the mechanism, for events."""
        return self._mechanism.name

    async def start(self, initial: bytes | None) -> Outcome:
        """Begin, with the initial response if the client sent one."""
        return await self._try(self._mechanism.start(initial))

    async def respond(self, data: bytes | None) -> Outcome:
        """Take the answer to the last challenge; ``None``: the client gives up."""
        if data is None:
            # Of a failure nobody may make a mere change of mind.
            return self._end if isinstance(self._end, Failure) else Failure.CANCELLED
        if isinstance(self._end, Account) and data:
            return self._fail(Failure.MALFORMED, self._asked_for, _MALFORMED)
        if self._end is not None:
            return self._end
        return await self._try(self._mechanism.respond(data))

    async def _try(self, step: Step) -> Outcome:
        try:
            return await self._follow(step)
        except (StoreUnavailable, JudgeUnavailable):
            return Failure.UNAVAILABLE

    async def _follow(self, step: Step) -> Outcome:
        match step:
            case Challenge():
                return step
            case Credentials(login, password, authorization_id):
                if not _is_same(authorization_id, login):
                    return self._fail(Failure.WRONG, login, _FOR_ANOTHER)
                return await self._check_password(login, password)
            case Token():
                return await self._check_token(step)
            case KeysWanted(login, authorization_id):
                if not _is_same(authorization_id, login):
                    return self._fail(Failure.WRONG, login, _FOR_ANOTHER)
                return await self._find_keys(login)
            case Proven(key, final):
                return await self._check_proof(key, final)
            case Denied(wrong=wrong):
                if wrong:
                    await self._log_in_by_key(None)
                    return Failure.WRONG
                return self._fail(Failure.MALFORMED, self._asked_for, _MALFORMED)
            case _:
                return self._fail(Failure.MALFORMED, self._asked_for, _MALFORMED)

    def _fail(self, failure: Failure, login: str, reason: str) -> Failure:
        self._login.note_failure(self._origin, login, self.mechanism, reason)
        return failure

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
        except AppPasswordNeeded:
            return Failure.NEEDS_APP_PASSWORD
        return account or Failure.WRONG

    async def _check_token(self, token: Token) -> Outcome:
        account = await self._login.log_in_with_token(
            token.token, token.authorization_id, self._origin, self.mechanism
        )
        return account or self._end_with(Failure.WRONG, token.error)

    async def _find_keys(self, login: str) -> Outcome:
        if not isinstance(self._mechanism, Scram):
            raise RuntimeError("only SCRAM wants keys")
        self._asked_for = login
        self._found = await self._login.find_scram_keys(login, self._origin)
        return await self._follow(self._mechanism.take_keys(self._found.keys))

    async def _check_proof(self, key: int, final: bytes) -> Outcome:
        account = await self._log_in_by_key(key)
        # Suspended or removed meanwhile: as if the proof were wrong.
        return Failure.WRONG if account is None else self._end_with(account, final)

    async def _log_in_by_key(self, key: int | None) -> Account | None:
        found = self._found
        owner = found.owners[key] if found is not None and key is not None else None
        return await self._login.log_in_by_key(self._asked_for, owner, self._origin, self.mechanism)

    def _end_with(self, end: Account | Failure, final: bytes) -> Challenge:
        self._end = end
        return Challenge(final)


def _is_same(authorization_id: str, login: str) -> bool:
    """Return whether somebody acts for nobody else, which is nobody's right here (RFC 4616)."""
    if authorization_id in ("", login):
        return True
    try:
        return prepare_login(authorization_id) == prepare_login(login)
    except BadLogin:
        return False
