"""Outgoing mail of our own accounts: how much, to how many strangers, and what is in it.

A stolen password is used for spam, at once and to thousands. How much an account may send is in
``send_limits``. Here is who is held: an account that suddenly writes to many strangers goes on
sending, but its copies for other servers wait in the queue until an operator has looked at it
(``store.feedback.outbound_hold``). Its owner and the postmaster are told once. Nothing is lost, and
a thief learns nothing.
"""

from __future__ import annotations

from contextlib import suppress

from zajil.accept import replies
from zajil.accept.commit import Write
from zajil.accept.context import ReceiveServices
from zajil.accept.held_notice import notify_of_held_account
from zajil.accept.transaction import Transaction
from zajil.check.sender.correspondent import address_key
from zajil.check.step import Checked
from zajil.check.verdict.verdict import Thresholds
from zajil.config.options_users import SubmitOptions
from zajil.core.ids import AccountId
from zajil.login.account import Account
from zajil.route.recipient import Local
from zajil.smtp.reply import Reply
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.feedback.outbound_hold import OutboundHold, StrangerLimit
from zajil.store.feedback.send_counts import (
    CountedIntake,
    SendLimit,
    accept_counted,
    load_send_counts,
)
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.intake import Intake
from zajil.submit.send_limits import blocked_until_ms, send_limit

_USUAL_FACTOR = 3.0
"""Twice as much as usual is a busy day."""


def judge_outgoing(checked: Checked, thresholds: Thresholds) -> Reply | None:
    """Refuse what looks like the work of a thief or a worm; ``None``: it may go.

    What our users write to each other is never junk by its words alone: only a sum that would
    refuse mail of a stranger does, proof or not.
    """
    return replies.NOT_SENT if checked.verdict.score >= thresholds.reject else None


def outgoing_write(
    services: ReceiveServices, account: Account, transaction: Transaction, now_ms: int
) -> Write | None:
    """Give what commits a mail within the limits of its account; ``None``: it has none."""
    options = services.submit
    limit = None if options is None else send_limit(options)
    guard = None if options is None else _guard(options, account, transaction)
    if limit is None and guard is None:
        return None
    count = len(transaction.recipients)

    async def write(intake: Intake) -> Reply | None:
        item = CountedIntake(intake, account.account_id, count, limit, guard)
        taken = await services.store.write(accept_counted, item)
        if taken is None:
            return await _too_much(services.store, account.account_id, limit, count, now_ms)
        if taken.is_first_held:
            # The mail is ours; whoever was not told now is told within the hour.
            with suppress(StoreUnavailable, NoSuchMailbox):
                await notify_of_held_account(services.own_mailer, account.account_id)
        return None

    return write


def _guard(
    options: SubmitOptions, account: Account, transaction: Transaction
) -> OutboundHold | None:
    limit = StrangerLimit(options.strangers_per_hour, options.strangers_per_day, _USUAL_FACTOR)
    if not limit.per_hour and not limit.per_day:
        return None
    keys = [
        address_key(recipient.address)
        for recipient in transaction.recipients
        if not isinstance(recipient.route, Local)
    ]
    leaves = keys or any(
        [isinstance(one.route, Local) and one.route.remote for one in transaction.recipients]
    )
    return OutboundHold(account.account_id, tuple(keys), limit) if leaves else None


async def _too_much(
    store: Store, account_id: AccountId, limit: SendLimit | None, count: int, now_ms: int
) -> Reply:
    counts = await store.read(lambda conn: load_send_counts(conn, account_id))
    until_ms = None if limit is None else blocked_until_ms(limit, counts, count, now_ms)
    return replies.LATER if until_ms is None else replies.sent_too_much(until_ms)
