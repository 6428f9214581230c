"""The stores of a server: that of ``store.url``, and those of ``store.shards``.

Before the workers, all of them are made ready, once. A shard whose database is away is left out; a
worker that reaches it later makes it ready: flags and locks are shared by all processes.

Most servers have the main shard alone: what the others need is in ``app.sharded``, and not
imported.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zajil.config.options import Configuration
from zajil.config.options_shards import MAIN_SHARD
from zajil.config.shards import configuration_of, shard_names
from zajil.core.clock import Clock, Random
from zajil.core.value_class import value_class
from zajil.net.logger import get_logger
from zajil.store.blobs.used_keys import note_key
from zajil.store.engine.batch import DIRECTORY
from zajil.store.engine.errors import DatabaseAway, StoreUnavailable
from zajil.store.engine.folder import ServerLock, claim_folder, make_folder
from zajil.store.engine.life import Prepared, leave_store, prepare_store
from zajil.store.engine.open import Store, open_store
from zajil.store.mail.caps import make_caps
from zajil.store.people.domains import list_domains
from zajil.store.shards.catalogue import list_shards, load_places, used_shards

if TYPE_CHECKING:
    from zajil.app.sharded import WorkerShards

_NUMBER = struct.Struct("@q")
_RETRY_SECONDS = 1.0
"""Until the catalogue is read again, where that failed."""


class ShardNotCreated(StoreUnavailable):
    """``store.shards`` names a shard that has no store yet."""


class ShardNotConfigured(StoreUnavailable):
    """Domains are in a shard that ``store.shards`` does not name: their mail would be deferred."""


class ShardBusy(StoreUnavailable):
    """Another process of this server makes the shard ready."""


@value_class(frozen=True, slots=True)
class PreparedShard:
    """A store that is ready for workers."""

    name: str
    prepared: Prepared


class ReadyShards:
    """Which shards were made ready; made before the workers are forked, which share it.

    Args:
        configuration: of the server.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._places = {
            name: 2 * _NUMBER.size * at for at, name in enumerate(shard_names(configuration))
        }
        self._shared = mmap.mmap(-1, 2 * _NUMBER.size * len(self._places))
        """Of each shard what ``start_ms`` returns, and behind it whether it is ready."""

    def __contains__(self, name: str) -> bool:
        """Return whether a shard was made ready since the server started."""
        return bool(self._read(self._places[name] + _NUMBER.size))

    def start_ms(self, name: str) -> int:
        """Return ``Prepared.start_ms`` of a shard; 0: it is not ready."""
        return self._read(self._places[name])

    def add(self, name: str, start_ms: int) -> None:
        """Note that a shard is ready, for all processes."""
        _NUMBER.pack_into(self._shared, self._places[name], start_ms)
        _NUMBER.pack_into(self._shared, self._places[name] + _NUMBER.size, 1)

    def _read(self, place: int) -> int:
        return int(_NUMBER.unpack_from(self._shared, place)[0])


@dataclass(slots=True)
class ShardStart:
    """What a server has of its shards before its workers start."""

    ready: ReadyShards
    done: list[PreparedShard] = field(default_factory=list)
    """What was done for those that are ready."""
    locks: list[ServerLock] = field(default_factory=list)
    """Of the folders of all but the main shard, to be kept."""


def prepare_shards(
    configuration: Configuration, clock: Clock, patience_seconds: float
) -> ShardStart:
    """Make the stores of all shards ready for the workers of a server.

    The lock of the main folder is held already. Of the other shards, those whose databases are away
    are left out.

    Raises:
        ShardNotCreated: `zajil shard create` was not run.
        ShardNotConfigured: ``store.shards`` lacks a shard that has domains.
        WrongShard: an address in ``store.shards`` is that of another shard.
        StoreUnavailable: as ``prepare_store``.
    """
    start = ShardStart(ReadyShards(configuration))
    prepared = _prepare(configuration, clock)
    start.done.append(PreparedShard(MAIN_SHARD, prepared))
    start.ready.add(MAIN_SHARD, prepared.start_ms)
    with _opened(configuration, clock) as main:
        numbers = _check_catalogue(configuration, main)
        for name in configuration.store.shards:
            own = configuration_of(configuration, name)
            _claim_folder(own)
            lock = ServerLock(own.server.data_dir)
            lock.take(patience_seconds)
            start.locks.append(lock)
            try:
                prepared = make_ready(own, name, main, clock, numbers[name])
            except DatabaseAway as error:
                get_logger().error(
                    "a shard is not available: mail for it is deferred until its database is back",
                    shard=name,
                    reason=str(error),
                )
                continue
            start.done.append(PreparedShard(name, prepared))
            start.ready.add(name, prepared.start_ms)
        if numbers:
            # Imported before the fork, so that the workers share it; only where it is used.
            import zajil.app.sharded  # noqa: F401
            from zajil.store.shards.numbers import keep_to_range

            main.write_now(keep_to_range, 0)
            _tell_of_strays(MAIN_SHARD, main, main)
    return start


