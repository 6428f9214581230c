"""What users say of their mail, from the change that says it until it is learned.

Laws:
- What a user said is noted in the commit of the move itself; learning comes later, in the
  background, and a mail that is gone by then teaches nothing.
- Who learns has a lease; what is said meanwhile counts all the same.
- What is undone before it was learned is not learned at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.feedback import FeedbackKind, kind_taken_back
from zajil.core.ids import AccountId, BlobId, MailId
from zajil.core.value_class import value_class
from zajil.store.engine.rows import AT_ONCE, execute_text, values
from zajil.store.schema import training

MAX_SAID = 500
"""Messages of one move that are learned from: a folder of a million is not a million lessons."""
_CLAIMED = 20
"""Messages that are learned in one commit."""


class Feedback(NamedTuple):
    """A user said something of a message."""

    account_id: AccountId
    blob_id: BlobId
    mail_id: MailId | None
    kind: FeedbackKind


@value_class(frozen=True, slots=True)
class TrainingClaim:
    """What ``claim_training`` takes."""

    now_ms: int
    lease_until_ms: int


def record_feedback(tx: Connection, said: Iterable[Feedback]) -> None:
    """Put into the queue what was said; call it inside the unit that moves the messages."""
    # One row for one message: the last word counts, also over one that is being learned.
    rows = {(one.account_id, one.blob_id): one for one in said}
    for key in _forget_waiting(tx, list(rows.values())):
        del rows[key]
    if not rows:
        return
    chosen = [(*rows[key], 0) for key in sorted(rows)[:MAX_SAID]]
    marks, parameters = values(tx, chosen)
    execute_text(
        tx,
        f"INSERT INTO training (account_id, blob_id, mail_id, kind, lease_until_ms) {marks}"
        " ON CONFLICT (account_id, blob_id)"
        " DO UPDATE SET kind = excluded.kind, lease_until_ms = 0",
        parameters,
    )


def _forget_waiting(tx: Connection, said: Iterable[Feedback]) -> list[tuple[AccountId, BlobId]]:
    """Delete from the queue what is taken back and nobody has begun to learn; return its keys."""
    undone = [
        (one.account_id, one.blob_id, before.value, 0)
        for one in said
        if (before := kind_taken_back(one.kind)) is not None
    ][:MAX_SAID]
    if not undone:
        return []
    marks, parameters = values(tx, undone)
    rows = execute_text(
        tx,
        "DELETE FROM training WHERE (account_id, blob_id, kind, lease_until_ms)"  # noqa: S608
        f" IN ({marks}) RETURNING account_id, blob_id",
        parameters,
    )
    return [(AccountId(account_id), BlobId(blob_id)) for account_id, blob_id in rows]


def claim_training(tx: Connection, items: Sequence[TrainingClaim]) -> list[tuple[Feedback, ...]]:
    """Take some of what waits; nobody else gets it until the lease has ended.

    Unit of work: not idempotent; locks rows of the queue.
    """
    taken = []
    for item in items:
        due = sa.select(training).where(training.c.lease_until_ms <= item.now_ms)
        rows = tx.execute(due.limit(_CLAIMED).with_for_update(skip_locked=True)).all()
        _lease(tx, [(row.account_id, row.blob_id) for row in rows], item.lease_until_ms)
        taken.append(
            tuple(
                [
                    Feedback(row.account_id, row.blob_id, row.mail_id, FeedbackKind(row.kind))
                    for row in rows
                ]
            )
        )
    return taken


def forget_claimed(
    tx: Connection, claimed: Sequence[tuple[AccountId, BlobId, FeedbackKind, int]]
) -> None:
    """Delete what was learned from the queue, unless something else was said meanwhile.

    Args:
        tx: the transaction that learns.
        claimed: what it was, with the end of the lease.
    """
    for start in range(0, len(claimed), AT_ONCE):
        marks, parameters = values(tx, claimed[start : start + AT_ONCE])
        execute_text(
            tx,
            "DELETE FROM training WHERE (account_id, blob_id, kind, lease_until_ms)"  # noqa: S608
            f" IN ({marks})",
            parameters,
        )


def _lease(tx: Connection, keys: Sequence[tuple[int, str]], until_ms: int) -> None:
    if keys:
        marks, parameters = values(tx, [(*key, until_ms) for key in keys])
        execute_text(
            tx,
            "UPDATE training SET lease_until_ms = due.column3"  # noqa: S608
            f" FROM ({marks}) AS due"
            " WHERE training.account_id = due.column1 AND training.blob_id = due.column2",
            parameters,
        )
