"""How many recipients an account has sent to in this minute and on this day.

Counted in the commit that accepts the mail, so that all workers and nodes agree, and a restart
forgets nothing. The rule that the caller passes decides what is too many (``accept.send_limit``).
Mail from other servers is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailId
from zajil.core.value_class import value_class
from zajil.store.feedback.outbound_hold import OutboundHold, hold_if_unusual
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.schema import send_count

MINUTE_MS = 60_000
DAY_MS = 86_400_000


@value_class(frozen=True, slots=True)
class SendCounts:
    """What an account has sent, as one row keeps it."""

    minute: int = 0
    """Number of the minute since 1970 UTC that ``minute_count`` is about."""
    minute_count: int = 0
    day: int = 0
    """Number of the day since 1970 UTC that ``day_count`` is about."""
    day_count: int = 0

    def in_minute(self, now_ms: int) -> int:
        """Recipients in the minute of the clock that ``now_ms`` is in."""
        return self.minute_count if self.minute == now_ms // MINUTE_MS else 0

    def in_day(self, now_ms: int) -> int:
        """Recipients on the day that ``now_ms`` is in."""
        return self.day_count if self.day == now_ms // DAY_MS else 0


NOTHING_SENT = SendCounts()


@value_class(frozen=True, slots=True)
class CountedIntake:
    """A submitted mail, to be accepted if its account is within its limit."""

    intake: Intake
    account_id: AccountId
    recipients: int
    """As the sender named them: what an alias stands for does not count."""
    permits: Callable[[SendCounts], bool] | None
    """The rule (``accept.send_limit``): whether the counts, this mail included, are within the
    limit; ``None``: nothing is counted."""
    guard: OutboundHold | None = None
    """``None``: strangers are not counted."""


@value_class(frozen=True, slots=True)
class Taken:
    """A submitted mail that was accepted."""

    mail_id: MailId
    is_first_held: bool = False
    """Its account is held from this mail on (``store.feedback.outbound_hold``)."""


def load_send_counts(conn: Connection, account_id: AccountId) -> SendCounts:
    """Return what an account has sent so far."""
    row = conn.execute(_COUNTS, {"account_id_": account_id}).one_or_none()
    return NOTHING_SENT if row is None else SendCounts(*row)


def write_counted_intakes(tx: Connection, items: Sequence[CountedIntake]) -> list[Taken | None]:
    """Accept mails and count their recipients.

    Unit of work: not idempotent; locks the accounts' counts, in the order of their ids, then what
    ``intake.write_intakes`` locks.

    Returns:
        For each item what came of it; ``None``: its account would be over its limit, so nothing
        of that mail was kept or counted.

    Raises:
        StoreFull, NoSuchMailbox: as ``intake.write_intakes``; nothing of this batch will be
        committed.
    """
    taken: dict[int, Taken] = {}
    intakes: dict[int, Intake] = {}
    for index, item in sorted(enumerate(items), key=lambda pair: pair[1].account_id):
        if item.permits is not None and not item.permits(_count(tx, item, item.recipients)):
            _count(tx, item, -item.recipients)
            continue
        intake, is_first_held = item.intake, False
        if item.guard is not None:
            intake, is_first_held = hold_if_unusual(tx, intake, item.guard)
        intakes[index] = intake
        taken[index] = Taken(intake.mail_id, is_first_held)
    write_intakes(tx, [intakes[index] for index in sorted(intakes)])
    return [taken.get(index) for index in range(len(items))]


def _count(tx: Connection, item: CountedIntake, recipients: int) -> SendCounts:
    """Add to the counts of an account, and return them as they are now."""
    at_ms = item.intake.received_at_ms
    row = tx.execute(
        _ADD,
        {
            "account_id_": item.account_id,
            "minute_": at_ms // MINUTE_MS,
            "day_": at_ms // DAY_MS,
            "count_": recipients,
        },
    ).one()
    return SendCounts(*row)


# A mail of another worker may be a moment older than the row, so the period before counts as the
# row's own. One that is further away (a clock was wrong) begins anew: it must not lock anybody out.
_ADD = sa.text(
    "INSERT INTO send_count (account_id, minute, minute_count, day, day_count)"
    " VALUES (:account_id_, :minute_, :count_, :day_, :count_)"
    " ON CONFLICT (account_id) DO UPDATE SET"
    " minute_count = excluded.minute_count + CASE"
    " WHEN send_count.minute - excluded.minute IN (0, 1) THEN send_count.minute_count ELSE 0 END,"
    " minute = CASE WHEN send_count.minute - excluded.minute = 1"
    " THEN send_count.minute ELSE excluded.minute END,"
    " day_count = excluded.day_count + CASE"
    " WHEN send_count.day - excluded.day IN (0, 1) THEN send_count.day_count ELSE 0 END,"
    " day = CASE WHEN send_count.day - excluded.day = 1"
    " THEN send_count.day ELSE excluded.day END"
    " RETURNING minute, minute_count, day, day_count"
)
_COUNTS = sa.select(
    send_count.c.minute, send_count.c.minute_count, send_count.c.day, send_count.c.day_count
).where(send_count.c.account_id == sa.bindparam("account_id_"))
