"""The stores of one worker: that of ``store.url``, and those of ``store.shards``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zajil.config.options import Configuration
from zajil.config.options_shards import MAIN_SHARD
from zajil.config.shards import configuration_of, shard_names
from zajil.core.clock import Clock, Random
from zajil.core.errors import Unavailable
from zajil.core.value_class import value_class
from zajil.store.blobs.used_keys import note_key
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.folder import ServerLock, claim_folder, make_folder
from zajil.store.engine.life import Prepared, leave_store, prepare_store
from zajil.store.engine.open import Store, open_store
from zajil.store.mail.caps import make_caps
from zajil.store.shards.catalogue import used_shards

if TYPE_CHECKING:
    from zajil.app.sharded import WorkerShards


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
    from zajil.app.sharded import load_shards

    return await load_shards(stores, hostname)


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
        if len(stores) > 1:
            # Imported here, before the fork: a server with one store needs nothing of it.
            from zajil.app.sharded import check_numbers

            check_numbers(stores)
    finally:
        for store in stores.values():
            store.close_now()
