"""The domains this server is home to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.batch import DIRECTORY, touch
from zajil.store.schema import address, dkim_key, domain


class AlreadyExists(Exception):
    """Something of this name is there already; the text is one sentence."""


class NoSuchDomain(Exception):
    """The domain is not one of ours."""


class DomainInUse(Exception):
    """Accounts or aliases still have addresses in the domain."""


@dataclass(frozen=True, slots=True)
class DomainRow:
    """One domain of ours."""

    ascii_name: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class DomainUse:
    """A domain and what lives in it, for a list."""

    ascii_name: str
    created_ms: int
    accounts: int
    aliases: int


def create_domain(tx: Connection, items: Sequence[DomainRow]) -> list[None]:
    """Make domains ours: from the commit on, mail for unknown addresses in them is refused.

    Unit of work: not idempotent; locks nothing; touches the directory.

    Raises:
        AlreadyExists: nothing of this batch will be committed.
    """
    for item in items:
        if is_domain(tx, item.ascii_name):
            raise AlreadyExists(f"the domain {item.ascii_name} is there already")
    rows = [{"ascii_name": item.ascii_name, "created_ms": item.created_ms} for item in items]
    try:
        tx.execute(sa.insert(domain), rows)
    except sa.exc.IntegrityError:  # another node was quicker
        raise AlreadyExists("the domain is there already") from None
    touch(tx, DIRECTORY)
    return [None] * len(items)


def delete_domain(tx: Connection, ascii_names: Sequence[str]) -> list[None]:
    """Stop being home to domains; every address in them must be gone, their keys go with them.

    Unit of work: not idempotent; touches the directory.

    Raises:
        NoSuchDomain: it is not ours.
        DomainInUse: accounts or aliases are still in it.
    """
    for ascii_name in ascii_names:
        used = sa.select(sa.func.count()).where(address.c.domain == ascii_name)
        if count := tx.execute(used).scalar_one():
            raise DomainInUse(f"{count} addresses are still in {ascii_name}")
        gone = tx.execute(sa.delete(domain).where(domain.c.ascii_name == ascii_name))
        if not gone.rowcount:
            raise NoSuchDomain(f"{ascii_name} is not a domain of this server")
        tx.execute(sa.delete(dkim_key).where(dkim_key.c.domain == ascii_name))
    touch(tx, DIRECTORY)
    return [None] * len(ascii_names)


def is_domain(conn: Connection, ascii_name: str) -> bool:
    """Whether the domain is ours."""
    found = sa.select(sa.literal(1)).where(domain.c.ascii_name == ascii_name)
    return conn.execute(found).first() is not None


def list_domains(conn: Connection) -> list[DomainUse]:
    """Give all domains by name, with the number of accounts and aliases in each."""
    accounts = sa.func.count(address.c.account_id)
    rows = conn.execute(
        sa.select(
            domain.c.ascii_name,
            domain.c.created_ms,
            accounts.label("accounts"),
            (sa.func.count(address.c.key) - accounts).label("aliases"),
        )
        .outerjoin(address, address.c.domain == domain.c.ascii_name)
        .group_by(domain.c.ascii_name, domain.c.created_ms)
        .order_by(domain.c.ascii_name)
    )
    return [DomainUse(*row) for row in rows]
