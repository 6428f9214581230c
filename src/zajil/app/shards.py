"""The stores of one worker: that of ``store.url``, and those of ``store.shards``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zajil.config.options import Configuration
from zajil.config.options_shards import MAIN_SHARD
from zajil.config.shards import configuration_of, shard_names
from zajil.core.clock import Clock, Random
from zajil.core.errors import Unavailable
from zajil.core.value_class import value_class
from zajil.keys.keyring import Keyring
from zajil.keys.sharded import ShardedKeyring
from zajil.login.service import LoginService
from zajil.net.logger import get_logger
from zajil.store.blobs.used_keys import note_key
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.folder import ServerLock, claim_folder, make_folder
from zajil.store.engine.life import Prepared, leave_store, prepare_store
from zajil.store.engine.open import Store, open_store
from zajil.store.mail.caps import make_caps
from zajil.store.people.domains import list_domains
from zajil.store.shards.catalogue import list_shards, load_places, used_shards
from zajil.store.shards.homes import Homes
from zajil.store.shards.numbers import WrongShard, keep_to_range

if TYPE_CHECKING:
    from zajil.app.resources import WorkerResources


@dataclass(frozen=True, slots=True)
class WorkerShards:
    """What a worker has of several shards; there is none where there is only one store."""

    homes: Homes
    resources: dict[str, WorkerResources] = field(default_factory=dict)
    """By name, the main shard first."""
    logins: dict[str, LoginService] = field(default_factory=dict)
    """Of the shards besides the main one."""
    keyrings: dict[str, ShardedKeyring] = field(default_factory=dict)

    @property
    def others(self) -> dict[str, WorkerResources]:
        """The shards besides the main one."""
        return {name: one for name, one in self.resources.items() if name != MAIN_SHARD}


def make_keyring(store: Store, shard: str, shards: WorkerShards | None) -> Keyring:
    """Make the keyring of one shard."""
    if shards is None:
        return Keyring(store)
    made = ShardedKeyring(store, shard, shards.keyrings, shards.homes.of_domain)
    shards.keyrings[shard] = made
    return made


def open_stores(
    configuration: Configuration,
    clock: Clock,
    random: Random,
    worker: int | None,
    starts: Mapping[str, int],
) -> dict[str, Store]:
    """Open the stores of all shards, by name, the main one first; none is started.

    Args:
        configuration: of the server.
        clock: for the stores.
        random: for the stores.
        worker: number of this worker; ``None``: this is none.
        starts: of the server, by shard (``Prepared.start_ms``).

    Raises:
        NodeTaken: another server started under the id of this node.
        StoreUnavailable: one of them cannot be opened; the others are closed again.
    """
    stores: dict[str, Store] = {}
    try:
        for name in shard_names(configuration):
            own = configuration_of(configuration, name)
            stores[name] = open_store(
                own.store,
                own.server.data_dir,
                clock=clock,
                random=random,
                worker=worker,
                caps=make_caps(own.limits, own.mail),
                start_ms=starts.get(name, 0),
            )
            if worker is not None:
                note_key(stores[name])
    except StoreUnavailable:
        for store in stores.values():
            store.close_now()
        raise
    return stores


async def load_directories(stores: dict[str, Store], hostname: str) -> WorkerShards | None:
    """Read the directories of started stores, and the catalogue; ``None``: there is one store.

    Raises:
        StoreUnavailable: they cannot be read.
    """
    main = stores[MAIN_SHARD]
    main.directory.hostname = hostname
    if len(stores) == 1:
        await main.directory.load()
        return None
    homes = Homes(main, hostname, stores.keys())
    await homes.load()
    for name, store in stores.items():
        store.directory.is_here = _is_in(homes, name)
        await store.directory.load()
    return WorkerShards(homes)


def _is_in(homes: Homes, shard: str) -> Callable[..., bool]:
    return lambda who: homes.of(who) == shard


@value_class(frozen=True, slots=True)
class PreparedShard:
    """A store that is ready for workers."""

    name: str
    prepared: Prepared


class ShardNotCreated(Unavailable):
    """``store.shards`` names a shard that has no store yet."""


class ShardNotConfigured(StoreUnavailable):
    """Domains are in a shard that ``store.shards`` does not name: their mail would be refused."""


def prepare_shards(
    configuration: Configuration, clock: Clock, patience_seconds: float
) -> tuple[list[PreparedShard], list[ServerLock]]:
    """Make the stores of all shards ready for the workers of a server.

    The lock of the main folder is held already.

    Returns:
        What was done, and the locks of the folders of the other shards, to be kept.

    Raises:
        ShardNotCreated: `zajil shard create` was not run.
        ShardNotConfigured: ``store.shards`` lacks a shard that has domains.
        WrongShard: an address in ``store.shards`` is that of another shard.
        StoreUnavailable: as ``prepare_store``.
    """
    done: list[PreparedShard] = []
    locks: list[ServerLock] = []
    for name in shard_names(configuration):
        own = configuration_of(configuration, name)
        if name != MAIN_SHARD:
            _claim_folder(own)
            lock = ServerLock(own.server.data_dir)
            lock.take(patience_seconds)
            locks.append(lock)
        prepared = prepare_store(
            own.store,
            own.server.data_dir,
            clock=clock,
            largest_message=own.limits.message_size,
        )
        done.append(PreparedShard(name, prepared))
    _check_shards(configuration, clock)
    return done, locks


def _claim_folder(own: Configuration) -> None:
    """As ``claim_folder``; a node that is new to a shard in PostgreSQL has no folder yet.

    A node that lost its folder starts only if no large message was in a file there: as a new one,
    which ``prepare_store`` refuses otherwise.
    """
    is_file = own.store.url == "sqlite"
    (claim_folder if is_file else make_folder)(own.server.data_dir)


def leave_shards(configuration: Configuration, starts: Mapping[str, int]) -> None:
    """Note in each store that the server has ended, whose starts are given by shard.

    Raises:
        StoreUnavailable: a database cannot be reached; the other nodes notice it by themselves.
    """
    for name in shard_names(configuration):
        own = configuration_of(configuration, name)
        leave_store(own.store, own.server.data_dir, starts.get(name, 0))


def _check_shards(configuration: Configuration, clock: Clock) -> None:
    """See that no shard is missing, that each database is the one which the configuration says, and
    that it gives its ids.
    """
    import os

    stores = open_stores(configuration, clock, os.urandom, worker=None, starts={})
    try:
        missing = sorted(stores[MAIN_SHARD].read_now(used_shards) - stores.keys())
        if missing:
            raise ShardNotConfigured(
                f"domains are in the shard {missing[0]}, which store.shards does not name"
            )
        if len(stores) == 1:
            return
        _tell_of_strays(stores)
        rows = stores[MAIN_SHARD].read_now(list_shards)
        numbers = {MAIN_SHARD: 0} | {row.name: row.number for row in rows}
        for name, store in stores.items():
            if name not in numbers:
                raise ShardNotCreated(
                    f"the shard {name} does not exist; run `zajil shard create {name}`"
                )
            try:
                store.write_now(keep_to_range, numbers[name])
            except WrongShard as error:
                raise WrongShard(f"store.shards.{name}: {error}") from None
    finally:
        for store in stores.values():
            store.close_now()


def _tell_of_strays(stores: dict[str, Store]) -> None:
    """Warn of domains that the catalogue does not name: it was restored, and is older than they."""
    places = stores[MAIN_SHARD].read_now(load_places).domains
    for name, store in stores.items():
        for row in store.read_now(list_domains):
            if places.get(row.ascii_name) != name:
                get_logger().warning(
                    "the catalogue has a domain in another shard, or in none: its mail is refused",
                    domain=row.ascii_name,
                    database=name,
                    catalogue=places.get(row.ascii_name) or "-",
                )
