"""One recipient is taken into a mail, or refused: for port 25, LMTP, submission and the web alike.

Law: whatever is refused here stands in ``Transaction.refused`` and in an event; whatever is
accepted, in ``Transaction.recipients`` and in an event, once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from zajil.accept import replies
from zajil.accept.forward_seal import expect_seal
from zajil.accept.transaction import Recipient, Transaction
from zajil.core.address import Address
from zajil.core.envelope import PLAIN_RECIPIENT, Notify, RecipientOptions
from zajil.core.ids import AccountId
from zajil.route.recipient import Local, RecipientRoute, Remote, Suspended
from zajil.smtp.reply import Reply
from zajil.tracking.events import DsnSuppressed, RecipientNamed, RecipientRefused

_MOST_REFUSED = 200
"""Refusals kept for one mail: a peer that guesses for hours must not fill the memory."""


def take_recipient(
    transaction: Transaction,
    address: Address,
    route: RecipientRoute,
    *,
    may_relay: bool,
    at_ms: int,
    options: RecipientOptions = PLAIN_RECIPIENT,
) -> Reply:
    """Answer RCPT once it is known whose the address is.

    Args:
        transaction: takes it, or keeps the refusal.
        address: as it was named.
        route: where it leads.
        may_relay: whoever names it may send to domains that are not ours.
        at_ms: the time.
        options: what RCPT asked for beside.
    """
    match route:
        # Of an alias that leads to several, one that is full costs the others nothing.
        case Local(entries, remote) if not remote and all([one.is_full for one in entries]):
            return refuse_recipient(transaction, address, replies.MAILBOX_FULL, at_ms)
        case Local():
            kind = "alias" if route.via and not route.is_forwarded else "local"
        case Remote() if may_relay:
            kind = "remote"
        case Remote():
            return refuse_recipient(transaction, address, replies.NO_RELAY, at_ms)
        case Suspended():
            return refuse_recipient(transaction, address, replies.SUSPENDED, at_ms)
        case _:
            return refuse_recipient(transaction, address, replies.NO_SUCH_RECIPIENT, at_ms)
    key = address.key
    transaction.named.append(key)
    if key not in transaction.keys:
        transaction.keys.add(key)
        transaction.recipients.append(Recipient(address, route, options))
        expect_seal(transaction, route)
        transaction.events.append(RecipientNamed(at_ms, str(address), kind))
    return replies.RECIPIENT_OK


def limit_reports(transaction: Transaction, *, is_proven: bool, at_ms: int) -> None:
    """Drop requests for reports that a forged sender would get (RFC 3461 section 4.1).

    Of failures a sender is told as ever. Attack: a mail to hundreds of recipients, and whose
    address it bears is told of the success of each.

    Args:
        transaction: the mail.
        is_proven: the domain of the reverse path sent it.
        at_ms: for the event.
    """
    asking = [
        recipient
        for recipient in transaction.recipients
        if recipient.options is not PLAIN_RECIPIENT
        and recipient.options.notify is not None
        and recipient.options.notify & _REPORTS
    ]
    refused = asking[MOST_REPORTS:] if is_proven else asking
    for recipient in refused:
        notify = (recipient.options.notify or Notify.NEVER) & ~_REPORTS
        recipient.options = replace(recipient.options, notify=notify)
    if refused:
        reason = _TOO_MANY_REPORTS if is_proven else _UNPROVEN
        transaction.events.append(DsnSuppressed(at_ms, reason))


MOST_REPORTS = 100
"""Recipients of one foreign mail whose delivery is reported."""
_REPORTS = Notify.SUCCESS | Notify.DELAY
_UNPROVEN = "Nobody is told of success or delay: SPF does not prove who sent it."
_TOO_MANY_REPORTS = f"The sender is told of success for {MOST_REPORTS} recipients, not for more."


def reject_for(transaction: Transaction, accounts: Collection[AccountId], at_ms: int) -> None:
    """Take the message from recipients whose accounts reject it, and note what each is told.

    An alias rejects it only if all behind it do.
    """
    kept: list[Recipient] = []
    for recipient in transaction.recipients:
        route = recipient.route
        if (
            isinstance(route, Local)
            and not route.remote
            and all([entry.account_id in accounts for entry in route.entries])
        ):
            reply = refuse_recipient(transaction, recipient.address, replies.NOT_WANTED, at_ms)
            transaction.rejected[recipient.address.key] = reply
        else:
            kept.append(recipient)
    transaction.recipients[:] = kept


def refuse_recipient(transaction: Transaction, address: Address, reply: Reply, at_ms: int) -> Reply:
    """Keep what was refused, and give the reply."""
    if len(transaction.refused) < _MOST_REFUSED:
        text = str(reply)
        transaction.refused.append((address, text))
        transaction.events.append(RecipientRefused(at_ms, str(address), text))
    return reply