def make_ready_once(
    configuration: Configuration, name: str, ready: ReadyShards, main: Store, clock: Clock
) -> None:
    """Make a shard ready that was away when the server started; one process at a time. Blocks.

    Args:
        configuration: of the server.
        name: of the shard, which is not the main one.
        ready: of the server.
        main: the store of the main shard.
        clock: the time.

    Raises:
        ShardBusy: another process is at it.
        StoreUnavailable: as ``prepare_shards``.
    """
    if name in ready:
        return
    own = configuration_of(configuration, name)
    claim_folder(own.server.data_dir)
    descriptor = os.open(own.server.data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ShardBusy(f"another worker makes the shard {name} ready") from None
        if name not in ready:
            numbers = _check_catalogue(configuration, main)
            prepared = make_ready(own, name, main, clock, numbers[name])
            ready.add(name, prepared.start_ms)
    finally:
        os.close(descriptor)


def make_ready(own: Configuration, name: str, main: Store, clock: Clock, number: int) -> Prepared:
    """Prepare the store of a shard, and see that it is the one which the catalogue means."""
    from zajil.store.shards.numbers import WrongShard, keep_to_range

    prepared = _prepare(own, clock)
    with _opened(own, clock) as store:
        try:
            store.write_now(keep_to_range, number)
        except WrongShard as error:
            raise WrongShard(f"store.shards.{name}: {error}") from None
        _tell_of_strays(name, store, main)
    return prepared


def leave_shards(configuration: Configuration, ready: ReadyShards) -> None:
    """Note in each store that the server has ended; of one that cannot be reached, the other nodes
    notice it by themselves.
    """
    for name in shard_names(configuration):
        own = configuration_of(configuration, name)
        try:
            leave_store(own.store, own.server.data_dir, ready.start_ms(name))
        except StoreUnavailable as error:
            get_logger().warning(
                "cannot tell the other nodes of the stop", shard=name, reason=str(error)
            )


def _claim_folder(own: Configuration) -> None:
    """As ``claim_folder``; a node that is new to a shard in PostgreSQL has no folder yet.

    A node that lost its folder starts only if no large message was in a file there: as a new one,
    which ``prepare_store`` refuses otherwise.
    """
    is_file = own.store.url == "sqlite"
    (claim_folder if is_file else make_folder)(own.server.data_dir)


def _prepare(own: Configuration, clock: Clock) -> Prepared:
    largest = own.limits.message_size
    return prepare_store(own.store, own.server.data_dir, clock=clock, largest_message=largest)


@contextmanager
def _opened(own: Configuration, clock: Clock) -> Iterator[Store]:
    store = open_store(own.store, own.server.data_dir, clock=clock, random=os.urandom)
    try:
        yield store
    finally:
        store.close_now()


def _check_catalogue(configuration: Configuration, main: Store) -> Mapping[str, int]:
    """See that no shard is missing; return the numbers of those in ``store.shards``."""
    missing = missing_shards(configuration, main)
    if missing:
        raise ShardNotConfigured(
            f"domains are in the shard {missing[0]}, which store.shards does not name"
        )
    if not configuration.store.shards:
        return {}
    numbers = {row.name: row.number for row in main.read_now(list_shards)}
    for name in configuration.store.shards:
        if name not in numbers:
            raise ShardNotCreated(
                f"the shard {name} does not exist; run `zajil shard create {name}`"
            )
    return {name: numbers[name] for name in configuration.store.shards}


def missing_shards(configuration: Configuration, main: Store) -> Sequence[str]:
    """Return the shards that domains or accounts are in, and that ``store.shards`` lacks."""
    return sorted(main.read_now(used_shards) - set(shard_names(configuration)))


def _tell_of_strays(name: str, store: Store, main: Store) -> None:
    """Warn of domains that the catalogue does not name: it was restored, and is older than they."""
    places = main.read_now(load_places).domains
    for row in store.read_now(list_domains):
        if places.get(row.ascii_name) != name:
            get_logger().warning(
                "the catalogue has a domain in another shard, or in none: its mail is refused",
                domain=row.ascii_name,
                database=name,
                catalogue=places.get(row.ascii_name) or "-",
            )


# ---- in a worker -------------------------------------------------------------------------------


def open_shard(
    configuration: Configuration,
    name: str,
    clock: Clock,
    random: Random,
    worker: int,
    start_ms: int = 0,
) -> Store:
    """Open the store of one shard, which is ready, for a worker.

    Args:
        configuration: of the server.
        name: of the shard.
        clock, random, worker: as ``open_store`` takes them.
        start_ms: of the server in this shard (``ReadyShards``).

    Raises:
        NodeTaken, StoreUnavailable: as ``open_store``.
    """
    own = configuration_of(configuration, name)
    caps = make_caps(own.limits, own.mail)
    store = open_store(
        own.store,
        own.server.data_dir,
        clock=clock,
        random=random,
        worker=worker,
        caps=caps,
        start_ms=start_ms,
    )
    try:
        note_key(store)
    except StoreUnavailable:
        store.close_now()
        raise
    return store


async def load_shards(
    configuration: Configuration, main: Store, hostname: str
) -> WorkerShards | None:
    """Read the directory of the main shard, which was started, and the catalogue.

    Returns:
        The shards, the main one alone so far; ``None``: there are no others.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    main.directory.hostname = hostname
    if not configuration.store.shards and not await main.read(used_shards):
        await main.directory.load()
        return None
    from zajil.app.sharded import WorkerShards

    shards = WorkerShards(main, hostname)
    await shards.homes.load()
    await shards.load_directory(main, MAIN_SHARD)
    return shards


async def until_shards_are_used(main: Store) -> None:
    """Return when domains are in another shard, in a worker that knows of none.

    The worker ends with it. The one in its place knows from the catalogue which mail is to be
    deferred, because this server does not have the shard.
    """
    changed = asyncio.Event()
    main.changes.subscribe(DIRECTORY, changed.set)
    # At once, too: a change between the start of the worker and now told nobody.
    while not (used := await _read_until_it_works(main)):
        await changed.wait()
        changed.clear()
    get_logger().error(
        "a shard is used that store.shards does not name: mail for it is deferred until this "
        "server is started with it",
        shard=min(used),
    )


async def _read_until_it_works(main: Store) -> set[str]:
    while True:
        try:
            return await main.read(used_shards)
        except StoreUnavailable:  # nobody tells of the same change again
            await asyncio.sleep(_RETRY_SECONDS)
