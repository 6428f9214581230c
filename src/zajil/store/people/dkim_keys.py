"""The keys our domains sign with (RFC 6376 section 3.6), from their making to their end.

A key goes one way: published (its record is to be in DNS, nothing is signed with it yet), active,
retired (it signs no more, its record stays for mail that is under way), revoked (its record says
``p=``, the private key is erased), forgotten.

Laws:
- A domain has at most one active key of each algorithm.
- Each unit says from which state it moves a key, so that two nodes that do the same do it once.
- The private key leaves the store for ``keys.keyring`` alone, never for a list or a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import AlreadyExists, NotFound
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.people.domains import no_such_domain
from zajil.store.schema import dkim_key, domain

Algorithm = Literal["rsa-sha256", "ed25519-sha256"]


class NoSuchKey(NotFound):
    """The domain has no key of this selector."""


class KeyState(StrEnum):
    """Where a key is on its way, in order."""

    PUBLISHED = "published"
    ACTIVE = "active"
    RETIRED = "retired"
    REVOKED = "revoked"


@value_class(frozen=True, slots=True, kw_only=True)
class DkimKeyRow:
    """One key, without its secret."""

    domain: str
    """ASCII name."""
    selector: str
    algorithm: Algorithm
    state: KeyState
    public_key: bytes
    """What ``p=`` holds, before base64 (RFC 6376 section 3.6.1, RFC 8463 section 4)."""
    created_ms: int
    found_ms: int | None = None
    """Since when its record is in DNS; ``None``: not seen yet."""
    activated_ms: int | None = None
    retired_ms: int | None = None
    revoked_ms: int | None = None


@value_class(frozen=True, slots=True)
class NewDkimKey:
    """A key that was just made."""

    selector: str
    algorithm: Algorithm
    private_key: bytes
    """PKCS #8 in DER, not encrypted."""
    public_key: bytes


@value_class(frozen=True, slots=True)
class NewDkimKeys:
    """The keys of one domain that begin together, one of each algorithm."""

    domain: str
    keys: tuple[NewDkimKey, ...]
    created_ms: int
    state: KeyState
    """``PUBLISHED``, or ``ACTIVE`` for those that sign at once."""
    replaces: frozenset[KeyState] = frozenset()
    """Keys in these states may be there; with another one nothing is added."""


@value_class(frozen=True, slots=True)
class ActiveKey:
    """What is signed with."""

    domain: str
    selector: str
    algorithm: Algorithm
    private_key: bytes


@value_class(frozen=True, slots=True)
class KeysOf:
    """Keys of one domain, and when something is done to them."""

    domain: str
    selectors: tuple[str, ...]
    at_ms: int


def add_dkim_keys(tx: Connection, items: Sequence[NewDkimKeys]) -> list[bool]:
    """Keep new keys; gives whether they were added.

    Unit of work: idempotent as far as ``replaces`` says; locks the row of the domain; touches the
    directory.

    Raises:
        NoSuchDomain: it is not ours (any more).
        AlreadyExists: the domain has a key of that selector.
    """
    return [_add(tx, item) for item in items]


def _add(tx: Connection, item: NewDkimKeys) -> bool:
    lock = sa.select(domain.c.ascii_name).where(domain.c.ascii_name == item.domain)
    if tx.execute(lock.with_for_update()).first() is None:
        raise no_such_domain(tx, item.domain)
    there = list_dkim_keys(tx, item.domain)
    if not item.replaces.issuperset(row.state for row in there):
        return False
    selectors = {row.selector for row in there}
    for key in item.keys:
        if key.selector in selectors:
            raise AlreadyExists(f"{item.domain} already has a key {key.selector}")
    active = item.state is KeyState.ACTIVE
    if active:
        _retire(tx, item.domain, [key.algorithm for key in item.keys], item.created_ms)
    rows = [
        {
            "domain": item.domain,
            "selector": key.selector,
            "algorithm": key.algorithm,
            "state": item.state.value,
            "private_key": key.private_key,
            "public_key": key.public_key,
            "created_ms": item.created_ms,
            "activated_ms": item.created_ms if active else None,
        }
        for key in item.keys
    ]
    tx.execute(sa.insert(dkim_key), rows)
    touch(tx, DIRECTORY)
    return True


def note_found(tx: Connection, items: Sequence[KeysOf]) -> list[None]:
    """Note that records of keys are in DNS; the first time counts.

    Unit of work: idempotent; touches nothing, because nobody signs otherwise for it.
    """
    for item in items:
        tx.execute(
            sa.update(dkim_key)
            .where(_are(item), dkim_key.c.found_ms.is_(None))
            .values(found_ms=item.at_ms)
        )
    return [None] * len(items)


def note_missing(tx: Connection, items: Sequence[KeysOf]) -> list[None]:
    """Note that records of keys that do not sign yet are gone from DNS: their wait begins anew.

    Unit of work: idempotent; touches nothing.
    """
    for item in items:
        still = dkim_key.c.state == KeyState.PUBLISHED.value
        tx.execute(sa.update(dkim_key).where(_are(item), still).values(found_ms=None))
    return [None] * len(items)


