"""Shards: further stores for some of the domains, and which domain is in which."""

from __future__ import annotations

from collections import Counter

from zajil.config.options import Configuration
from zajil.config.options_shards import MAIN_SHARD
from zajil.config.shards import configuration_of, shard_names
from zajil.core.actor import Actor
from zajil.core.address import BadAddress, parse_address
from zajil.core.domain import BadDomain, to_ascii
from zajil.core.login_name import BadLogin, prepare_login
from zajil.core.value_class import value_class
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.operations.run import as_server_user, open_admin_store, open_runner
from zajil.store.engine.errors import StoreExists, StoreUnavailable
from zajil.store.engine.life import create_store
from zajil.store.engine.migrate import load_alembic
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.people.accounts import AccountRow, find_by_prepared_login
from zajil.store.people.domains import DomainInUse
from zajil.store.shards.catalogue import (
    NewPlace,
    NewShard,
    Places,
    ShardRow,
    claim_domain,
    create_shard,
    home_of,
    home_of_login,
    list_shards,
    load_places,
    place_of_domain,
    set_places,
)
from zajil.store.shards.moves import MoveStep, OnItsWay, find_move
from zajil.store.shards.numbers import keep_to_range, read_number, write_number
from zajil.tracking.audit import PlaceChanged, ShardCreated

_NAMED = 5
"""Accounts that an error names."""


@value_class(frozen=True, slots=True)
class ShardState:
    """One shard, for a list."""

    name: str
    number: int | None
    """``None``: it is configured, and was not created yet."""
    is_configured: bool
    domains: tuple[str, ...]
    """ASCII names, in order."""
    single: int
    """Accounts that are apart from their domains, in this shard."""
    problem: str = ""
    """Why its store cannot be used now."""


def make_shard(configuration: Configuration, name: str) -> ShardRow:
    """Create a shard: its number in the catalogue, its store, and the range of its ids.

    What an interrupted call has left undone is done by the next one.

    Raises:
        NoSuchShard: ``store.shards`` does not have it.
        StoreExists: it was created before; nothing was changed.
        WrongShard: its database belongs to another shard, or is in use.
        StoreUnavailable: one of the databases cannot be used.
    """
    own = configuration_of(configuration, name)
    with open_runner(configuration) as runner:
        row = runner.run(register_shard, name)
    load_alembic()
    with as_server_user(own.server.user):
        try:
            create_store(own.store, own.server.data_dir)
        except StoreExists:
            if _is_complete(own, row.number):
                raise StoreExists(f"the shard {name} already exists") from None
    with open_admin_store(own) as store:
        store.write_now(write_number, row.number)
        store.write_now(keep_to_range, row.number)
    return row


def _is_complete(own: Configuration, number: int) -> bool:
    with open_admin_store(own) as store:
        return store.read_now(read_number) == number


async def register_shard(context: OperationContext, actor: Actor, name: str) -> ShardRow:
    """Return the number of a shard; a new one gets one.

    Raises:
        NotAllowed: the actor is not an administrator.
    """
    require_admin(actor)
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[ShardRow]:
        known = {row.name: row for row in list_shards(tx)}
        if name in known:
            return known[name], []
        (row,) = create_shard(tx, [NewShard(name, context.clock.now_ms())])
        return row, [ShardCreated(*by, None, name)]

    return await context.change(work)


async def place_domain(context: OperationContext, actor: Actor, domain: str, shard: str) -> str:
    """Say in the catalogue that a domain is in a shard; gives its ASCII form.

    Args:
        context: of the main shard.
        actor: must be an administrator.
        domain: U-labels or A-labels; new, or in this shard already.
        shard: where it is.

    Raises:
        NotAllowed: the actor is not an administrator.
        BadDomain: not a domain name.
        ElsewhereAlready: it is in another shard.
        UnknownShard: the shard was not created.
    """
    require_admin(actor)
    by, ascii_name = context.stamp(actor), to_ascii(domain)

    def work(tx: Transaction) -> Recorded[str]:
        before = load_places(tx).domains.get(ascii_name)
        claim_domain(tx, [NewPlace(place_of_domain(ascii_name), shard)])
        return ascii_name, [PlaceChanged(*by, None, ascii_name, shard)] if before is None else []

    return await context.change(work)


def require_together(conn: Snapshot, ascii_name: str) -> None:
    """Do nothing if all accounts of a domain are in its shard: then it can be removed there.

    Raises:
        DomainInUse: others are elsewhere; the text names them.
    """
    apart = sorted(name for name in load_places(conn).single if name.endswith(f"@{ascii_name}"))
    if apart:
        more = "" if len(apart) <= _NAMED else f" and {len(apart) - _NAMED} more"
        raise DomainInUse(f"accounts are in other shards: {', '.join(apart[:_NAMED])}{more}")


