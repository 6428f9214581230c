"""What a server with several shards has besides (``store.shards``).

Only such a server imports this, and all that it needs, before it forks its workers. What the
catalogue says of shards that a worker does not have, or whose database is away, it knows all the
same: their mail is deferred and never refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp

from zajil.accept.context import AcceptanceContext, ShardContexts
from zajil.app.listeners import own_context
from zajil.app.resources import WorkerResources
from zajil.app.shards import ReadyShards, ShardBusy, make_ready_once
from zajil.config.options_shards import MAIN_SHARD
from zajil.core.address import Address
from zajil.core.service import Service
from zajil.deliver.handover import Handover
from zajil.keys.sharded import ShardedKeyring
from zajil.login.service import LoginService
from zajil.login.sharded import ShardedLogin
from zajil.net.logger import get_logger
from zajil.receive.session import refusal_of
from zajil.store.engine.errors import NodeTaken, StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.shards.homes import Homes
from zajil.store.shards.move import let_go
from zajil.store.shards.moves import MoveStep, end_move, list_moves
from zajil.store.shards.numbers import read_number
from zajil.web.by_shard import ByShard

if TYPE_CHECKING:
    from zajil.read.pop3.locks import MaildropLocks

MakeLogin = Callable[[WorkerResources, Callable[..., LoginService]], LoginService]
"""Makes a log-in service of a class from what a shard has."""
LET_GO_MS = 600_000
"""As long as the account stands in its old shard suspended, a worker with an old catalogue defers
its mail."""
_START_SECONDS = 6.0
"""How long a worker waits for the other shards before it serves: a server that hangs gives up a
connection after five."""
_RETRY_SECONDS, _SOON_SECONDS = 3.0, 0.5
"""Between two looks whether the database of a shard is back; while another worker is at it."""


class WorkerShards:
    """What a worker has of all shards, the main one first.

    Args:
        main: the store of the main shard, started.
        hostname: name of the server, whose own addresses are in the main shard.
    """

    def __init__(self, main: Store, hostname: str) -> None:
        self.resources: dict[str, WorkerResources] = {}
        self.logins: dict[str, LoginService] = {}
        """Of the shards besides the main one. A name that is here can be used by everybody."""
        self.keyrings: dict[str, ShardedKeyring] = {}
        self.locks: dict[str, MaildropLocks] = {}
        """Of POP3, if it is served."""
        self.homes = Homes(main, hostname, self.logins)
        self._uses: list[Callable[[WorkerResources], object]] = []
        self.keeper: ShardKeeper
        """Of a worker that serves."""
        self._front: LoginService | None = None
        self._make_login: MakeLogin

    @property
    def others(self) -> Mapping[str, WorkerResources]:
        """The shards besides the main one."""
        return {name: one for name, one in self.resources.items() if name != MAIN_SHARD}

    def for_each_other(self, use: Callable[[WorkerResources], object]) -> None:
        """Call a function for each shard besides the main one, now or when it is opened."""
        self._uses.append(use)
        for one in self.others.values():
            use(one)

    async def open_all(
        self,
        main: WorkerResources,
        ready: ReadyShards,
        stores: dict[str, Store],
        open_shard: Callable[[str], Store],
        keep_node: Callable[[str, Store], asyncio.Task[None] | None],
        make: Callable[[str, Store], WorkerResources],
    ) -> None:
        """Take the main shard, and open the others that can be opened now.

        Args:
            main: what the worker has of the main shard.
            ready, stores, open_shard, keep_node, make: as ``ShardKeeper`` takes them.

        Raises:
            NodeTaken: another server started under the id of this node.
        """
        self.resources[MAIN_SHARD] = main
        self.keeper = ShardKeeper(self, ready, stores, open_shard, keep_node, make)
        await self.keeper.open_all()

    def join(self, one: WorkerResources) -> None:
        """Take a shard that was opened while the worker serves."""
        self.resources[one.shard] = one
        for use in self._uses:
            use(one)
        if self._front is not None:  # last: from here on its accounts can log in
            self._open_log_in(one, self._front)

    async def load_directory(self, store: Store, shard: str) -> None:
        """Read the directory of a started store.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        homes = self.homes

        def is_here(who: Address) -> bool | None:
            home = homes.of(who)
            # Before there were shards, the store itself knows.
            return None if home is None and shard == MAIN_SHARD else home == shard

        store.directory.is_here = is_here
        await store.directory.load()

    def make_keyring(self, store: Store, shard: str) -> ShardedKeyring:
        """Make the keyring of one shard."""
        made = ShardedKeyring(store, shard, self.keyrings, self.homes.of_domain)
        self.keyrings[shard] = made
        return made

    def make_login(self, make: MakeLogin) -> LoginService:
        """Make the log-in service in front of those of all shards."""

        def make_front(*arguments: object, **more: object) -> LoginService:
            return ShardedLogin(*arguments, others=self.logins, home_of=self.homes.of_typed, **more)

        self._front = front = make(self.resources[MAIN_SHARD], make_front)
        self._make_login = make
        for other in self.others.values():
            self._open_log_in(other, front)
        return front

    def _open_log_in(self, other: WorkerResources, front: LoginService) -> None:
        def make_other(*arguments: Any, **more: Any) -> LoginService:
            return LoginService(*arguments, counts=front, **more)

        self.logins[other.shard] = self._make_login(other, make_other)

    def make_contexts(self, name: Service) -> ShardContexts:
        """Make what each shard accepts mail of a service with."""
        shards = ShardContexts(self.homes.of, self.homes.is_single)

        def add(one: WorkerResources) -> None:
            shards.contexts[one.shard] = own_context(one, name, shards)

        add(self.resources[MAIN_SHARD])
        self.for_each_other(add)
        return shards

    def make_handover(self) -> Handover:
        """Make what brings mail to other shards."""
        judging: dict[str, AcceptanceContext] = {}
        trusting: dict[str, AcceptanceContext] = {}

        def add(one: WorkerResources) -> None:
            context = replace(own_context(one, Service.LMTP, None), note_result=None)
            judging[one.shard] = context
            # What our own users wrote was judged, signed and counted when they handed it in.
            policy = replace(context.policy, is_incoming=False)
            trusting[one.shard] = replace(context, policy=policy)

        add(self.resources[MAIN_SHARD])
        self.for_each_other(add)
        return Handover(self.homes.of, self.homes.is_single, judging, trusting, refusal_of)

    def make_pages(self, make: dict[str, Callable[[], ASGIApp]], cookie_name: str) -> ASGIApp:
        """Make the pages of all shards from functions that make those of one."""
        return ByShard(make, cookie_name)

    async def let_moved_go(self) -> None:
        """Remove what is left of accounts in their old shards, some minutes after they were moved.

        Looks once; a chore of the main shard. What the catalogue says of them is changed with them
        (``operations.shards.follow_names``), and not by comparing: a shard that was restored from
        an older backup lacks accounts whose mail must not be refused.
        """
        main = self.resources[MAIN_SHARD]
        due_ms = main.clock.now_ms() - LET_GO_MS
        for move in await main.store.read(list_moves):
            old = self.resources.get(move.from_shard)
            is_due = move.switched_ms is not None and move.switched_ms <= due_ms
            if move.step is not MoveStep.SWITCHED or not is_due or old is None:
                continue
            try:
                await old.store.write_large(let_go, move.account_id, move.account_id)
            except StoreUnavailable as error:  # the others wait for no database but their own
                get_logger().warning(
                    "cannot remove a moved account yet", login=move.login, reason=str(error)
                )
                continue
            await main.store.write(end_move, move.address_key)
            get_logger().info("removed a moved account", login=move.login, shard=move.from_shard)

    async def find_lost(self) -> dict[str, str]:
        """Return which shards besides the main one cannot be read now, and why."""
        lost: dict[str, str] = {}
        for name in self.resources[MAIN_SHARD].configuration.store.shards:
            one = self.resources.get(name)
            if one is None:
                lost[name] = "it could not be opened"
                continue
            try:
                await one.store.read(read_number)
            except StoreUnavailable as error:
                lost[name] = str(error)
        return lost


