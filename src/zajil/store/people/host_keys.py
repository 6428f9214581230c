"""Private keys of the server's certificates, from their making to their end.

A key of a name goes one way: next (its TLSA record is to be in DNS, it is not used yet), active
(new certificates are made for it), retired (it is erased when no certificate uses it any more).

Laws:
- A name has at most one next and one active key.
- A key is stored before a certificate is ordered for it.
- Each unit says from which state it moves a key, so that two nodes that do the same do it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.engine.batch import CERTIFICATES, touch
from zajil.store.schema import host_certificate, host_key


class HostKeyState(StrEnum):
    """Where a key is on its way, in order."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRED = "retired"


@value_class(frozen=True, slots=True, kw_only=True)
class HostKeyRow:
    """One key, without its secret."""

    name: str
    """Host name in ASCII form."""
    key_hash: str
    """SHA-256 of its SubjectPublicKeyInfo, in hexadecimal: what a TLSA record ``3 1 1`` holds."""
    state: HostKeyState
    created_ms: int
    found_ms: int | None = None
    """Since when its TLSA record is in DNS; ``None``: not seen yet."""
    activated_ms: int | None = None
    retired_ms: int | None = None


@value_class(frozen=True, slots=True)
class NewHostKey:
    """A key that was just made."""

    name: str
    key_hash: str
    private_key: bytes
    """PKCS #8 in PEM, not encrypted."""
    state: HostKeyState
    created_ms: int


@value_class(frozen=True, slots=True)
class HostKeyAt:
    """One key, and when something happens to it."""

    name: str
    key_hash: str
    at_ms: int


def add_host_keys(tx: Connection, items: Sequence[NewHostKey]) -> list[bool]:
    """Keep new keys; gives whether they were added: not where the name has one in this state.

    Unit of work: idempotent.
    """
    return [_add(tx, item) for item in items]


def _add(tx: Connection, item: NewHostKey) -> bool:
    there = sa.select(host_key.c.key_hash).where(
        host_key.c.name == item.name, host_key.c.state == item.state.value
    )
    if tx.execute(there).first() is not None:
        return False
    is_active = item.state is HostKeyState.ACTIVE
    tx.execute(
        sa.insert(host_key).values(
            key_hash=item.key_hash,
            name=item.name,
            state=item.state.value,
            private_key=item.private_key,
            created_ms=item.created_ms,
            activated_ms=item.created_ms if is_active else None,
        )
    )
    touch(tx, CERTIFICATES)
    return True


def note_host_key_found(tx: Connection, items: Sequence[HostKeyAt]) -> list[None]:
    """Note that the TLSA records of next keys are in DNS; the first time counts.

    Unit of work: idempotent; touches nothing.
    """
    for item in items:
        tx.execute(
            sa.update(host_key)
            .where(_is(item, HostKeyState.NEXT), host_key.c.found_ms.is_(None))
            .values(found_ms=item.at_ms)
        )
    return [None] * len(items)


def note_host_key_missing(tx: Connection, items: Sequence[HostKeyAt]) -> list[None]:
    """Note that the TLSA records of next keys are gone from DNS: their wait begins anew.

    Unit of work: idempotent; touches nothing.
    """
    for item in items:
        tx.execute(sa.update(host_key).where(_is(item, HostKeyState.NEXT)).values(found_ms=None))
    return [None] * len(items)


def activate_host_keys(tx: Connection, items: Sequence[HostKeyAt]) -> list[bool]:
    """Use next keys for new certificates from now on; the ones before them retire.

    Unit of work: idempotent. Gives whether a key became active.
    """
    return [_activate(tx, item) for item in items]


def _activate(tx: Connection, item: HostKeyAt) -> bool:
    there = sa.select(host_key.c.key_hash).where(_is(item, HostKeyState.NEXT)).with_for_update()
    if tx.execute(there).first() is None:
        return False
    tx.execute(
        sa.update(host_key)
        .where(host_key.c.name == item.name, host_key.c.state == HostKeyState.ACTIVE.value)
        .values(state=HostKeyState.RETIRED.value, retired_ms=item.at_ms)
    )
    tx.execute(
        sa.update(host_key)
        .where(_is(item, HostKeyState.NEXT))
        .values(state=HostKeyState.ACTIVE.value, activated_ms=item.at_ms)
    )
    touch(tx, CERTIFICATES)
    return True


def forget_host_keys(tx: Connection, items: Sequence[int]) -> list[None]:
    """Erase keys that retired before a time, where no certificate uses them.

    Unit of work: idempotent; touches nothing: nobody presents them.
    """
    used = sa.select(host_certificate.c.key_hash).where(host_certificate.c.key_hash.is_not(None))
    for before_ms in items:
        tx.execute(
            sa.delete(host_key).where(
                host_key.c.state == HostKeyState.RETIRED.value,
                host_key.c.retired_ms < before_ms,
                host_key.c.key_hash.not_in(used),
            )
        )
    return [None] * len(items)


def list_host_keys(conn: Connection, name: str | None = None) -> list[HostKeyRow]:
    """Return the keys of one host name, or of all, oldest first in each."""
    query = sa.select(*_PUBLIC).order_by(host_key.c.name, host_key.c.created_ms)
    if name is not None:
        query = query.where(host_key.c.name == name)
    return [
        HostKeyRow(**{**row._mapping, "state": HostKeyState(row.state)})
        for row in conn.execute(query)
    ]


def load_host_key(conn: Connection, key_hash: str) -> bytes | None:
    """Return the private key, in PEM; for ``certificates`` alone."""
    query = sa.select(host_key.c.private_key).where(host_key.c.key_hash == key_hash)
    found = conn.scalar(query)
    return None if found is None else bytes(found)


def _is(item: HostKeyAt, state: HostKeyState) -> sa.ColumnElement[bool]:
    return sa.and_(
        host_key.c.name == item.name,
        host_key.c.key_hash == item.key_hash,
        host_key.c.state == state.value,
    )


_PUBLIC = [column for column in host_key.c if column.name != "private_key"]
