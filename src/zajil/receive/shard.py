"""The shard of each mail: that of its first recipient (``store.shards``).

A mail is accepted by one commit, so all its recipients are in one shard. A recipient in another one
is refused as if there were too many: the peer sends the mail to it in another transaction (RFC 5321
section 4.5.3.1.10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zajil.accept.context import AcceptanceContext
from zajil.accept.outcome import NotAccepted, RefusalReason
from zajil.core.address import Address
from zajil.route.recipient import RecipientRoute, Remote, UnknownRecipient

if TYPE_CHECKING:
    from zajil.receive.session import SmtpSession


def choose_shard(session: SmtpSession, recipient: Address) -> NotAccepted | None:
    """Return why the mail under way cannot have this recipient; the first one chooses its shard.

    What one of our users submits is accepted in the shard of the user, whoever gets it.
    """
    shards = session.context.shards
    if shards is None or session.account is not None:
        return None
    home, transaction = shards.home_of(recipient), session.current()
    if home is None:
        return None  # any shard says that the domain is not ours
    context = shards.contexts.get(home)
    if context is None:
        # Its database is away, or it was created after this server was started.
        return NotAccepted(RefusalReason.UNAVAILABLE)
    if context is session.context:
        return None
    if transaction.recipients:
        return NotAccepted(RefusalReason.TOO_MANY_RECIPIENTS)
    use_context(session, context)
    transaction.spool = context.make_spool()  # nothing of the message has come yet
    return None


def is_elsewhere(session: SmtpSession, recipient: Address, route: RecipientRoute) -> bool:
    """Return whether an address is ours although this shard does not have it.

    The account was moved to another shard since the shard was chosen. Or it was moved to this one,
    which was restored from an older backup: nobody may be told that the account does not exist.
    """
    shards = session.context.shards
    if shards is None:
        return False
    if isinstance(route, UnknownRecipient):
        return shards.is_single(recipient)
    if session.account is not None or not isinstance(route, Remote):
        return False
    return shards.home_of(recipient) is not None


def use_context(session: SmtpSession, context: AcceptanceContext) -> None:
    """Go on with the store of another shard, and with what is known of peers there."""
    if context is not session.context:
        session.context = session.record.context = context
        session.looked = None
