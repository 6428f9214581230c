"""The shard of each mail: that of its first recipient (``store.shards``).

A mail is accepted by one commit, so all its recipients are in one shard. A recipient in another one
is refused as if there were too many: the peer sends the mail to it in another transaction (RFC 5321
section 4.5.3.1.10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zajil.accept.context import AcceptanceContext
from zajil.core.address import Address
from zajil.route.recipient import RecipientRoute, Remote

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


def has_left_shard(session: SmtpSession, recipient: Address, route: RecipientRoute) -> bool:
    """Return whether an account was moved to another shard since the shard was chosen.

    The address is ours all the same: nobody may be told that we do not relay mail to it.
    """
    shards = session.context.shards
    if shards is None or session.account is not None or not isinstance(route, Remote):
        return False
    return shards.find(recipient) is not None


def use_context(session: SmtpSession, context: AcceptanceContext) -> None:
    """Go on with the store of another shard, and with what is known of peers there."""
    if context is not session.context:
        session.context = session.record.context = context
        session.looked = None
