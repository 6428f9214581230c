"""Which owners were told that their mailboxes are nearly full."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.schema import account
from zajil.tracking.events import TrackingEvent


@value_class(frozen=True, slots=True)
class QuotaNotice:
    """A mark that the usage of an account has reached, or fallen below."""

    account_id: AccountId
    told: int
    """What its owner was told before, in percent; 0: nothing."""
    reached: int
    """What holds now."""
    at_ms: int
    mails: tuple[Intake, ...] = ()
    """To its owner; none when it has fallen."""
    events: tuple[TrackingEvent, ...] = ()


def tell_quota(tx: Connection, items: Sequence[QuotaNotice]) -> list[bool]:
    """Note what owners are told, and put the notices into their mailboxes, once for each mark.

    Unit of work: idempotent; locks the accounts, then the mailboxes.

    Returns:
        Whether each notice was needed; those that were not are not kept.

    Raises:
        StoreFull, NoSuchMailbox: as ``intake.write_intakes``.
    """
    needed: list[bool] = []
    for item in items:
        untold = sa.update(account).where(
            account.c.id == item.account_id, account.c.quota_told == item.told
        )
        needed.append(tx.execute(untold.values(quota_told=item.reached)).rowcount > 0)
    chosen = [item for item, is_needed in zip(items, needed, strict=True) if is_needed]
    write_intakes(tx, [one for item in chosen for one in item.mails])
    batches = [EventBatch(None, None, one.at_ms, one.events) for one in chosen if one.events]
    record_events(tx, batches)
    return needed
