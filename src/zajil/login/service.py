"""Authentication for SMTP, IMAP and the web.

Laws:
- An unknown login, a suspended account and a wrong password take the same time and have the same
  result.
- Names and passwords are prepared (PRECIS, RFC 8265) before any comparison.
- An app password gives access to its scope, and never to the web.
- The password of an account with a second factor opens the web only, which asks for the factor.
- A success is cached (``login.passwords``) and returned at once; failures are returned with
  increasing delay (``login.throttle``); accounts are never locked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zajil.config.options_shards import MAIN_SHARD
from zajil.core.clock import Clock, Random
from zajil.core.ids import AccountId, AppPasswordId, SessionId
from zajil.core.login_name import BadLogin, prepare_login
from zajil.core.password import UnusablePassword, prepare_password
from zajil.core.service import Service
from zajil.login.account import Account, Origin, Proof
from zajil.login.guesses import LONGEST_LOGIN, Guesses
from zajil.login.open_sessions import OpenSessions
from zajil.login.passwords import Passwords
from zajil.login.tokens import TokenJudge
from zajil.login.verification import AppPasswordNeeded, PersonPasswords, Verifier, Wrong
from zajil.net.floods import RefusalBudget
from zajil.net.limits import SessionCaps
from zajil.sasl.mechanism import PASSWORD_MECHANISMS, TOKEN_MECHANISMS
from zajil.sasl.scram import ITERATIONS, Scram, ScramKey, ScramKeys
from zajil.store.engine.batch import DIRECTORY
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.people.accounts import (
    AccountRow,
    addresses_of,
    find_by_login,
    find_by_prepared_login,
    get_account,
)
from zajil.store.people.app_passwords import (
    AppPasswordRow,
    AppPasswordUsed,
    find_scram_keys,
    get_app_password,
    record_use,
    scram_salt,
)
from zajil.store.people.delegations import delegated_to
from zajil.store.people.domain_admins import administered_by
from zajil.store.people.last_logins import LastLogin, record_logins

_USE_NOTED_EVERY_MS = 3_600_000
"""A phone logs in every minute; when an app password was last used is told to the hour."""
_LOGIN_NOTED_EVERY_MS = 60_000
"""The last log-in of an account is told to the minute, by each worker."""
_NOBODY = ""
"""Prepared form of what is no login name: nobody has it, and looking for it takes as long."""


@dataclass(frozen=True, slots=True)
class FoundKeys:
    """The SCRAM keys behind a name."""

    keys: ScramKeys
    owners: tuple[AppPasswordId | None, ...]
    """Whose each key is; ``None``: nobody's, made up."""


