"""One recipient is added to a mail, or refused: for port 25, LMTP, submission and the web alike.

Law: a refused recipient stands in ``Transaction.refused`` and in an event; an accepted one in
``Transaction.recipients`` and in an event, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from zajil.accept.forward_seal import expect_seal
from zajil.accept.outcome import NotAccepted, RefusalReason
from zajil.accept.transaction import Recipient, Transaction
from zajil.core.address import Address
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId
from zajil.core.mail_options import PLAIN_RECIPIENT, Notify, RecipientOptions
from zajil.route.recipient import Local, RecipientRoute, Remote, Suspended
from zajil.tracking.events import DsnSuppressed, RecipientNamed, RecipientRefused

_MAX_REFUSED = 200
"""Refusals recorded of one mail: a peer that guesses for hours must not fill the memory."""
MAX_REPORTS = 100
"""Recipients of one foreign mail whose delivery is reported."""
_REPORTS = Notify.SUCCESS | Notify.DELAY
_UNPROVEN = "Nobody is told of success or delay: SPF does not prove who sent it."
_TOO_MANY_REPORTS = f"The sender is told of success for {MAX_REPORTS} recipients, not for more."


def add_recipient(
    transaction: Transaction,
    address: Address,
    route: RecipientRoute,
    *,
    may_relay: bool,
    at_ms: int,
    options: RecipientOptions = PLAIN_RECIPIENT,
) -> NotAccepted | None:
    """Add a recipient whose route is known; return why it is refused.

    The caller answers a refusal, and records the answer with ``record_refused_recipient``.

    Args:
        transaction: gets it.
        address: as it was named.
        route: where it leads.
        may_relay: the sender may send to domains that are not ours.
        at_ms: the time.
        options: of RCPT.
    """
    match route:
        # One full account of several that an alias leads to costs the others nothing.
        case Local(entries, remote) if not remote and not _has_room(transaction, entries):
            return NotAccepted(RefusalReason.MAILBOX_FULL, recipient=address)
        case Local():
            kind = "alias" if route.via and not route.is_forwarded else "local"
        case Remote() if may_relay:
            kind = "remote"
        case Remote():
            return NotAccepted(RefusalReason.NO_RELAY, recipient=address)
        case Suspended():
            return NotAccepted(RefusalReason.SUSPENDED, recipient=address)
        case _:
            return NotAccepted(RefusalReason.NO_SUCH_RECIPIENT, recipient=address)
    key = address.key
    transaction.named.append(key)
    if key not in transaction.keys:
        transaction.keys.add(key)
        transaction.recipients.append(Recipient(address, route, options))
        expect_seal(transaction, route)
        transaction.events.append(RecipientNamed(at_ms, str(address), kind))
    return None


def _has_room(transaction: Transaction, entries: Sequence[AccountEntry]) -> bool:
    return any([entry.takes(transaction.declared_size) for entry in entries])


def full_accounts(transaction: Transaction, size: int) -> dict[AccountId, NotAccepted]:
    """Return the accounts that have no room for the message, now that its size is known."""
    return {
        entry.account_id: NotAccepted(
            RefusalReason.MAILBOX_FULL, "mailbox is full", "4.2.2", recipient=recipient.address
        )
        for recipient in transaction.recipients
        if isinstance(recipient.route, Local)
        for entry in recipient.route.entries
        if not entry.takes(size)
    }


def record_refused_recipient(
    transaction: Transaction, address: Address, answer: str, at_ms: int
) -> None:
    """Record a refused recipient, and what the peer was answered."""
    if len(transaction.refused) < _MAX_REFUSED:
        transaction.refused.append((address, answer))
        transaction.events.append(RecipientRefused(at_ms, str(address), answer))


def limit_reports(transaction: Transaction, *, is_proven: bool, at_ms: int) -> None:
    """Drop requests for reports that a forged sender would get (RFC 3461 section 4.1).

    Failures are reported all the same. Attack: a mail to hundreds of recipients, whose forged
    sender is told of the success of each.

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
    refused = asking[MAX_REPORTS:] if is_proven else asking
    for recipient in refused:
        notify = (recipient.options.notify or Notify.NEVER) & ~_REPORTS
        recipient.options = replace(recipient.options, notify=notify)
    if refused:
        reason = _TOO_MANY_REPORTS if is_proven else _UNPROVEN
        transaction.events.append(DsnSuppressed(at_ms, reason))


def take_from_rejecting(
    transaction: Transaction, rejections: Mapping[AccountId, NotAccepted], at_ms: int
) -> None:
    """Remove the recipients whose accounts reject the message, and record why.

    A recipient that leads to several accounts rejects it only if all of them do.
    """
    if not rejections:
        return
    kept: list[Recipient] = []
    for recipient in transaction.recipients:
        route = recipient.route
        if (
            isinstance(route, Local)
            and not route.remote
            and all([entry.account_id in rejections for entry in route.entries])
        ):
            rejection = rejections[route.entries[0].account_id]
            transaction.rejected[recipient.address.key] = rejection
            answer = f"{rejection.status or '5.7.1'} {rejection.detail}"
            record_refused_recipient(transaction, recipient.address, answer, at_ms)
        else:
            kept.append(recipient)
    transaction.recipients[:] = kept
