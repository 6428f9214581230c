"""The catalogue, in the store of the main shard: which shards there are, and what is in each.

A domain that is not named is in the main shard. A single account can be elsewhere than its
domain; then its address and its login name are named.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.config.options_shards import MAIN_SHARD
from zajil.core.address import Address
from zajil.core.errors import AlreadyExists, NotFound, Refused
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.schema import domain, shard, shard_move, shard_place

HOLDS = ("holding", "emptied")
"""Steps of a move (``store.shards.moves.MoveStep``) in which nobody can use the account."""


class UnknownShard(NotFound):
    """No shard of this name was created."""


class ElsewhereAlready(Refused):
    """A domain or login name is in another shard; the text names both."""


@value_class(frozen=True, slots=True)
class ShardRow:
    """One shard besides the main one."""

    name: str
    number: int
    """Its accounts have ids from ``number * store.shards.numbers.RANGE`` on."""
    created_ms: int


@value_class(frozen=True, slots=True)
class NewShard:
    """What ``create_shard`` takes."""

    name: str
    created_ms: int


@value_class(frozen=True, slots=True)
class NewPlace:
    """What ``set_places`` takes: where a domain, an address or a login name is from now on."""

    name: str
    """As ``place_of_domain`` gives it, the key of an address, or a login name."""
    shard: str | None
    """``None``: it is not named any more."""


@value_class(frozen=True, slots=True)
class Places:
    """The whole catalogue."""

    domains: dict[str, str]
    """Shard of each domain of ours, those of the main shard included; ASCII names."""
    single: dict[str, str]
    """Shard of each address key and login name that is apart from its domain."""
    moving: frozenset[str] = frozenset()
    """Address keys and login names of accounts that are suspended because they are moved."""


def place_of_domain(ascii_name: str) -> str:
    """Return the name of a domain in the catalogue."""
    return f"@{ascii_name}"


def create_shard(tx: Connection, items: Sequence[NewShard]) -> list[ShardRow]:
    """Give new shards their numbers.

    Unit of work: not idempotent; locks nothing: of two at once, one fails.

    Raises:
        AlreadyExists: a shard of this name has a number.
    """
    made: list[ShardRow] = []
    for item in items:
        if item.name in {row.name for row in list_shards(tx)}:
            raise AlreadyExists(f"the shard {item.name} already exists")
        highest = tx.scalar(sa.select(sa.func.max(shard.c.number))) or 0
        row = ShardRow(item.name, int(highest) + 1, item.created_ms)
        tx.execute(
            sa.insert(shard).values(name=row.name, number=row.number, created_ms=row.created_ms)
        )
        made.append(row)
    return made


def list_shards(conn: Connection) -> list[ShardRow]:
    """Return the shards that were created besides the main one, the oldest first."""
    rows = conn.execute(sa.select(shard).order_by(shard.c.number))
    return [ShardRow(row.name, row.number, row.created_ms) for row in rows]


def require_shard(conn: Connection, name: str) -> None:
    """Do nothing if a shard was created, or is the main one.

    Raises:
        UnknownShard: it was not.
    """
    if name != MAIN_SHARD and name not in {row.name for row in list_shards(conn)}:
        raise UnknownShard(f"the shard {name} does not exist; `zajil shard create` creates it")


def set_places(tx: Connection, items: Sequence[NewPlace]) -> list[None]:
    """Change where domains, addresses and login names are.

    Unit of work: idempotent; touches the directory.

    Raises:
        UnknownShard: nothing of this batch will be committed.
    """
    for item in items:
        tx.execute(sa.delete(shard_place).where(shard_place.c.name == item.name))
        if item.shard is not None:
            require_shard(tx, item.shard)
            tx.execute(sa.insert(shard_place).values(name=item.name, shard=item.shard))
    touch(tx, DIRECTORY)
    return [None] * len(items)


def claim_domain(tx: Connection, items: Sequence[NewPlace]) -> list[None]:
    """Name the shard of domains that are new; one that is in this shard already stays there.

    Unit of work: idempotent; touches the directory.

    Raises:
        ElsewhereAlready: it is in another shard.
        UnknownShard: there is no such shard.
    """
    for item in items:
        known = load_places(tx).domains.get(item.name.removeprefix("@"))
        if known is not None and known != item.shard:
            raise ElsewhereAlready(f"the domain {item.name[1:]} is in the shard {known}")
    return set_places(tx, items)


def load_places(conn: Connection) -> Places:
    """Return the whole catalogue: a few domains for each customer, and what is apart from them."""
    domains = dict.fromkeys(conn.scalars(sa.select(domain.c.ascii_name)), MAIN_SHARD)
    single: dict[str, str] = {}
    for name, home in conn.execute(sa.select(shard_place.c.name, shard_place.c.shard)):
        if name.startswith("@"):
            domains[name[1:]] = home
        else:
            single[name] = home
    on_hold = shard_move.c.step.in_(HOLDS)
    moving = conn.execute(sa.select(shard_move.c.address_key, shard_move.c.login).where(on_hold))
    return Places(domains, single, frozenset(name for names in moving for name in names))


def load_places_of_shards(conn: Connection) -> Places:
    """Return the catalogue as ``load_places``; an empty one as long as no shard was created."""
    has_shards = conn.scalar(sa.select(shard.c.name).limit(1)) is not None
    return load_places(conn) if has_shards else Places({}, {})


def used_shards(conn: Connection) -> set[str]:
    """Return the names of the shards that domains or accounts are in, but those nowhere named."""
    return set(conn.scalars(sa.select(shard_place.c.shard).distinct()))


def home_of(places: Places, who: Address) -> str | None:
    """Return the shard of an address; ``None``: its domain is not ours.

    The subaddress of an account (RFC 5233 section 1) is where the account is.
    """
    return _single(places, who) or places.domains.get(who.domain)


def is_single(places: Places, who: Address) -> bool:
    """Return whether an account is apart from its domain, or its domain's shard was left by it."""
    return _single(places, who) is not None


def _single(places: Places, who: Address) -> str | None:
    if not places.single:
        return None
    found = places.single.get(who.key)
    if found is None and "+" in who.local_part:
        base = Address(who.local_part.partition("+")[0], who.domain)
        found = places.single.get(base.key)
    return found


def home_of_login(places: Places, prepared: str) -> str:
    """Return the shard of what somebody typed at log-in, after ``core.login_name.prepare_login``.

    What is nobody's is in the main shard.
    """
    found = places.single.get(prepared)
    if found is None and "@" in prepared:
        found = places.domains.get(prepared.rpartition("@")[2])
    return found or MAIN_SHARD
