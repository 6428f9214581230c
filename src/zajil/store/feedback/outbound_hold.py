"""Accounts that suddenly write to many strangers: their mail to other servers is held back.

A stranger is a recipient elsewhere that the account never wrote to. They are counted in the commit
that accepts the mail, so that all workers and nodes agree. Who is held stays so, through restarts,
until an operator lets it go (``release_account``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailId
from zajil.core.service import RecipientState
from zajil.store.engine.rows import execute_text
from zajil.store.feedback.reputation import load_written, note_written
from zajil.store.mail.intake import Intake, accept
from zajil.store.queue.queue_admin import HELD, QueueOrder, discard, release
from zajil.store.schema import mail, recipient, stranger_count
from zajil.tracking.events import AccountHeld

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
HELD_REASON = "The account suddenly wrote to many strangers: an operator looks at it first."
"""Why the queue does not send a copy; the rows of such copies are known by it."""
_REMIND_MS = 30 * DAY_MS
"""How old the memory of a correspondent may get before it is renewed by the next mail."""
_AVERAGE_DAYS = 14
"""A day counts for so much less in what is usual: nobody makes much look usual in a few days."""


@dataclass(frozen=True, slots=True)
class StrangerLimit:
    """How many strangers an account may write to; 0: no limit."""

    per_hour: int
    per_day: int
    factor: float
    """So many times what is usual for the account is allowed too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrangerCounts:
    """What an account has done, as one row keeps it."""

    hour: int = 0
    hour_count: int = 0
    day: int = 0
    day_count: int = 0
    usual: float = 0.0
    """Strangers on a day, averaged over the days before."""
    held_ms: int | None = None
    """Since when its mail is held back; ``None``: it is not."""
    trusted_until_ms: int | None = None
    """It is not held before that: an operator let it go."""

    def after(self, strangers: int, now_ms: int) -> StrangerCounts:
        """Give the counts with so many more."""
        # A worker whose clock is a moment behind counts into the period that is there.
        hour, day = max(self.hour, now_ms // HOUR_MS), max(self.day, now_ms // DAY_MS)
        usual, day_count = self.usual, self.day_count
        if day > self.day:
            if self.day:
                usual += (day_count - usual) / _AVERAGE_DAYS
                usual *= (1 - 1 / _AVERAGE_DAYS) ** (day - self.day - 1)
            day_count = 0
        hour_count = self.hour_count if hour == self.hour else 0
        return replace(
            self,
            hour=hour,
            hour_count=hour_count + strangers,
            day=day,
            day_count=day_count + strangers,
            usual=usual,
        )

    def is_within(self, limit: StrangerLimit) -> bool:
        """Whether these counts are nothing to worry about."""
        usual = self.usual * limit.factor
        return (not limit.per_hour or self.hour_count <= max(limit.per_hour, usual)) and (
            not limit.per_day or self.day_count <= max(limit.per_day, usual)
        )


@dataclass(frozen=True, slots=True)
class OutboundHold:
    """What is looked at when an account sends a mail."""

    account_id: AccountId
    keys: tuple[str, ...]
    """``address:`` keys of its recipients elsewhere (``check.sender.correspondent``)."""
    limit: StrangerLimit


def hold_if_unusual(tx: Connection, intake: Intake, guard: OutboundHold) -> tuple[Intake, bool]:
    """Count the strangers a mail goes to, and hold its remote copies where they are too many.

    Part of a unit of work: not idempotent; locks the counts of the account, then its memory of the
    strangers.

    Returns:
        The mail as it is to be accepted, and whether the account is held from this mail on.
    """
    now_ms = intake.received_at_ms
    known = load_written(tx, guard.account_id, guard.keys)
    strangers = [key for key in guard.keys if key not in known]
    before = _load(tx, guard.account_id, lock=bool(strangers))
    if before.held_ms is not None:
        return _hold(intake, before), False
    after = before.after(len(strangers), now_ms)
    if strangers and not after.is_within(guard.limit) and now_ms >= (after.trusted_until_ms or 0):
        after = replace(after, held_ms=now_ms)
    if strangers:
        _save(tx, guard.account_id, after)
    if after.held_ms is not None:
        return _hold(intake, after), True
    # Whom the mail does not reach yet stays a stranger.
    fading = [key for key, at_ms in known.items() if at_ms < now_ms - _REMIND_MS]
    if strangers or fading:
        note_written(tx, guard.account_id, (*strangers, *fading), now_ms)
    return intake, False


def _hold(intake: Intake, counts: StrangerCounts) -> Intake:
    if not intake.remote:
        return intake
    copies = [
        replace(copy, state=RecipientState.HELD, reason=HELD_REASON) for copy in intake.remote
    ]
    event = AccountHeld(intake.received_at_ms, counts.held_ms or 0, counts.day_count)
    return replace(intake, remote=tuple(copies), events=(*intake.events, event))


_LOAD = (
    "SELECT hour, hour_count, day, day_count, usual, held_ms, trusted_until_ms"
    " FROM stranger_count WHERE account_id = "
)
# It changes nothing, and locks.
_LOCK = sa.text(
    "INSERT INTO stranger_count (account_id, hour, hour_count, day, day_count, usual)"
    " VALUES (:account_id_, 0, 0, 0, 0, 0) ON CONFLICT (account_id) DO UPDATE"
    " SET usual = stranger_count.usual RETURNING hour, hour_count, day, day_count, usual,"
    " held_ms, trusted_until_ms"
)


def load_strangers(conn: Connection, account_id: AccountId) -> StrangerCounts:
    """Give what is known of an account."""
    return _load(conn, account_id, lock=False)


def _load(conn: Connection, account_id: AccountId, *, lock: bool) -> StrangerCounts:
    if lock:
        return _counts_of(conn.execute(_LOCK, {"account_id_": account_id}).one())
    mark = "?" if conn.dialect.paramstyle == "qmark" else "%s"
    # By the driver itself: it is on the way of each mail that leaves.
    found = execute_text(conn, _LOAD + mark, (account_id,))
    return _counts_of(found[0]) if found else StrangerCounts()


def _counts_of(row: Any) -> StrangerCounts:
    return StrangerCounts(**dict(zip(StrangerCounts.__slots__, row, strict=True)))


def _save(tx: Connection, account_id: AccountId, counts: StrangerCounts) -> None:
    values = {name: getattr(counts, name) for name in StrangerCounts.__slots__}
    tx.execute(_SAVE, {"account_id_": account_id, **values})


_SAVE = sa.text(
    "UPDATE stranger_count SET hour = :hour, hour_count = :hour_count, day = :day,"
    " day_count = :day_count, usual = :usual, held_ms = :held_ms,"
    " trusted_until_ms = :trusted_until_ms WHERE account_id = :account_id_"
)


# ---- who is held ----------------------------------------------------------------------------


def find_untold(conn: Connection) -> list[AccountId]:
    """Give the accounts that are held and nobody was told of it."""
    held = stranger_count.c.held_ms.is_not(None) & stranger_count.c.told_ms.is_(None)
    return [
        AccountId(one) for one in conn.scalars(sa.select(stranger_count.c.account_id).where(held))
    ]


@dataclass(frozen=True, slots=True)
class HeldNotice:
    """Mails that tell of a held account."""

    account_id: AccountId
    at_ms: int
    mails: tuple[Intake, ...]
    """To its owner and to the postmaster."""


def claim_held_notices(tx: Connection, items: Sequence[HeldNotice]) -> list[bool]:
    """Put the notices into their mailboxes, once for each time an account is held.

    Unit of work: idempotent; locks the counts of the account, then the mailboxes.

    Returns:
        Whether the notices of each item were needed; those that were not are not kept.

    Raises:
        StoreFull, NoSuchMailbox: as ``intake.accept``; nothing of this batch will be committed.
    """
    told: list[bool] = []
    for item in items:
        untold = sa.update(stranger_count).where(
            stranger_count.c.account_id == item.account_id,
            stranger_count.c.held_ms.is_not(None),
            stranger_count.c.told_ms.is_(None),
        )
        told.append(tx.execute(untold.values(told_ms=item.at_ms)).rowcount > 0)
    accept(tx, [one for item, new in zip(items, told, strict=True) if new for one in item.mails])
    return told


@dataclass(frozen=True, slots=True)
class ReleaseAccount:
    """An operator lets an account go."""

    account_id: AccountId
    who: str
    now_ms: int
    trust_ms: int
    """So long it is not held again."""
    discards: bool = False
    """What was held back is dropped, not sent."""


def release_account(
    tx: Connection, items: Sequence[ReleaseAccount]
) -> list[tuple[MailId, ...] | None]:
    """Let accounts go, and send or drop what was held back.

    Unit of work: idempotent; locks the counts of the accounts; touches the queue's topic.

    Returns:
        For each item the mails that were held back; ``None``: the account was not held.
    """
    return [_unhold(tx, item) for item in items]


def _unhold(tx: Connection, item: ReleaseAccount) -> tuple[MailId, ...] | None:
    let_go = (
        sa.update(stranger_count)
        .where(
            stranger_count.c.account_id == item.account_id, stranger_count.c.held_ms.is_not(None)
        )
        .values(held_ms=None, told_ms=None, trusted_until_ms=item.now_ms + item.trust_ms)
    )
    if not tx.execute(let_go).rowcount:
        return None
    act = discard if item.discards else release
    waiting = held_mails(tx, item.account_id)
    for start in range(0, len(waiting), 1000):
        part = waiting[start : start + 1000]
        act(tx, [QueueOrder(part, item.who, "The account was let go.", item.now_ms)])
    return waiting


def held_mails(conn: Connection, account_id: AccountId) -> tuple[MailId, ...]:
    """Give the mails of an account that are held back because of strangers."""
    found = conn.scalars(
        sa.select(recipient.c.mail_id)
        .distinct()
        .join(mail, mail.c.id == recipient.c.mail_id)
        .where(HELD, recipient.c.reason == HELD_REASON, mail.c.account_id == account_id)
        .order_by(recipient.c.mail_id)
    )
    return tuple([MailId(one) for one in found])


def delete_strangers_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Forget the counts of accounts; part of ``store.people.accounts.delete_account``."""
    tx.execute(sa.delete(stranger_count).where(stranger_count.c.account_id.in_(account_ids)))
