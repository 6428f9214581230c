"""The results of an attempt become one settlement: rows, events, and a DSN where one is due.

Pure but for ``bounce``, which reads the mail and the directory. The unit of work that writes it
is ``store.queue.settle``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zajil.deliver.outgoing import Outcome, Outgoing, Result, Results
from zajil.store.intake import Intake
from zajil.store.queue import Claimed
from zajil.store.settlement import RowResult, Settlement
from zajil.tracking.events import (
    DeliveryDeferred,
    RecipientDelivered,
    RecipientFailed,
    TrackingEvent,
)

NextTry = Callable[[Claimed], int]
"""When a recipient that was deferred is tried again."""


def settle_living(
    outgoing: Outgoing,
    results: Results,
    events: Sequence[TrackingEvent],
    now_ms: int,
    next_try_ms: NextTry,
) -> Settlement:
    """Settle what was delivered and what goes on waiting; ``events`` are those of the attempt."""
    rows: list[RowResult] = []
    told: list[TrackingEvent] = list(events)
    for claimed in outgoing.recipients:
        result = results[claimed]
        if result.outcome is Outcome.DELIVERED:
            rows.append(RowResult(claimed.position, "delivered", result.diagnostic))
            told.append(
                RecipientDelivered(
                    now_ms, str(claimed.recipient), result.remote_mta or "", result.diagnostic
                )
            )
        elif result.outcome is Outcome.DEFERRED:
            when = next_try_ms(claimed)
            rows.append(RowResult(claimed.position, "waiting", result.diagnostic, when))
            told.append(
                DeliveryDeferred(
                    now_ms, str(claimed.recipient), result.remote_mta, result.diagnostic, when
                )
            )
        elif result.outcome is Outcome.UNTRIED:
            rows.append(RowResult(claimed.position, "waiting", claimed.reason, now_ms, tries=0))
    mail = outgoing.mail
    return Settlement(mail.mail_id, mail.token, now_ms, tuple(rows), tuple(told))


def given_up(outgoing: Outgoing, results: Results) -> list[tuple[Claimed, Result]]:
    """Give the recipients of whom the sender must be told."""
    dead = (Outcome.FAILED, Outcome.EXPIRED)
    return [
        (claimed, results[claimed])
        for claimed in outgoing.recipients
        if results[claimed].outcome in dead
    ]


def settle_given_up(
    dead: Sequence[tuple[Claimed, Result]],
    dsn: Intake | None,
    events: Sequence[TrackingEvent],
    now_ms: int,
) -> Settlement:
    """Settle what failed for good, together with its DSN; ``events`` are those of the DSN."""
    rows: list[RowResult] = []
    told: list[TrackingEvent] = []
    for claimed, result in dead:
        expired = result.outcome is Outcome.EXPIRED
        if expired:
            rows.append(RowResult(claimed.position, "expired", result.diagnostic, tries=0))
        else:
            rows.append(RowResult(claimed.position, "bounced", result.diagnostic))
        told.append(
            RecipientFailed(
                now_ms,
                str(claimed.recipient),
                result.remote_mta,
                result.status,
                result.diagnostic,
                expired,
            )
        )
    mail = dead[0][0]
    return Settlement(mail.mail_id, mail.token, now_ms, tuple(rows), (*told, *events), dsn)