def activate_dkim_keys(tx: Connection, items: Sequence[KeysOf]) -> list[tuple[str, ...]]:
    """Sign with published keys from now on; those of the same algorithms before them retire.

    Unit of work: idempotent; touches the directory. Gives the selectors that became active.
    """
    done: list[tuple[str, ...]] = []
    for item in items:
        published = sa.select(dkim_key.c.selector, dkim_key.c.algorithm).where(
            _are(item), dkim_key.c.state == KeyState.PUBLISHED.value
        )
        rows = tx.execute(published.with_for_update()).all()
        _retire(tx, item.domain, [row.algorithm for row in rows], item.at_ms)
        selectors = tuple(row.selector for row in rows)
        _move(tx, item, KeyState.ACTIVE, dkim_key.c.selector.in_(selectors))
        done.append(selectors)
    touch(tx, DIRECTORY)
    return done


def revoke_dkim_keys(tx: Connection, items: Sequence[KeysOf]) -> list[tuple[str, ...]]:
    """Withdraw keys, in whatever state they are, and erase what they sign with.

    Unit of work: idempotent; touches the directory. Gives the selectors that were not revoked
    before.
    """
    done: list[tuple[str, ...]] = []
    for item in items:
        others = sa.select(dkim_key.c.selector).where(
            _are(item), dkim_key.c.state != KeyState.REVOKED.value
        )
        selectors = tuple(tx.scalars(others.with_for_update()))
        _move(tx, item, KeyState.REVOKED, dkim_key.c.selector.in_(selectors))
        done.append(selectors)
    touch(tx, DIRECTORY)
    return done


def forget_dkim_keys(tx: Connection, items: Sequence[KeysOf]) -> list[None]:
    """Delete what is kept of revoked keys.

    Unit of work: idempotent; touches nothing: nobody signs with them.
    """
    for item in items:
        revoked = dkim_key.c.state == KeyState.REVOKED.value
        tx.execute(sa.delete(dkim_key).where(_are(item), revoked))
    return [None] * len(items)


def discard_dkim_keys(tx: Connection, items: Sequence[KeysOf]) -> list[None]:
    """Delete new keys whose record nobody has seen in DNS.

    Unit of work: idempotent; touches nothing: nobody signs with them.
    """
    for item in items:
        new = dkim_key.c.state == KeyState.PUBLISHED.value
        tx.execute(sa.delete(dkim_key).where(_are(item), new, dkim_key.c.found_ms.is_(None)))
    return [None] * len(items)


def list_dkim_keys(conn: Connection, ascii_name: str | None = None) -> list[DkimKeyRow]:
    """Return the keys of one domain, or of all, oldest first in each."""
    query = sa.select(*_PUBLIC).order_by(
        dkim_key.c.domain, dkim_key.c.created_ms, dkim_key.c.selector
    )
    if ascii_name is not None:
        query = query.where(dkim_key.c.domain == ascii_name)
    return [_row(row) for row in conn.execute(query)]


def get_dkim_key(conn: Connection, ascii_name: str, selector: str) -> DkimKeyRow:
    """Return one key.

    Raises:
        NoSuchKey: the domain has none of this selector.
    """
    query = sa.select(*_PUBLIC).where(
        dkim_key.c.domain == ascii_name, dkim_key.c.selector == selector
    )
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NoSuchKey(f"{ascii_name} has no key {selector}")
    return _row(row)


def load_active_keys(conn: Connection) -> list[ActiveKey]:
    """Return what every domain signs with, RSA after Ed25519."""
    query = sa.select(
        dkim_key.c.domain, dkim_key.c.selector, dkim_key.c.algorithm, dkim_key.c.private_key
    ).where(dkim_key.c.state == KeyState.ACTIVE.value)
    rows = conn.execute(query.order_by(dkim_key.c.domain, dkim_key.c.algorithm))
    return [
        ActiveKey(row.domain, row.selector, row.algorithm, bytes(row.private_key)) for row in rows
    ]


def domains_without_keys(conn: Connection) -> list[str]:
    """Return the domains of ours that have no key at all, in whatever state."""
    query = sa.select(domain.c.ascii_name).where(
        ~sa.exists().where(dkim_key.c.domain == domain.c.ascii_name)
    )
    return list(conn.scalars(query.order_by(domain.c.ascii_name)))


def _retire(tx: Connection, ascii_name: str, algorithms: Sequence[str], at_ms: int) -> None:
    tx.execute(
        sa.update(dkim_key)
        .where(
            dkim_key.c.domain == ascii_name,
            dkim_key.c.algorithm.in_(algorithms),
            dkim_key.c.state == KeyState.ACTIVE.value,
        )
        .values(state=KeyState.RETIRED.value, retired_ms=at_ms)
    )


def _move(tx: Connection, item: KeysOf, state: KeyState, which: sa.ColumnElement[bool]) -> None:
    values: dict[str, Any] = {"state": state.value}
    if state is KeyState.REVOKED:
        # What is not there cannot be stolen, nor sign by mistake.
        values |= {"revoked_ms": item.at_ms, "private_key": None}
    else:
        values |= {"activated_ms": item.at_ms}
    tx.execute(sa.update(dkim_key).where(dkim_key.c.domain == item.domain, which).values(values))


def _are(item: KeysOf) -> sa.ColumnElement[bool]:
    return sa.and_(dkim_key.c.domain == item.domain, dkim_key.c.selector.in_(item.selectors))


def _row(row: sa.Row[Any]) -> DkimKeyRow:
    return DkimKeyRow(
        domain=row.domain,
        selector=row.selector,
        algorithm=row.algorithm,
        state=KeyState(row.state),
        public_key=bytes(row.public_key),
        created_ms=row.created_ms,
        found_ms=row.found_ms,
        activated_ms=row.activated_ms,
        retired_ms=row.retired_ms,
        revoked_ms=row.revoked_ms,
    )


_PUBLIC = tuple([column for column in dkim_key.c if column.name != "private_key"])
