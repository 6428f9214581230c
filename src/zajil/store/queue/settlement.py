"""What came of recipients that were claimed: rows, events, DSN, mailbox, in one commit.

Laws:
- The token of the lease is demanded: whoever lost it writes nothing (``store.queue.queue``).
- A row that stops waiting is settled in the commit that holds its events, its copy in a mailbox,
  and its DSN if there is one: none can be lost or doubled.
- The bytes of a mail are kept as long as one of its recipients waits or is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import InternalError
from zajil.core.ids import MailId
from zajil.core.service import QUEUED, RecipientState
from zajil.core.value_class import value_class
from zajil.store.engine.batch import PROGRESS, QUEUE, require_space, touch
from zajil.store.engine.rows import execute_text, marks_of, portions, values
from zajil.store.mail.append import Append, append_messages
from zajil.store.mail.blob_rows import release_blobs
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.schema import mail
from zajil.tracking.events import TrackingEvent


class LeaseLost(InternalError):
    """A recipient was taken from us meanwhile; nothing of the settlement was written."""


@value_class(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What came of one recipient."""

    position: int
    state: RecipientState
    """``waiting``: tried again at ``next_try_ms``; what was held meanwhile stays held."""
    reason: str
    """A sentence for a person, or the peer's reply."""
    next_try_ms: int | None = None
    tries: int = 1
    """Added to the failures so far; 0: it was not tried."""
    mailbox: str | None = None
    """Name of the mailbox that ``copy`` is for; ``None``: it is none of ours."""
    copy: Append | None = None
    """A copy of ours that had to wait, and is put into its mailbox now."""
    warned_ms: int | None = None
    """The sender is told of the delay by the DSN of this settlement."""


@value_class(frozen=True, slots=True)
class Settlement:
    """What came of some recipients of one mail, under one lease."""

    mail_id: MailId
    token: str
    at_ms: int
    rows: tuple[RowResult, ...]
    events: tuple[TrackingEvent, ...]
    dsn: Intake | None = None
    """Reports on these rows: it is written if all of them are, or nothing is."""


def settle(tx: Connection, items: Sequence[Settlement]) -> list[tuple[int, ...]]:
    """Write results, events and DSNs, and let go of bodies that nobody waits for.

    Unit of work: not idempotent; locks the mails in the order of their ids; touches the topic
    of progress, and the queue's where a row goes on waiting.

    Returns:
        For each item the positions that were no longer ours. They are left alone; the events of
        the item are kept, for they tell what happened.

    Raises:
        LeaseLost: a row that a DSN reports on was no longer ours. Nothing of this batch will be
            committed.
        NoSuchMailbox: a mailbox went meanwhile. Nothing of this batch will be committed.
        StoreFull: there is no room for a copy. Nothing of this batch will be committed.
    """
    mail_ids = sorted({item.mail_id for item in items})
    if tx.dialect.name == "postgresql":
        # Of two transactions that settle the last recipients of a mail, one must see the other's.
        tx.execute(_LOCK_MAILS, {"mail_ids_": mail_ids})
    settled = _write_results(tx, items)
    lost = [
        tuple(row.position for row in item.rows if (item.mail_id, row.position) not in settled)
        for item in items
    ]
    for item, positions in zip(items, lost, strict=True):
        if item.dsn is not None and positions:
            raise LeaseLost(item.mail_id)
    _append_copies(tx, items, settled)
    dsns = [item.dsn for item in items if item.dsn is not None]
    if dsns:
        write_intakes(tx, dsns)
    # A mail whose recipients go on waiting keeps its body.
    ended = {item.mail_id for item in items if any(map(_has_ended, item.rows))}
    if ended:
        release_bodies(tx, sorted(ended))
    record_events(tx, [EventBatch(None, item.mail_id, item.at_ms, item.events) for item in items])
    if any(row.state is RecipientState.WAITING for item in items for row in item.rows):
        touch(tx, QUEUE)
    touch(tx, PROGRESS)
    return lost


