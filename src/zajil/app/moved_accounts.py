"""What is done about moved accounts in the background.

Removes what is left of them in their old shards, some minutes later; and from the catalogue the
names of those that were removed or renamed since.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial

from zajil.app.resources import WorkerResources
from zajil.net.logger import get_logger
from zajil.store.shards.catalogue import NewPlace, forget_places, known_names, load_places
from zajil.store.shards.move import let_go
from zajil.store.shards.moves import MoveStep, end_move, list_moves

LET_GO_MS = 600_000
"""As long as the account stands in its old shard suspended, a worker with an old catalogue defers
its mail."""


async def let_moved_go(resources: WorkerResources) -> None:
    """Look once; a chore of the main shard."""
    shards = resources.shards
    if shards is None:
        return
    due_ms = resources.clock.now_ms() - LET_GO_MS
    for move in await resources.store.read(list_moves):
        old = shards.resources.get(move.from_shard)
        is_due = move.switched_ms is not None and move.switched_ms <= due_ms
        if move.step is not MoveStep.SWITCHED or not is_due or old is None:
            continue
        await old.store.write_large(let_go, move.account_id, move.account_id)
        await resources.store.write(end_move, move.address_key)
        get_logger().info("removed a moved account", login=move.login, shard=move.from_shard)


async def forget_gone(resources: WorkerResources) -> None:
    """Look once; a chore of the main shard. The names are free for others then."""
    shards = resources.shards
    if shards is None:
        return
    by_shard: defaultdict[str, list[str]] = defaultdict(list)
    for name, shard in (await resources.store.read(load_places)).single.items():
        by_shard[shard].append(name)
    for shard, names in by_shard.items():
        if (one := shards.resources.get(shard)) is None:
            continue
        known = await one.store.read(partial(known_names, names=names))
        for name in names:
            if name not in known:
                await resources.store.write(forget_places, NewPlace(name, shard))
                get_logger().info("the catalogue forgets a name", name=name, shard=shard)
