"""The results of an attempt become settlements: rows, events, and whom the sender hears of. Pure.

The unit of work that writes them is ``store.queue.settlement.settle``; ``bounce`` makes the DSN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from zajil.config.options import QueueOptions
from zajil.core.mail_options import Notify
from zajil.core.service import RecipientState
from zajil.deliver.outgoing_mail import AttemptOutcome, Outgoing, RecipientResult, Results
from zajil.store.mail.intake import Intake
from zajil.store.queue.queue import LeasedRecipient
from zajil.store.queue.settlement import RowResult, Settlement
from zajil.tracking.events import (
    DeliveryDeferred,
    DsnSuppressed,
    MailboxFiled,
    RecipientDelivered,
    RecipientFailed,
    TrackingEvent,
)

NextTry = Callable[[LeasedRecipient], int]
"""When a recipient that was deferred is tried again."""

Pair = tuple[LeasedRecipient, RecipientResult]
"""A recipient, and what became of it."""


# ---- who is told --------------------------------------------------------------------------------


class Notice(Enum):
    """Why a sender is told (RFC 3461 section 4.1)."""

    FAILURE = auto()
    DELAY = auto()
    SUCCESS = auto()


@dataclass(slots=True)
class Sorted:
    """Recipients of one attempt, by what their sender hears."""

    silent: list[Pair] = field(default_factory=list)
    told: dict[Notice, list[Pair]] = field(default_factory=dict)
    events: list[TrackingEvent] = field(default_factory=list)


def sort_results(outgoing: Outgoing, results: Results, now_ms: int, queue: QueueOptions) -> Sorted:
    """Return the recipients that the sender is notified of, and the others."""
    found = Sorted()
    for claimed in outgoing.recipients:
        pair = (claimed, results[claimed])
        notice = _notice_for(*pair, now_ms, queue)
        if notice is None:
            found.silent.append(pair)
        else:
            found.told.setdefault(notice, []).append(pair)
    if any(result.outcome in _DEAD for _, result in found.silent):
        found.events.append(DsnSuppressed(now_ms, _NOBODY_IS_TOLD))
    return found


def _notice_for(
    claimed: LeasedRecipient, result: RecipientResult, now_ms: int, queue: QueueOptions
) -> Notice | None:
    wanted = claimed.options.notify
    if result.outcome in _DEAD:
        return Notice.FAILURE if wanted is None or Notify.FAILURE in wanted else None
    if claimed.reverse_path is None:
        return None
    if result.outcome is AttemptOutcome.DELIVERED:
        if wanted is None or Notify.SUCCESS not in wanted or result.reports:
            return None
        return Notice.SUCCESS
    if result.outcome is AttemptOutcome.DEFERRED and _is_late(claimed, now_ms, queue):
        # Not said: our own writers are warned. Whoever wrote from elsewhere is not: the address
        # may be forged, and who is told then did not write.
        asked = claimed.account_id is not None if wanted is None else Notify.DELAY in wanted
        return Notice.DELAY if asked else None
    return None


def _is_late(claimed: LeasedRecipient, now_ms: int, queue: QueueOptions) -> bool:
    """Return whether it is time for the one warning; the wait counts from the release on."""
    released_ms = claimed.expires_ms - queue.lifetime_ms
    warned = claimed.warned or not queue.delay_warning_ms
    return not warned and now_ms >= released_ms + queue.delay_warning_ms


_NOBODY_IS_TOLD = (
    "No bounce is sent: the sender requested none, or the message was classified as junk."
)
_DEAD = (AttemptOutcome.FAILED, AttemptOutcome.EXPIRED)


# ---- what is written ----------------------------------------------------------------------------


def settle_pairs(
    pairs: Sequence[Pair],
    now_ms: int,
    next_try_ms: NextTry,
    *,
    before: Sequence[TrackingEvent] = (),
    after: Sequence[TrackingEvent] = (),
    dsn: Intake | None = None,
    warned: bool = False,
) -> Settlement:
    """Settle recipients of one mail.

    Args:
        pairs: at least one.
        now_ms: the time.
        next_try_ms: when one that was deferred is tried again.
        before: events of the attempt.
        after: events of the DSN.
        dsn: reports on all of them.
        warned: they are late, and it was time to tell the sender.
    """
    rows: list[RowResult] = []
    told: list[TrackingEvent] = []
    for claimed, result in pairs:
        due_ms = next_try_ms(claimed) if result.outcome is AttemptOutcome.DEFERRED else now_ms
        rows.append(_row(claimed, result, due_ms, now_ms if warned else None))
        told += _events(claimed, result, due_ms, now_ms)
    mail = pairs[0][0]
    events = (*before, *told, *after)
    return Settlement(mail.mail_id, mail.token, now_ms, tuple(rows), events, dsn)


def _row(
    claimed: LeasedRecipient, result: RecipientResult, due_ms: int, warned_ms: int | None
) -> RowResult:
    position, why = claimed.position, result.diagnostic
    match result.outcome:
        case AttemptOutcome.DELIVERED:
            filed = result.filed
            if filed is None:
                return RowResult(position=position, state=RecipientState.DELIVERED, reason=why)
            name = filed.mailbox_name
            return RowResult(
                position=position,
                state=RecipientState.DELIVERED,
                reason=why,
                tries=0,
                mailbox=name,
                copy=filed.copy,
            )
        case AttemptOutcome.DEFERRED:
            return RowResult(
                position=position,
                state=RecipientState.WAITING,
                reason=why,
                next_try_ms=due_ms,
                warned_ms=warned_ms,
            )
        case AttemptOutcome.FAILED:
            return RowResult(position=position, state=RecipientState.BOUNCED, reason=why)
        case AttemptOutcome.EXPIRED:
            return RowResult(position=position, state=RecipientState.EXPIRED, reason=why, tries=0)
        case AttemptOutcome.UNTRIED:
            return RowResult(
                position=position,
                state=RecipientState.WAITING,
                reason=claimed.reason,
                next_try_ms=due_ms,
                tries=0,
            )


def _events(
    claimed: LeasedRecipient, result: RecipientResult, due_ms: int, now_ms: int
) -> list[TrackingEvent]:
    who, host, why = str(claimed.recipient), result.remote_mta, result.diagnostic
    match result.outcome:
        case AttemptOutcome.DELIVERED:
            filed = result.filed
            if filed is None:
                return [RecipientDelivered(now_ms, who, host or "", why)]
            account, reason = str(filed.account), filed.reason
            return [MailboxFiled(now_ms, who, account, filed.mailbox_name, reason)]
        case AttemptOutcome.DEFERRED:
            return [DeliveryDeferred(now_ms, who, host, why, due_ms)]
        case AttemptOutcome.FAILED | AttemptOutcome.EXPIRED:
            expired = result.outcome is AttemptOutcome.EXPIRED
            return [RecipientFailed(now_ms, who, host, result.status, why, expired)]
        case AttemptOutcome.UNTRIED:
            return []
