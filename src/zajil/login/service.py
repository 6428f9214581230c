"""Check a password once with argon2id, and remember that it was right (design D11).

Laws:
- An unknown login, a suspended account and a wrong password cost the same time and look the same.
- What is remembered is a hash under a key that lives in this process only, and all of it is
  forgotten when the directory changes (a changed password is a directory change).
- At most ``_AT_ONCE`` argon2 computations run at a time: each takes 64 MiB.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from zajil.core.clock import Clock, Random
from zajil.core.ids import AccountId, SessionId
from zajil.login.account import Account
from zajil.login.throttle import Throttle
from zajil.store.accounts import AccountRow, addresses_of, find_by_login, get_account
from zajil.store.batch import DIRECTORY
from zajil.store.open import Store
from zajil.store.tracking import EventBatch, record_events
from zajil.tracking.events import LoginFailed

_AT_ONCE = 2
_LONGEST_LOGIN = 320
"""An address at its longest (RFC 5321 section 4.5.3.1) bounds what may be typed as a login."""
_LONGEST_PASSWORD = 1024
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a log-in comes from."""

    peer: str
    """IP address, for the throttle."""
    service: str
    """``submission``, ``imaps``, ``web`` ...: the listener, for events and scopes."""
    session_id: SessionId | None = None
    """The connection, for the event."""


class LoginService:
    """Answers one question for SMTP, IMAP and the web: is this that account's owner?"""

    def __init__(self, store: Store, clock: Clock, random: Random, *, free_failures: int) -> None:
        self._store = store
        self._clock = clock
        self._throttle = Throttle(free_failures)
        self._hasher = PasswordHasher()
        self._key = random(32)
        # Security: verified in place of a hash we do not have, so that an unknown login takes as
        # long as a known one.
        self._nobody = self._hasher.hash(random(16).hex())
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._remembered: dict[str, tuple[bytes, Account]] = {}
        self._changes = 0
        store.changes.subscribe(DIRECTORY, self._forget)

    async def log_in(
        self,
        login: str,
        password: str,
        *,
        peer: str,
        service: str,
        mechanism: str = "password",
        session_id: SessionId | None = None,
    ) -> Account | None:
        """Check a password.

        Waits for the throttle and for a free argon2 computation; cancelling leaves nothing behind.

        Args:
            login: the login name or any address of the account, as typed.
            password: as typed, at most 1024 bytes.
            peer: IP address, for the throttle.
            service: ``submission``, ``imap``, ``web``: for the event.
            mechanism: SASL name or command, for the event.
            session_id: the connection, for the event.

        Returns:
            The account, or ``None``; nobody is told which of the two was wrong.
        """
        delay = self._throttle.delay_ms(peer, self._clock.now_ms())
        if delay:
            await asyncio.sleep(delay / 1000)
        if len(login) > _LONGEST_LOGIN or len(password) > _LONGEST_PASSWORD:
            account = None
        else:
            account = self._recall(login, password) or await self._verify(login, password)
        if account is not None:
            self._throttle.record_success(peer)
            return account
        now_ms = self._clock.now_ms()
        self._throttle.record_failure(peer, now_ms)
        reason = f"wrong login or password for {service}"
        event = LoginFailed(now_ms, login[:_LONGEST_LOGIN], mechanism, reason)
        self._store.write_later(record_events, EventBatch(session_id, None, now_ms, (event,)))
        return None

    async def find(self, account_id: AccountId) -> Account | None:
        """Give the account of an id that was proven before (a web session); ``None``: gone."""
        row = await self._store.read(lambda conn: get_account(conn, account_id))
        if row is None or not row.active:
            return None
        return await self._account(row)

    def _forget(self) -> None:
        self._changes += 1
        self._remembered.clear()

    def _recall(self, login: str, password: str) -> Account | None:
        known = self._remembered.get(login)
        if known and hmac.compare_digest(known[0], self._digest(password)):
            return known[1]
        return None

    async def _verify(self, login: str, password: str) -> Account | None:
        changes = self._changes
        row = await self._store.read(lambda conn: find_by_login(conn, login))
        async with self._at_once:
            right = await asyncio.to_thread(
                self._matches, row.password_hash if row else self._nobody, password
            )
        if not right or row is None or not row.active:
            return None
        account = await self._account(row)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        # Security: a password that was changed while we computed must not be remembered.
        if changes == self._changes:
            self._remembered[login] = (self._digest(password), account)
        return account

    async def _account(self, row: AccountRow) -> Account:
        addresses = await self._store.read(lambda conn: addresses_of(conn, row.account_id))
        return Account(
            row.account_id, row.login, row.address, addresses, row.display_name, row.admin
        )

    def _digest(self, password: str) -> bytes:
        return hashlib.blake2b(password.encode("utf-8", "replace"), key=self._key).digest()

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (Argon2Error, InvalidHashError):
            return False