class ShardKeeper:
    """Opens the shards besides the main one: at the start, or when their databases are back.

    Args:
        shards: the main shard alone is in them.
        ready: which shards the server has made ready.
        stores: the open ones, by name: the main one now, others later; the caller closes them.
        open_shard: opens one that is ready; called in a thread.
        keep_node: shows that this node lives in a store; ``None``: it has no others.
        make: makes what the worker has of a started store.
    """

    def __init__(
        self,
        shards: WorkerShards,
        ready: ReadyShards,
        stores: dict[str, Store],
        open_shard: Callable[[str], Store],
        keep_node: Callable[[str, Store], asyncio.Task[None] | None],
        make: Callable[[str, Store], WorkerResources],
    ) -> None:
        self._shards = shards
        self._main = shards.resources[MAIN_SHARD]
        self._ready = ready
        self._stores = stores
        self._open = open_shard
        self._keep_node = keep_node
        self._make = make
        self._missing = dict.fromkeys(self._main.configuration.store.shards, "")
        """Those that are not open, and why, as it was logged."""
        self._tries: dict[str, asyncio.Task[WorkerResources | None]] = {}
        """Of those that did not answer before the worker served."""
        self._is_busy = False
        """Another worker makes one ready."""
        self._keeps: dict[str, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()
        self._is_running = asyncio.Event()

    async def open_all(self) -> None:
        """Open those that can be opened now, before the worker serves.

        Raises:
            NodeTaken: another server started under the id of this node.
        """
        self._tries = {name: asyncio.create_task(self._try(name)) for name in self._missing}
        if self._tries:
            await asyncio.wait(self._tries.values(), timeout=_START_SECONDS)
        for name, task in list(self._tries.items()):
            if task.done():
                del self._tries[name]
                if (one := task.result()) is not None:
                    self._shards.resources[name] = one

    async def watch(
        self, add: Callable[[WorkerResources], Awaitable[list[Coroutine[Any, Any, object]]]]
    ) -> None:
        """Open the others as soon as that is possible, until cancelled.

        Args:
            add: makes the worker use a shard; gives what is to be run for it.
        """
        await self._is_running.wait()
        while self._missing or self._tries:
            await asyncio.sleep(_SOON_SECONDS if self._is_busy else _RETRY_SECONDS)
            self._is_busy = False
            for name in list(self._missing | self._tries):
                found = await (self._tries.pop(name, None) or self._try(name))
                if found is not None:
                    for work in await add(found):
                        self._group.create_task(work)
                    if (keeps := self._keeps.get(name)) is not None:
                        self._group.create_task(_end_of(keeps))
                    get_logger().warning("a shard is available again", shard=name)
        await asyncio.Event().wait()

    async def run(self) -> None:
        """Run what belongs to shards that were opened later; it ends by itself if that fails."""
        async with self._group:
            self._is_running.set()
            await asyncio.Event().wait()

    async def _try(self, name: str) -> WorkerResources | None:
        store: Store | None = None
        try:
            store = await asyncio.to_thread(self._open_ready, name)
            store.start(asyncio.get_running_loop())
            await self._shards.load_directory(store, name)
        except NodeTaken:
            raise  # the whole server must end
        except StoreUnavailable as error:
            if store is not None:
                await store.close()
            if isinstance(error, ShardBusy):
                self._is_busy = True
            elif self._missing[name] != str(error):
                self._missing[name] = str(error)
                get_logger().error("a shard is not available", shard=name, reason=str(error))
            return None
        if (keeps := self._keep_node(name, store)) is not None:
            self._keeps[name] = keeps
        self._stores[name] = store
        del self._missing[name]
        return self._make(name, store)

    def _open_ready(self, name: str) -> Store:
        main = self._main
        make_ready_once(main.configuration, name, self._ready, main.store, main.clock)
        store = self._open(name)
        try:
            store.changes.connect()  # not in the loop, which serves the other shards
        except StoreUnavailable:
            store.close_now()
            raise
        return store


async def _end_of(task: asyncio.Task[None]) -> None:
    await task