async def forget_domain(context: OperationContext, actor: Actor, ascii_name: str) -> None:
    """Remove a domain from the catalogue: it is not ours any more.

    Raises:
        NotAllowed: the actor is not an administrator.
    """
    require_admin(actor)
    await context.write(set_places, NewPlace(place_of_domain(ascii_name), None))


async def forget_missing(context: OperationContext, who: str) -> bool:
    """Forget an account that the catalogue names, and that its shard does not have.

    The shard was restored from a backup that is older than the account, or a command that removed
    it was interrupted.

    Args:
        context: of the main shard.
        who: its login name or address, which the caller has looked for in its shard.

    Returns:
        Whether the catalogue named it.
    """
    key = parse_address(who).key if "@" in who else prepare_login(who)

    def work(tx: Transaction) -> Recorded[bool]:
        is_named = key in load_places(tx).single
        if is_named:
            set_places(tx, [NewPlace(key, None)])
        return is_named, []

    return await context.change(work)


def require_at_rest(conn: Snapshot, row: AccountRow) -> None:
    """See that an account is not being moved: parts of it may be in two shards.

    Raises:
        OnItsWay: it is.
    """
    move = find_move(conn, row.account_id)
    if move is not None and move.step is not MoveStep.SWITCHED:
        raise OnItsWay(
            f"{row.address.unicode} is being moved to the shard {move.to_shard}: finish that with "
            f"`zajil account move`, or undo it"
        )


async def follow_names(
    context: OperationContext, shard: str, before: AccountRow, after: AccountRow | None
) -> None:
    """Change what the catalogue says of an account that is apart from its domain.

    Security: its shard does not know the names of others. A new one that somebody else has is not
    named: the account logs in by its address then.

    Args:
        context: of the main shard.
        shard: of the account.
        before: as it was.
        after: as it is after it was renamed; ``None``: it was removed.
    """
    old = (before.address.key, before.login)
    new = (None, None) if after is None else (after.address.key, after.login)

    def is_of_main(tx: Transaction, name: str) -> bool:
        return shard != MAIN_SHARD and find_by_prepared_login(tx, name) is not None

    def work(tx: Transaction) -> Recorded[None]:
        single = load_places(tx).single
        for name, instead in zip(old, new, strict=True):
            if name != instead and single.get(name) == shard:
                set_places(tx, [NewPlace(name, None)])
                if instead is not None and instead not in single and not is_of_main(tx, instead):
                    set_places(tx, [NewPlace(instead, shard)])
        return None, []

    await context.change(work)


def list_shard_states(configuration: Configuration, conn: Snapshot) -> list[ShardState]:
    """List the shards that are configured or were created, the main one first."""
    places = load_places(conn)
    created = {row.name: row.number for row in list_shards(conn)} | {MAIN_SHARD: 0}
    configured = shard_names(configuration)
    single = Counter(home for name, home in places.single.items() if "@" in name)
    return [
        ShardState(
            name,
            created.get(name),
            name in configured,
            tuple(sorted(one for one, home in places.domains.items() if home == name)),
            single[name],
        )
        for name in (*configured, *(name for name in created if name not in configured))
    ]


def find_problem(configuration: Configuration, shard: str) -> str:
    """Return why the store of a shard cannot be used now; ``""``: it can."""
    try:
        with open_admin_store(configuration_of(configuration, shard)) as store:
            store.read_now(read_number)
    except StoreUnavailable as error:
        return str(error)
    return ""


def shard_of_subject(places: Places, subject: str) -> str | None:
    """Return the shard of what somebody typed: an address, a login name or a domain.

    ``None``: it is none of these, or not ours.
    """
    if "@" in subject:
        try:
            return home_of(places, parse_address(subject))
        except BadAddress:
            return None
    try:
        domain = places.domains.get(to_ascii(subject))
    except BadDomain:
        domain = None
    if domain is not None:
        return domain
    try:
        return home_of_login(places, prepare_login(subject))
    except BadLogin:
        return None


def find_shard(configuration: Configuration, subjects: list[str]) -> str:
    """Return the shard that a command is about, by the names that it was given.

    Args:
        configuration: of the server, which has shards.
        subjects: addresses, login names, domains.

    Raises:
        WrongUser, StoreUnavailable: the catalogue cannot be read.
    """
    with open_admin_store(configuration) as store:
        places = store.read_now(load_places)
    found = (shard_of_subject(places, subject) for subject in subjects)
    return next((shard for shard in found if shard is not None), MAIN_SHARD)
