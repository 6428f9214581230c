"""The domains this server is home to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address, parse_address
from zajil.core.directory import ROLE_LOCAL_PARTS
from zajil.core.domain import to_unicode
from zajil.core.errors import AlreadyExists, NotFound, Refused
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.schema import address, delegation, dkim_key, domain, domain_admin


class NoSuchDomain(NotFound):
    """The domain is not one of ours."""


class DomainInUse(Refused):
    """Accounts or aliases still have addresses in the domain; the text names some of them."""


_NAMED = 3
"""Addresses that a message names before it only counts."""


@value_class(frozen=True, slots=True)
class DomainRow:
    """One domain of ours."""

    ascii_name: str
    created_ms: int


@value_class(frozen=True, slots=True)
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
            raise AlreadyExists(f"the domain {item.ascii_name} already exists")
    rows = [{"ascii_name": item.ascii_name, "created_ms": item.created_ms} for item in items]
    try:
        tx.execute(sa.insert(domain), rows)
    except sa.exc.IntegrityError:  # another node was quicker
        raise AlreadyExists("the domain already exists") from None
    touch(tx, DIRECTORY)
    return [None] * len(items)


def delete_domain(tx: Connection, ascii_names: Sequence[str]) -> list[None]:
    """Stop being home to domains; their keys, administrators and role aliases go too.

    Any other address in them must be gone; an account that is postmaster@ is one.

    Unit of work: not idempotent; touches the directory.

    Raises:
        NoSuchDomain: it is not ours.
        DomainInUse: accounts or other aliases are still in it.
    """
    for ascii_name in ascii_names:
        require_domain(tx, ascii_name)
        roles = [Address(local_part, ascii_name).key for local_part in ROLE_LOCAL_PARTS]
        is_role = sa.and_(address.c.key.in_(roles), address.c.targets.is_not(None))
        _refuse_used(tx, ascii_name, is_role)
        tx.execute(sa.delete(address).where(is_role))
        tx.execute(sa.delete(delegation).where(delegation.c.address_key.in_(roles)))
        tx.execute(sa.delete(domain).where(domain.c.ascii_name == ascii_name))
        tx.execute(sa.delete(dkim_key).where(dkim_key.c.domain == ascii_name))
        tx.execute(sa.delete(domain_admin).where(domain_admin.c.domain == ascii_name))
    touch(tx, DIRECTORY)
    return [None] * len(ascii_names)


def _refuse_used(tx: Connection, ascii_name: str, is_role: sa.ColumnElement[bool]) -> None:
    mine = (address.c.domain == ascii_name, sa.not_(is_role))
    count = tx.scalar(sa.select(sa.func.count()).select_from(address).where(*mine)) or 0
    if not count:
        return
    first = tx.scalars(
        sa.select(address.c.address).where(*mine).order_by(address.c.key).limit(_NAMED)
    )
    names = ", ".join(parse_address(text).unicode for text in first)
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    what = "1 address is" if count == 1 else f"{count} addresses are"
    raise DomainInUse(f"{what} still in {to_unicode(ascii_name)}: {names}{more}")


def is_domain(conn: Connection, ascii_name: str) -> bool:
    """Whether the domain is ours."""
    found = sa.select(sa.literal(1)).where(domain.c.ascii_name == ascii_name)
    return conn.execute(found).first() is not None


def require_domain(conn: Connection, ascii_name: str) -> None:
    """Do nothing if the domain is ours.

    Raises:
        NoSuchDomain: it is not; the text names the nearest that is.
    """
    if not is_domain(conn, ascii_name):
        raise no_such_domain(conn, ascii_name)


def no_such_domain(conn: Connection, ascii_name: str) -> NoSuchDomain:
    """Make the error that says a domain is not ours, and names the one that may be meant."""
    ours = list(conn.scalars(sa.select(domain.c.ascii_name).order_by(domain.c.ascii_name)))
    parents = [one for one in ours if ascii_name.endswith(f".{one}")]
    # People mistype what they read, so names are compared as people read them.
    near = max(parents, key=len) if parents else max(ours, key=_likeness(ascii_name), default=None)
    hint = f"; the nearest that is: {to_unicode(near)}" if near else ""
    return NoSuchDomain(f"{to_unicode(ascii_name)} is not a domain of this server{hint}")


def _likeness(ascii_name: str) -> Callable[[str], float]:
    typed = SequenceMatcher(b=to_unicode(ascii_name))

    def ratio(other: str) -> float:
        typed.set_seq1(to_unicode(other))
        return typed.ratio()

    return ratio


def list_domains(conn: Connection) -> list[DomainUse]:
    """Return all domains by name, with the number of accounts and aliases in each."""
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
