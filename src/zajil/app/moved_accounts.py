"""Removes what is left of accounts in their old shards, some minutes after they were moved."""

from __future__ import annotations

from zajil.app.resources import WorkerResources
from zajil.net.logger import get_logger
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
