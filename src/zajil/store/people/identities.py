"""Who an account is in a directory or at a provider of log-ins, and how comparing them went."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address, parse_address
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.schema import directory_state, identity

LDAP = "ldap"
"""The source of people of ``[directory]``."""


@value_class(frozen=True, slots=True, kw_only=True)
class Identity:
    """One account at one source; a person has one account, and an account one person."""

    source: str
    """``LDAP``, or the address of an OpenID provider."""
    subject: str
    account_id: AccountId
    aliases: tuple[Address, ...] = ()
    """Aliases of the account that were made because the source says so."""
    suspended: bool = False
    """The source suspended the account; one that an operator suspended is not resumed by it."""
    created_ms: int


@value_class(frozen=True, slots=True)
class DirectoryState:
    """How the last comparison with a source went."""

    source: str
    tried_ms: int
    done_ms: int
    """When one was last done; 0: never."""
    problem: str = ""
    """``unavailable``, ``losses``; empty: none."""
    reason: str = ""


def put_identity(tx: Connection, items: Sequence[Identity]) -> list[None]:
    """Set who accounts are; an earlier identity of the same person is replaced.

    Unit of work: idempotent; touches the directory.
    """
    for item in items:
        row = {
            "account_id": item.account_id,
            "aliases": json.dumps([str(one) for one in item.aliases]),
            "suspended": item.suspended,
            "created_ms": item.created_ms,
        }
        same = (identity.c.source == item.source) & (identity.c.subject == item.subject)
        if not tx.execute(sa.update(identity).where(same).values(row)).rowcount:
            key = {"source": item.source, "subject": item.subject}
            tx.execute(sa.insert(identity), [{**key, **row}])
    touch(tx, DIRECTORY)
    return [None] * len(items)


def find_identity(conn: Connection, source: str, subject: str) -> Identity | None:
    """Return the identity of a person; ``None``: the person has no account."""
    same = (identity.c.source == source) & (identity.c.subject == subject)
    row = conn.execute(sa.select(identity).where(same)).one_or_none()
    return None if row is None else _identity(row)


def identities_of(conn: Connection, account_id: AccountId) -> list[Identity]:
    """Return who an account is, at each source."""
    asked = sa.select(identity).where(identity.c.account_id == account_id)
    return [_identity(row) for row in conn.execute(asked.order_by(identity.c.source))]


def list_identities(conn: Connection, source: str) -> dict[str, Identity]:
    """Return all identities of a source, by subject."""
    rows = conn.execute(sa.select(identity).where(identity.c.source == source))
    return {row.subject: _identity(row) for row in rows}


def delete_identities_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Forget who accounts are elsewhere; part of their removal."""
    tx.execute(sa.delete(identity).where(identity.c.account_id.in_(account_ids)))


def delete_identity(tx: Connection, items: Sequence[tuple[str, str]]) -> list[int]:
    """Forget people, each by source and subject; gives how many there were.

    Unit of work: idempotent; touches the directory.
    """
    done = [
        tx.execute(
            sa.delete(identity).where(identity.c.source == source, identity.c.subject == subject)
        ).rowcount
        for source, subject in items
    ]
    touch(tx, DIRECTORY)
    return done


def put_directory_state(tx: Connection, items: Sequence[DirectoryState]) -> list[None]:
    """Set how the last comparison with a source went. Unit of work: idempotent."""
    for item in items:
        tx.execute(sa.delete(directory_state).where(directory_state.c.source == item.source))
        row = {
            "source": item.source,
            "tried_ms": item.tried_ms,
            "done_ms": item.done_ms,
            "problem": item.problem,
            "reason": item.reason[:1000],
        }
        tx.execute(sa.insert(directory_state), [row])
    return [None] * len(items)


def load_directory_state(conn: Connection, source: str) -> DirectoryState | None:
    """Return how the last comparison with a source went; ``None``: there was none."""
    row = conn.execute(
        sa.select(directory_state).where(directory_state.c.source == source)
    ).one_or_none()
    if row is None:
        return None
    return DirectoryState(row.source, row.tried_ms, row.done_ms, row.problem, row.reason)


def _identity(row: Any) -> Identity:
    return Identity(
        source=row.source,
        subject=row.subject,
        account_id=AccountId(row.account_id),
        aliases=tuple(map(parse_address, json.loads(row.aliases))),
        suspended=bool(row.suspended),
        created_ms=row.created_ms,
    )
