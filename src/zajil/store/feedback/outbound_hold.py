"""Counts of the new recipients elsewhere that an account writes to, and accounts that are held.

New recipients ("strangers" in the table) are those the account never wrote to. They are counted in
the commit that accepts the mail, so that all workers and nodes agree; the rule that the caller
passes decides what is too many (``accept.outbound_hold``). An account stays held, through
restarts, until an operator releases it (``release_account``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailId
from zajil.core.service import RecipientState
from zajil.core.value_class import value_class
from zajil.store.engine.rows import execute_text
from zajil.store.feedback.reputation import load_written, note_written
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.queue.queue_admin import HELD, QueueOrder, discard, release
from zajil.store.schema import mail, recipient, stranger_count
from zajil.tracking.events import AccountHeld

HELD_REASON = "The account suddenly wrote to many strangers: an operator looks at it first."
"""Why the queue does not send a copy; the rows of such copies are known by it."""


@value_class(frozen=True, slots=True, kw_only=True)
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


@value_class(frozen=True, slots=True)
class OutboundHold:
    """What is looked at when an account sends a mail."""

    account_id: AccountId
    keys: tuple[str, ...]
    """``address:`` keys of its recipients elsewhere (``check.sender.correspondent``)."""
    decide: Callable[[StrangerCounts, int, int], StrangerCounts]
    """The rule (``accept.outbound_hold``): from the counts so far, the number of new recipients and
    the time, the counts to keep; with ``held_ms`` set, the account is held from now on."""
    renew_ms: int
    """Age at which the memory of a recipient is renewed."""


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
    if strangers:
        after = guard.decide(before, len(strangers), now_ms)
        _save(tx, guard.account_id, after)
        if after.held_ms is not None:
            # The mail does not reach its recipients yet: they stay strangers.
            return _hold(intake, after), True
    fading = [key for key, at_ms in known.items() if at_ms < now_ms - guard.renew_ms]
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
    """Return what is known of an account."""
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
    """Return the accounts that are held and nobody was told of it."""
    held = stranger_count.c.held_ms.is_not(None) & stranger_count.c.told_ms.is_(None)
    return [
        AccountId(one) for one in conn.scalars(sa.select(stranger_count.c.account_id).where(held))
    ]


@value_class(frozen=True, slots=True)
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
        StoreFull, NoSuchMailbox: as ``intake.write_intakes``; nothing of this batch will be
        committed.
    """
    told: list[bool] = []
    for item in items:
        untold = sa.update(stranger_count).where(
            stranger_count.c.account_id == item.account_id,
            stranger_count.c.held_ms.is_not(None),
            stranger_count.c.told_ms.is_(None),
        )
        told.append(tx.execute(untold.values(told_ms=item.at_ms)).rowcount > 0)
    write_intakes(
        tx, [one for item, new in zip(items, told, strict=True) if new for one in item.mails]
    )
    return told


@value_class(frozen=True, slots=True)
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
    return [_release(tx, item) for item in items]


def _release(tx: Connection, item: ReleaseAccount) -> tuple[MailId, ...] | None:
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
    """Return the mails of an account that are held back because of strangers."""
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
