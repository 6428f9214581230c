"""Mail of our own accounts: how much one may send, to how many new recipients, and what is in it.

A stolen password is used for spam, at once and to thousands. An account that reaches a limit of
``[submit]`` is told when it may go on (RFC 6409 section 3.2). One that suddenly writes to many new
recipients goes on sending, but its copies for other servers wait in the queue until an operator has
looked at it (``outbound_hold``). Its owner and the postmaster are notified once.
Nothing is lost, and a thief learns nothing.
"""

from __future__ import annotations

from contextlib import suppress

from zajil.accept.context import AcceptanceContext
from zajil.accept.held_notice import notify_of_held_account
from zajil.accept.outbound_hold import RENEW_MS, HoldRule
from zajil.accept.outcome import NotAccepted, RefusalReason
from zajil.accept.transaction import Transaction
from zajil.check.sender.correspondent import address_key
from zajil.check.step import Checked
from zajil.check.verdict.verdict import Thresholds
from zajil.core.ids import AccountId
from zajil.route.recipient import Local
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.feedback.outbound_hold import OutboundHold
from zajil.store.feedback.send_counts import (
    CountedIntake,
    load_send_counts,
    write_counted_intakes,
)
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.intake import Intake, write_intakes


def looks_like_abuse(checked: Checked, thresholds: Thresholds) -> bool:
    """Whether a submission looks like the work of a thief or a worm.

    What our users write to each other is never junk by its words alone: only a sum that would
    refuse mail of a stranger is, with or without a proof.
    """
    return checked.verdict.score >= thresholds.reject


async def commit_outgoing(
    context: AcceptanceContext, account_id: AccountId, transaction: Transaction, intake: Intake
) -> NotAccepted | None:
    """Commit a mail of an account within its limits; return why nothing was kept.

    Raises:
        StoreUnavailable, NoSuchMailbox: nothing was kept.
    """
    store, policy = context.store, context.policy
    hold = _hold(policy.hold_rule, account_id, transaction)
    if policy.send_limit is None and hold is None:
        await store.write(write_intakes, intake)
        return None
    count = len(transaction.recipients)
    permits = None if policy.send_limit is None else policy.send_limit.permits
    item = CountedIntake(intake, account_id, count, permits, hold)
    taken = await store.write(write_counted_intakes, item)
    if taken is None:
        return await _sent_too_much(context, account_id, count, intake.received_at_ms)
    if taken.is_first_held:
        # The mail is ours; a notice that is not sent now is sent within the hour.
        with suppress(StoreUnavailable, NoSuchMailbox):
            await notify_of_held_account(context.own_mailer, account_id)
    return None


def _hold(
    rule: HoldRule | None, account_id: AccountId, transaction: Transaction
) -> OutboundHold | None:
    if rule is None:
        return None
    keys = [
        address_key(recipient.address)
        for recipient in transaction.recipients
        if not isinstance(recipient.route, Local)
    ]
    leaves = keys or any(
        [isinstance(one.route, Local) and one.route.remote for one in transaction.recipients]
    )
    return OutboundHold(account_id, tuple(keys), rule.decide, RENEW_MS) if leaves else None


async def _sent_too_much(
    context: AcceptanceContext, account_id: AccountId, recipients: int, now_ms: int
) -> NotAccepted:
    counts = await context.store.read(lambda conn: load_send_counts(conn, account_id))
    limit, until_ms = context.policy.send_limit, None
    if limit is not None:
        until_ms = limit.blocked_until_ms(counts, recipients, now_ms)
    if until_ms is None:
        return NotAccepted(RefusalReason.CHECK_LATER)
    return NotAccepted(RefusalReason.SENT_TOO_MUCH, until_ms=until_ms)
