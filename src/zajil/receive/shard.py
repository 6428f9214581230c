"""The shard of each mail: that of its first recipient (``store.shards``).

A mail is accepted by one commit, so all its recipients are in one shard. A recipient in another one
is refused as if there were too many: the peer sends the mail to it in another transaction (RFC 5321
section 4.5.3.1.10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zajil.accept.context import AcceptanceContext
from zajil.core.address import Address

if TYPE_CHECKING:
    from zajil.receive.session import SmtpSession


def choose_shard(session: SmtpSession, recipient: Address) -> bool:
    """Return whether the mail under way can have this recipient; the first one chooses its shard.

    What one of our users submits is accepted in the shard of the user, whoever gets it.
    """
    shards = session.context.shards
    if shards is None or session.account is not None:
        return True
    context, transaction = shards.find(recipient), session.current()
    # Of a domain that is not ours, any shard says so.
    if context is None or context is session.context:
        return True
    if transaction.recipients:
        return False
    use_context(session, context)
    transaction.spool = context.make_spool()  # nothing of the message has come yet
    return True


def use_context(session: SmtpSession, context: AcceptanceContext) -> None:
    """Go on with the store of another shard, and with what is known of peers there."""
    if context is not session.context:
        session.context = session.record.context = context
        session.looked = None
