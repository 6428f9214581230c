"""Networks whose log-ins are slowed after failures: list and release them."""

from __future__ import annotations

from zajil.core.actor import Actor
from zajil.core.errors import NotFound
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.store.engine.writer import Transaction
from zajil.store.people.login_failures import ReleaseNetwork, release_networks
from zajil.tracking.audit import NetworkReleased


class NotSlowed(NotFound):
    """The network has no failed log-ins."""


async def release_network(context: OperationContext, actor: Actor, network: str) -> None:
    """Forget the failed log-ins of a network, so that the next one is not slowed.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        network: as ``login_failures.slowed_networks`` gives it.

    Raises:
        NotAllowed: the actor is not an administrator.
        NotSlowed: it has none.
    """
    require_admin(actor)
    by, now_ms = context.stamp(actor), context.clock.now_ms()

    def work(tx: Transaction) -> Recorded[None]:
        if release_networks(tx, [ReleaseNetwork(network, now_ms)]) == [False]:
            raise NotSlowed(f"{network} has no failed log-ins")
        return None, [NetworkReleased(*by, None, network)]

    await context.change(work)