def settle_together(
    tx: Connection, items: Sequence[Sequence[Settlement]]
) -> list[list[tuple[int, ...]]]:
    """Settle what was gathered, as ``settle`` does; gives the lost positions of each settlement.

    Unit of work: as ``settle``. If it refuses one of them, none of its group is written.
    """
    lost = iter(settle(tx, [one for group in items for one in group]))
    return [[next(lost) for _ in group] for group in items]


def _has_ended(row: RowResult) -> bool:
    return row.state is not RecipientState.WAITING


_GIVEN_UP = "result.column4 = 'waiting' AND recipient.expires_ms <= result.column10"


def _write_results(tx: Connection, items: Sequence[Settlement]) -> set[tuple[MailId, int]]:
    # A parameter that is NULL in every row has no type in PostgreSQL: 0 stands for it.
    rows = [
        (
            item.mail_id,
            row.position,
            item.token,
            row.state.value,
            row.reason.replace("\0", ""),
            row.tries,
            row.next_try_ms or 0,
            row.mailbox or "",
            row.warned_ms or 0,
            item.at_ms,
        )
        for item in items
        for row in item.rows
    ]
    if not rows:
        return set()
    results, parameters = values(tx, rows)
    # One statement for all; the names are constants.
    settled = execute_text(
        tx,
        "UPDATE recipient SET"  # noqa: S608
        " state = CASE WHEN recipient.state = 'held' AND result.column4 = 'waiting'"
        " THEN 'held' ELSE result.column4 END,"
        # An operator may have given it up meanwhile: then it is due for that, and says so.
        f" reason = CASE WHEN {_GIVEN_UP} THEN recipient.reason ELSE result.column5 END,"
        " tries = recipient.tries + result.column6,"
        f" next_try_ms = CASE WHEN {_GIVEN_UP} THEN recipient.expires_ms"
        " ELSE NULLIF(result.column7, 0) END,"
        " mailbox = COALESCE(NULLIF(result.column8, ''), recipient.mailbox),"
        " warned_ms = COALESCE(NULLIF(result.column9, 0), recipient.warned_ms),"
        " lease_owner = NULL, lease_token = NULL, lease_until_ms = NULL"
        f" FROM ({results}) AS result"
        " WHERE recipient.mail_id = result.column1 AND recipient.position = result.column2"
        " AND recipient.lease_token = result.column3"
        " RETURNING recipient.mail_id, recipient.position",
        parameters,
    )
    return {(MailId(mail_id), position) for mail_id, position in settled}


def _append_copies(
    tx: Connection, items: Sequence[Settlement], settled: set[tuple[MailId, int]]
) -> None:
    """File what had to wait; the blob is held by the mail, which is locked."""
    copies = [
        row.copy
        for item in items
        for row in item.rows
        if row.copy is not None and (item.mail_id, row.position) in settled
    ]
    if copies:
        require_space(tx)
        append_messages(tx, copies)


def release_bodies(tx: Connection, mail_ids: Sequence[MailId]) -> None:
    """Let go of the bytes of mails that nobody waits for any more; part of a unit of work."""
    for some in portions(mail_ids):
        done = execute_text(tx, _NOBODY_WAITS.format(marks_of(tx, some)), some)
        if done:
            ids = [mail_id for mail_id, _ in done]
            execute_text(tx, _FORGET_BODY.format(marks_of(tx, ids)), ids)
            release_blobs(tx, [blob_id for _, blob_id in done])


_IDS: sa.BindParameter[Any] = sa.bindparam("mail_ids_", expanding=True)
_LOCK_MAILS = sa.select(mail.c.id).where(mail.c.id.in_(_IDS)).order_by(mail.c.id).with_for_update()
_QUEUED = ", ".join([f"'{state}'" for state in QUEUED])
_NOBODY_WAITS = (
    "SELECT id, blob_id FROM mail WHERE id IN {} AND blob_id IS NOT NULL"  # noqa: S608 - constants
    f" AND NOT EXISTS (SELECT 1 FROM recipient WHERE mail_id = mail.id AND state IN ({_QUEUED}))"
)
_FORGET_BODY = "UPDATE mail SET blob_id = NULL WHERE id IN {}"
