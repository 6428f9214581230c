"""Log-ins of browsers: a random token for the browser, its hash in the store."""

from __future__ import annotations

from zajil.core.clock import Clock, Random
from zajil.core.ids import AccountId
from zajil.core.service import Service
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.people.sessions import (
    LONGEST_AGENT,
    SessionUse,
    WebSession,
    create_web_session,
    delete_web_session,
    find_web_session,
    hash_token,
    record_session_use,
)
from zajil.tracking.events import LoggedIn

TOKEN_SIZE = 32
"""Bytes of randomness in a token."""
_USE_NOTED_EVERY_MS = 300_000
"""When a log-in was used last is told to five minutes."""


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

    async def find(self, token: str, peer: str) -> WebSession | None:
        """Return the log-in of a token; ``None``: there is none, or it has expired.

        When and from where it was used is kept without waiting for the commit.
        """
        token_hash, now_ms = hash_token(token), self._clock.now_ms()
        found = await self._store.read(lambda conn: find_web_session(conn, token_hash, now_ms))
        if found is not None and (
            now_ms - found.used_ms >= _USE_NOTED_EVERY_MS or found.peer != peer
        ):
            self._store.write_later(record_session_use, SessionUse(token_hash, now_ms, peer))
        return found

    async def begin(self, account_id: AccountId, peer: str, agent: str) -> str:
        """Log a browser in; returns its token.

        Args:
            account_id: whose log-in it is.
            peer: IP address of the browser.
            agent: its User-Agent; may be anything.

        Security: the token is always new, so that nobody can plant one before the log-in.
        """
        token, now_ms = self.new_token(), self._clock.now_ms()
        session = WebSession(
            token_hash=hash_token(token),
            account_id=account_id,
            csrf=self.new_token(),
            created_ms=now_ms,
            expires_ms=now_ms + self._lifetime_ms,
            peer=peer,
            agent=_printable(agent)[:LONGEST_AGENT],
            used_ms=now_ms,
        )
        await self._store.write(create_web_session, session)
        return token

    def record(self, login: str, peer: str, mechanism: str) -> None:
        """Record a log-in without waiting for the commit.

        Args:
            login: of the account.
            peer: IP address of the browser.
            mechanism: what proved who it is.
        """
        now_ms = self._clock.now_ms()
        event = LoggedIn(now_ms, login, mechanism, Service.WEB, peer)
        self._store.write_later(record_events, EventBatch(None, None, now_ms, (event,)))

    async def end(self, session: WebSession) -> None:
        """Log a browser out: its token is no longer valid."""
        await self._store.write(delete_web_session, session.token_hash)


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isascii() and letter.isprintable())
