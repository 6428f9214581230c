"""Log-ins of browsers. The token of the cookie is never stored, only its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.schema import web_session


@value_class(frozen=True, slots=True, kw_only=True)
class WebSession:
    """One log-in of a browser."""

    token_hash: str
    """``hash_token`` of what the cookie carries."""
    account_id: AccountId
    csrf: str
    """What every form of this session must send back."""
    created_ms: int
    expires_ms: int
    peer: str = ""
    """IP address of the browser when it was used last; ``""``: not known."""
    agent: str = ""
    """Its User-Agent, of at most ``LONGEST_AGENT`` characters; may be anything."""
    used_ms: int = 0
    """When it was used last, to five minutes; 0: not known."""


LONGEST_AGENT = 300
"""Characters."""


@value_class(frozen=True, slots=True)
class SessionUse:
    """What ``record_session_use`` takes."""

    token_hash: str
    at_ms: int
    peer: str


@value_class(frozen=True, slots=True)
class EndSessions:
    """What ``end_web_sessions`` takes."""

    account_id: AccountId
    only: str | None
    """``token_hash`` of the one to end; ``None``: all."""
    keep: str | None
    """``token_hash`` of one that goes on."""


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
            "peer": session.peer,
            "agent": session.agent,
            "used_ms": session.used_ms,
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
    return _session(row)


def list_web_sessions(conn: Connection, account_id: AccountId, now_ms: int) -> list[WebSession]:
    """Return the log-ins of an account that hold, the one that was used last first."""
    found = sa.select(web_session).where(
        web_session.c.account_id == account_id, web_session.c.expires_ms > now_ms
    )
    rows = [_session(row) for row in conn.execute(found)]
    return sorted(rows, key=_latest, reverse=True)


def end_web_sessions(tx: Connection, items: Sequence[EndSessions]) -> list[int]:
    """End log-ins of accounts; return how many. Unit of work: idempotent."""
    return [_end(tx, item) for item in items]


def record_session_use(tx: Connection, items: Sequence[SessionUse]) -> list[None]:
    """Keep when and from where log-ins were used. Unit of work: idempotent."""
    for item in items:
        tx.execute(
            sa.update(web_session)
            .where(web_session.c.token_hash == item.token_hash)
            .values(used_ms=item.at_ms, peer=item.peer)
        )
    return [None] * len(items)


def _end(tx: Connection, item: EndSessions) -> int:
    ended = sa.delete(web_session).where(web_session.c.account_id == item.account_id)
    if item.only is not None:
        ended = ended.where(web_session.c.token_hash == item.only)
    if item.keep is not None:
        ended = ended.where(web_session.c.token_hash != item.keep)
    return tx.execute(ended).rowcount


def _latest(one: WebSession) -> tuple[int, int]:
    return max(one.used_ms, one.created_ms), one.created_ms


def _session(row: sa.Row[Any]) -> WebSession:
    return WebSession(
        token_hash=row.token_hash,
        account_id=row.account_id,
        csrf=row.csrf,
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        peer=row.peer,
        agent=row.agent,
        used_ms=row.used_ms,
    )


_FIND = sa.select(web_session).where(
    web_session.c.token_hash == sa.bindparam("token_hash_"),
    web_session.c.expires_ms > sa.bindparam("now_"),
)
