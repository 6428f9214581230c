"""What an operator does with the certificates of an authority."""

from __future__ import annotations

from zajil.core.actor import Actor
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.store.engine.writer import Transaction
from zajil.store.people.certificates import request_renewal
from zajil.tracking.audit import RenewalRequested


async def renew_certificate(context: OperationContext, actor: Actor, name: str) -> None:
    """Have a certificate renewed by the server that runs, or by the next one that does.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        name: host name in ASCII form.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchCertificate: no authority is asked for this name.
    """
    require_admin(actor)
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[None]:
        request_renewal(tx, [name])
        return None, [RenewalRequested(*by, None, name)]

    await context.change(work)
