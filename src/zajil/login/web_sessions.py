"""Log-ins of browsers: a random token for the browser, its hash in the store."""

from __future__ import annotations

from zajil.core.clock import Clock, Random
from zajil.core.ids import AccountId
from zajil.core.service import Service
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.people.sessions import (
    WebSession,
    create_web_session,
    delete_web_session,
    find_web_session,
    hash_token,
)
from zajil.tracking.events import LoggedIn

TOKEN_SIZE = 32
"""Bytes of randomness in a token."""


class WebSessions:
    """Begins, finds and ends the log-ins of browsers."""

    def __init__(self, store: Store, clock: Clock, random: Random, lifetime_ms: int) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._lifetime_ms = lifetime_ms

    def new_token(self) -> str:
        """Return a new random token, in hexadecimal digits."""
        return self._random(TOKEN_SIZE).hex()

    async def find(self, token: str) -> WebSession | None:
        """Return the log-in of a token; ``None``: there is none, or it has expired."""
        token_hash, now_ms = hash_token(token), self._clock.now_ms()
        return await self._store.read(lambda conn: find_web_session(conn, token_hash, now_ms))

    async def begin(self, account_id: AccountId) -> str:
        """Log a browser in; returns its token.

        Security: the token is always new, so that nobody can plant one before the log-in.
        """
        token, now_ms = self.new_token(), self._clock.now_ms()
        session = WebSession(
            hash_token(token), account_id, self.new_token(), now_ms, now_ms + self._lifetime_ms
        )
        await self._store.write(create_web_session, session)
        return token

    def record(self, login: str, peer: str) -> None:
        """Record a log-in without waiting for the commit.

        Args:
            login: of the account.
            peer: IP address of the browser.
        """
        now_ms = self._clock.now_ms()
        event = LoggedIn(now_ms, login, "password", Service.WEB, peer)
        self._store.write_later(record_events, EventBatch(None, None, now_ms, (event,)))

    async def end(self, session: WebSession) -> None:
        """Log a browser out: its token is no longer valid."""
        await self._store.write(delete_web_session, session.token_hash)
