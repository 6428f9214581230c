"""Log-ins of browsers. The token of the cookie is never stored, only its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId
from zajil.store.schema import web_session


@dataclass(frozen=True, slots=True)
class WebSession:
    """One log-in of a browser."""

    token_hash: str
    """``hash_token`` of what the cookie carries."""
    account_id: AccountId
    csrf: str
    """What every form of this session must send back."""
    created_ms: int
    expires_ms: int


def hash_token(token: str) -> str:
    """Return the form of a cookie's token that is stored.

    Security: who reads the database cannot log in with what it holds. One round of SHA-256 is
    enough, because a token is 256 random bits and not a password.
    """
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def create_web_session(tx: Connection, sessions: Sequence[WebSession]) -> list[None]:
    """Keep log-ins, and forget those whose time is over.

    Unit of work: not idempotent; locks nothing; records nothing.
    """
    now_ms = max(session.created_ms for session in sessions)
    tx.execute(sa.delete(web_session).where(web_session.c.expires_ms <= now_ms))
    rows = [
        {
            "token_hash": session.token_hash,
            "account_id": session.account_id,
            "csrf": session.csrf,
            "created_ms": session.created_ms,
            "expires_ms": session.expires_ms,
        }
        for session in sessions
    ]
    tx.execute(sa.insert(web_session), rows)
    return [None] * len(sessions)


def delete_web_session(tx: Connection, token_hashes: Sequence[str]) -> list[None]:
    """End log-ins; unknown ones are ended already. Unit of work: idempotent."""
    tx.execute(sa.delete(web_session).where(web_session.c.token_hash.in_(token_hashes)))
    return [None] * len(token_hashes)


def delete_web_sessions_of(tx: Connection, account_ids: Sequence[AccountId]) -> list[None]:
    """End every log-in of accounts: their password changed, or they are gone.

    Unit of work: idempotent; meant to be called by the unit that changes the account.
    """
    tx.execute(sa.delete(web_session).where(web_session.c.account_id.in_(account_ids)))
    return [None] * len(account_ids)


def find_web_session(conn: Connection, token_hash: str, now_ms: int) -> WebSession | None:
    """Return the log-in of a cookie; ``None`` when there is none, or its time is over."""
    row = conn.execute(_FIND, {"token_hash_": token_hash, "now_": now_ms}).one_or_none()
    if row is None:
        return None
    return WebSession(row.token_hash, row.account_id, row.csrf, row.created_ms, row.expires_ms)


_FIND = sa.select(web_session).where(
    web_session.c.token_hash == sa.bindparam("token_hash_"),
    web_session.c.expires_ms > sa.bindparam("now_"),
)