class LoginService:
    """Answers one question for every protocol: who is this?

    Args:
        store: accounts, app passwords, failures.
        clock: for the throttle and events.
        random: for keys that live as long as this object.
        free_failures: failures of one network before answers slow down; 0: never.
        tokens: judges access tokens; ``None``: they are not offered.
        scram: offer SCRAM-SHA-256.
        passwords: brought by tests that count computations.
        directory: knows the passwords of its people; ``None``: there is none.
        needs_factor: no password alone opens a mail program.
        sessions: caps on the open sessions of an account; ``None``: there are none.
        refusals: how many failures of one peer are kept as events; ``None``: all.
        shard: that ``store`` is.
        serves: whether a prepared login name belongs to this store; ``None``: all do.
        counts: the service that counts wrong guesses for this one, too; ``None``: it does itself.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        random: Random,
        *,
        free_failures: int,
        tokens: TokenJudge | None = None,
        scram: bool = True,
        passwords: Passwords | None = None,
        directory: PersonPasswords | None = None,
        needs_factor: bool = False,
        sessions: SessionCaps | None = None,
        refusals: RefusalBudget | None = None,
        shard: str = MAIN_SHARD,
        serves: Callable[[str], bool] | None = None,
        counts: LoginService | None = None,
    ) -> None:
        self._store = store
        self._serves = serves
        self._shard = shard
        self._clock = clock
        self.random = random
        counted = None if counts is None else counts._guesses
        self._guesses: Guesses = Guesses(store, clock, free_failures, refusals, counted)
        self._passwords = passwords or Passwords(random)
        self._verifier = Verifier(store, self._passwords, directory, needs_factor=needs_factor)
        self._tokens = tokens
        # Security: keys that no password has, in place of those that a name does not have.
        self._nobodys_key = ScramKey(random(32), random(32))
        self._uses: dict[AppPasswordId, int] = {}
        self._logins: dict[AccountId, int] = {}
        self.sessions = OpenSessions(store, sessions)
        self.mechanisms = (
            *PASSWORD_MECHANISMS,
            *((Scram.name,) if scram else ()),
            *(TOKEN_MECHANISMS if tokens else ()),
        )
        """Those we offer once the connection is encrypted."""
        store.changes.subscribe(DIRECTORY, self._forget)

    async def log_in(
        self,
        login: str,
        password: str,
        *,
        peer: str,
        service: Service,
        mechanism: str = "password",
        session_id: SessionId | None = None,
    ) -> Account | None:
        """Check a password.

        Waits for a free argon2 computation, and in a network with many failures for a turn to
        guess; a wrong answer is held back there. A guess that is cancelled keeps its turn.

        Args:
            login: the login name or any address of the account, as typed.
            password: as typed.
            peer: IP address, for the throttle.
            service: the listener, for scopes and the event.
            mechanism: SASL name or command, for the event.
            session_id: the connection, for the event.

        Returns:
            The account, or ``None``; nobody is told which of the two was wrong.

        Raises:
            AppPasswordNeeded: both are right, and the account has a second factor.
            JudgeUnavailable: the password is in a directory that cannot be asked now.
        """
        origin = Origin(peer, service, session_id)
        name, secret = _prepare_name(login), _prepare_secret(password)
        question = self._passwords.digest(name, service, secret or "")
        account = None
        if secret is not None:
            account = self._passwords.recall(question, self._clock.now_ms())
        if account is None:
            turn = await self._guesses.take_turn(origin, name)
            try:
                account = await self._verify(name, secret, origin, question)
            except AppPasswordNeeded as error:
                self._guesses.succeeded(origin, name, turn)
                self._guesses.note_failure(origin, login, mechanism, str(error))
                raise
            if account is None:
                attempt = self._passwords.digest(login[:LONGEST_LOGIN], service, password[:2000])
                self._fail(origin, login, mechanism, attempt)
                await self._guesses.hold_back(turn)
                return None
            self._guesses.succeeded(origin, name, turn)
        self._note_login(account, origin)
        return account

    async def find_scram_keys(self, login: str, origin: Origin) -> FoundKeys:
        """Return the keys of a name, or generated ones for an unknown name. Waits as ``log_in``."""
        name, scope = _prepare_name(login), origin.scope
        # The proof comes later, in another exchange: each try waits, right or wrong.
        turn = await self._guesses.take_turn(origin, name)
        await self._guesses.hold_back(turn)

        def read(conn: Snapshot) -> FoundKeys:
            rows = find_scram_keys(conn, name, scope) if scope else []
            salt = scram_salt(conn, name or login)
            if not rows:
                keys = ScramKeys(salt, ITERATIONS, (self._nobodys_key,))
                return FoundKeys(keys, (None,))
            # The client hashes once, so only keys with the same salt can be tried together.
            last = rows[-1]
            same = [r for r in rows if (r.salt, r.iterations) == (last.salt, last.iterations)]
            keys = ScramKeys(last.salt, last.iterations, tuple(row.key for row in same))
            return FoundKeys(keys, tuple(row.app_password_id for row in same))

        return await self._store.read(read)

    async def log_in_by_key(
        self, login: str, owner: AppPasswordId | None, origin: Origin, mechanism: str
    ) -> Account | None:
        """Log in who proved to know an app password (``None``: proved nothing)."""

        def read(conn: Snapshot) -> tuple[AppPasswordRow, AccountRow] | None:
            app = get_app_password(conn, owner) if owner is not None else None
            row = get_account(conn, app.account_id) if app is not None else None
            return (app, row) if app is not None and row is not None and row.active else None

        found = await self._store.read(read)
        if found is None:
            # Each exchange has a nonce of its own, so no two proofs are the same guess.
            self._fail(origin, login, mechanism, self.random(16))
            return None
        app, row = found
        account = await self._account(row, Proof(app.password_hash, app.app_password_id))
        self._guesses.succeeded(origin, _prepare_name(login))
        self._uses.setdefault(app.app_password_id, app.last_used_ms or 0)
        self._note_login(account, origin)
        return account

    async def log_in_with_token(
        self, token: str, authorization_id: str, origin: Origin, mechanism: str
    ) -> Account | None:
        """Log in the owner of an access token.

        Args:
            token: as the client sent it.
            authorization_id: whose account it wants, ``""`` for the token's.
            origin: where it comes from.
            mechanism: for the event.

        Raises:
            JudgeUnavailable: nobody can say whose it is now.
        """
        turn = await self._guesses.take_turn(origin, _prepare_name(authorization_id))
        owner = await self._tokens.judge(token) if self._tokens and origin.scope else None
        name = _prepare_name(owner or "")

        def read(conn: Snapshot) -> AccountRow | None:
            # Security: two shards may have the same login. The token is for one of them, and what
            # the client asks for (``authorization_id``) must not choose.
            if self._serves is not None and not self._serves(name):
                return None
            row = find_by_prepared_login(conn, name)
            if row is None or not row.active:
                return None
            wanted = _prepare_name(authorization_id) if authorization_id else name
            return row if wanted in (row.login, row.address.key) else None

        row = await self._store.read(read) if owner is not None else None
        if row is None:
            attempt = self._passwords.digest(authorization_id, origin.service, token)
            self._fail(origin, authorization_id or owner or "", mechanism, attempt)
            await self._guesses.hold_back(turn)
            return None
        self._guesses.succeeded(origin, _prepare_name(authorization_id), turn)
        account = await self._account(row, Proof(None))
        self._note_login(account, origin)
        return account

    async def find(self, account_id: AccountId) -> Account | None:
        """Return the account of an id that was proven before (a web session); ``None``: gone."""
        row = await self._store.read(lambda conn: get_account(conn, account_id))
        if row is None or not row.active:
            return None
        return await self._account(row, None)

    async def find_by_name(self, login: str) -> Account | None:
        """Return the account whose login a proxy of ours has proven; ``None``: none, or suspended.

        Raises:
            StoreUnavailable: nobody can say.
        """
        row = await self._store.read(lambda conn: find_by_login(conn, login))
        return await self._account(row, None) if row is not None and row.active else None

    def serving(self, account: Account) -> LoginService:
        """Return the service that watches the log-ins of an account."""
        return self

    @property
    def generation(self) -> int:
        """Grows when the directory may have changed: what an ``Account`` says may be old then."""
        return self._passwords.generation

    def _forget(self) -> None:
        self._passwords.forget()
        self._uses.clear()

    async def _verify(
        self, name: str, secret: str | None, origin: Origin, question: bytes
    ) -> Account | None:
        """Return whose password this is, and remember it."""
        if self._passwords.is_wrong(question):
            return None
        generation = self._passwords.generation
        found = await self._verifier.verify(name, secret, origin)
        if isinstance(found, Wrong):
            if found.is_lasting:
                self._passwords.remember_wrong(question, generation)
            return None
        account = await self._account(found.row, found.proof)
        app = found.app
        if app is not None:
            # After the last wait: a change of the directory meanwhile makes all uses forgotten.
            self._uses.setdefault(app.app_password_id, app.last_used_ms or 0)
        until_ms = None
        if found.remember_ms is not None:
            until_ms = self._clock.now_ms() + found.remember_ms
        self._passwords.remember(question, account, generation, until_ms)
        return account

    async def _account(self, row: AccountRow, proof: Proof | None) -> Account:
        account_id = row.account_id
        own, delegated, domains = await self._store.read(
            lambda conn: (
                addresses_of(conn, account_id),
                delegated_to(conn, account_id),
                administered_by(conn, account_id),
            )
        )
        others = tuple([one for one in delegated if one not in own])
        return Account(
            account_id=account_id,
            login=row.login,
            address=row.address,
            addresses=(*own, *others),
            display_name=row.display_name,
            admin=row.admin,
            domains=domains,
            proof=proof,
            delegated=frozenset(others),
            shard=self._shard,
        )

    def _fail(self, origin: Origin, login: str, mechanism: str, attempt: bytes) -> None:
        name = _prepare_name(login)
        self._guesses.failed(origin, login, mechanism, name=name, attempt=attempt)

    def note_failure(self, origin: Origin, login: str, mechanism: str, reason: str) -> None:
        """Record a log-in that failed before a secret was looked at (``Guesses.note_failure``)."""
        self._guesses.note_failure(origin, login, mechanism, reason)

    def _note_login(self, account: Account, origin: Origin) -> None:
        now_ms = self._clock.now_ms()
        if now_ms - self._logins.get(account.account_id, 0) >= _LOGIN_NOTED_EVERY_MS:
            self._logins[account.account_id] = now_ms
            login = LastLogin(account.account_id, now_ms, origin.service, origin.peer)
            self._store.write_later(record_logins, login)
        self._note_use(account)

    def _note_use(self, account: Account) -> None:
        number = account.proof.app_password_id if account.proof is not None else None
        if number is None:
            return
        now_ms = self._clock.now_ms()
        if now_ms - self._uses.get(number, 0) >= _USE_NOTED_EVERY_MS:
            self._uses[number] = now_ms
            self._store.write_later(record_use, AppPasswordUsed(number, now_ms))


def _prepare_name(login: str) -> str:
    try:
        return prepare_login(login) if len(login) <= LONGEST_LOGIN else _NOBODY
    except BadLogin:
        return _NOBODY


def _prepare_secret(password: str) -> str | None:
    try:
        return prepare_password(password)
    except UnusablePassword:
        return None
