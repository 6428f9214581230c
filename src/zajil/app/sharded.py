"""What a server with several shards has besides (``store.shards``).

Only such a server imports this, and all that it needs, before it forks its workers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from starlette.types import ASGIApp

from zajil.app.listeners import own_context
from zajil.app.resources import WorkerResources
from zajil.app.shards import ShardNotCreated
from zajil.config.options_shards import MAIN_SHARD
from zajil.core.service import Service
from zajil.deliver.handover import Handover
from zajil.keys.sharded import ShardedKeyring
from zajil.login.service import LoginService
from zajil.login.sharded import ShardedLogin
from zajil.net.logger import get_logger
from zajil.receive.session import refusal_of
from zajil.store.engine.open import Store
from zajil.store.people.domains import list_domains
from zajil.store.shards.catalogue import (
    NewPlace,
    forget_places,
    known_names,
    list_shards,
    load_places,
)
from zajil.store.shards.homes import Homes
from zajil.store.shards.move import let_go
from zajil.store.shards.moves import MoveStep, end_move, list_moves
from zajil.store.shards.numbers import WrongShard, keep_to_range
from zajil.web.by_shard import ByShard

LET_GO_MS = 600_000
"""As long as the account stands in its old shard suspended, a worker with an old catalogue defers
its mail."""


@dataclass(frozen=True, slots=True)
class WorkerShards:
    """What a worker has of several shards."""

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

    def make_keyring(self, store: Store, shard: str) -> ShardedKeyring:
        """Make the keyring of one shard."""
        made = ShardedKeyring(store, shard, self.keyrings, self.homes.of_domain)
        self.keyrings[shard] = made
        return made

    def make_login(
        self, make: Callable[[WorkerResources, Callable[..., LoginService]], LoginService]
    ) -> LoginService:
        """Make the log-in service in front of those of all shards.

        Args:
            make: makes one of a class from what a shard has.
        """
        for name, other in self.others.items():
            self.logins[name] = make(other, LoginService)

        def make_front(*arguments: object, **more: object) -> LoginService:
            return ShardedLogin(*arguments, others=self.logins, home_of=self.homes.of_login, **more)

        return make(self.resources[MAIN_SHARD], make_front)

    def make_handover(self) -> Handover:
        """Make what brings mail to other shards."""
        judging = {
            shard: replace(own_context(one, Service.LMTP, None), note_result=None)
            for shard, one in self.resources.items()
        }
        # What our own users wrote was judged, signed and counted when they handed it in.
        trusting = {
            shard: replace(context, policy=replace(context.policy, is_incoming=False))
            for shard, context in judging.items()
        }
        return Handover(self.homes.of, judging, trusting, refusal_of)

    def make_pages(self, make: dict[str, Callable[[], ASGIApp]], cookie_name: str) -> ASGIApp:
        """Make the pages of all shards from functions that make those of one."""
        return ByShard(make, cookie_name)

    async def let_moved_go(self) -> None:
        """Remove what is left of accounts in their old shards, some minutes after they were moved.

        Looks once; a chore of the main shard.
        """
        main = self.resources[MAIN_SHARD]
        due_ms = main.clock.now_ms() - LET_GO_MS
        for move in await main.store.read(list_moves):
            old = self.resources.get(move.from_shard)
            is_due = move.switched_ms is not None and move.switched_ms <= due_ms
            if move.step is not MoveStep.SWITCHED or not is_due or old is None:
                continue
            await old.store.write_large(let_go, move.account_id, move.account_id)
            await main.store.write(end_move, move.address_key)
            get_logger().info("removed a moved account", login=move.login, shard=move.from_shard)

    async def forget_gone(self) -> None:
        """Remove the names of accounts from the catalogue that were removed or renamed since.

        Looks once; a chore of the main shard. The names are free for others then.
        """
        main = self.resources[MAIN_SHARD].store
        by_shard: defaultdict[str, list[str]] = defaultdict(list)
        for name, shard in (await main.read(load_places)).single.items():
            by_shard[shard].append(name)
        for shard, names in by_shard.items():
            if (one := self.resources.get(shard)) is None:
                continue
            known = await one.store.read(partial(known_names, names=names))
            for name in names:
                if name not in known:
                    await main.write(forget_places, NewPlace(name, shard))
                    get_logger().info("the catalogue forgets a name", name=name, shard=shard)


async def load_shards(stores: dict[str, Store], hostname: str) -> WorkerShards:
    """Read the catalogue, and the directories of started stores.

    Raises:
        StoreUnavailable: they cannot be read.
    """
    homes = Homes(stores[MAIN_SHARD], hostname, stores.keys())
    await homes.load()
    for name, store in stores.items():
        store.directory.is_here = _is_in(homes, name)
        await store.directory.load()
    return WorkerShards(homes)


def _is_in(homes: Homes, shard: str) -> Callable[..., bool]:
    return lambda who: homes.of(who) == shard


def check_numbers(stores: dict[str, Store]) -> None:
    """See that each database is the one which the configuration says, and that it gives its ids.

    Raises:
        ShardNotCreated: a shard has no number.
        WrongShard: a database is that of another shard.
        StoreUnavailable: one cannot be read or written.
    """
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
