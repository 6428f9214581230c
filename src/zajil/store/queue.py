"""The queue: recipients that wait, as rows of the table that is also their history (decision 0001).

Laws:
- Who works on a row holds a lease with a token on it; ``settle`` demands the token, so whoever lost
  the lease can write nothing.
- A claimed row is due again when its lease ends: the clock of the queue is ``next_try_ms`` alone.
- A row that stops waiting is settled in the commit that holds its events, and its DSN if there is
  one: neither can be lost or doubled.
- The bytes of a mail are kept as long as one of its recipients waits or is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address, parse_address
from zajil.core.ids import AccountId, BlobId, MailId
from zajil.store.batch import QUEUE, touch
from zajil.store.blobs import release_blobs
from zajil.store.intake import Intake, accept
from zajil.store.rows import values
from zajil.store.schema import mail, recipient
from zajil.store.tracking import EventBatch, record_events
from zajil.tracking.events import TrackingEvent


class LeaseLost(Exception):
    """A recipient was taken from us meanwhile; nothing of the settlement was written."""


# ---- claim --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker asks for."""

    owner: str
    """The worker; ``free_leases`` takes its leases away when it is dead."""
    token: str
    """Random, of this claim alone."""
    now_ms: int
    until_ms: int
    """When the lease ends."""
    limit: int
    """At most so many recipients."""
    not_for: frozenset[str] = frozenset()
    """Next hops of which the worker has enough."""


@dataclass(frozen=True, slots=True, eq=False)
class Claimed:
    """One recipient that is now ours to try; equal only to itself, so it may be a key."""

    mail_id: MailId
    position: int
    recipient: Address
    next_hop: str
    reason: str
    """Of its last failure; ``""`` before the first try."""
    tries: int
    """Failures so far."""
    expires_ms: int
    token: str
    at_ms: int
    """When the mail was accepted."""
    account_id: AccountId | None
    """Who submitted the mail."""
    reverse_path: Address | None
    header_from: str
    message_id: str
    blob_id: BlobId
    size: int
    needs_smtputf8: bool


def claim(tx: Connection, items: Sequence[Claim]) -> list[list[Claimed]]:
    """Lease recipients that are due, those of one mail together, the longest due first.

    Unit of work: two claimers never get the same row; on PostgreSQL rows that another transaction
    holds are passed over. Not idempotent.
    """
    return [_claim(tx, item) for item in items]


def _claim(tx: Connection, item: Claim) -> list[Claimed]:
    parameters = {
        "owner_": item.owner,
        "token_": item.token,
        "until_ms_": item.until_ms,
        "now_ms_": item.now_ms,
        "limit_": item.limit,
    }
    if item.not_for:
        parameters["not_for_"] = sorted(item.not_for)
    rows = tx.execute(_CLAIM_OTHERS if item.not_for else _CLAIM, parameters).all()
    if not rows:
        return []
    mails = {
        row.id: row
        for row in tx.execute(_MAILS, {"mail_ids_": sorted({row.mail_id for row in rows})})
    }
    claimed = []
    for row in sorted(rows, key=lambda row: (row.mail_id, row.position)):
        of = mails[row.mail_id]
        claimed.append(
            Claimed(
                mail_id=row.mail_id,
                position=row.position,
                recipient=parse_address(row.address),
                next_hop=row.next_hop,
                reason=row.reason,
                tries=row.tries,
                expires_ms=row.expires_ms,
                token=item.token,
                at_ms=row.at_ms,
                account_id=of.account_id,
                reverse_path=None if of.reverse_path is None else parse_address(of.reverse_path),
                header_from=of.header_from,
                message_id=of.message_id,
                blob_id=of.blob_id,
                size=of.size,
                needs_smtputf8=bool(of.needs_smtputf8),
            )
        )
    return claimed


def _claim_statement(*, not_for: bool) -> sa.UpdateBase:
    due = (
        sa.select(recipient.c.mail_id, recipient.c.position)
        .where(
            # Literal: the partial index is used only if the planner sees the word.
            recipient.c.state == sa.literal_column("'waiting'"),
            recipient.c.next_try_ms <= sa.bindparam("now_ms_"),
        )
        .order_by(recipient.c.next_try_ms, recipient.c.mail_id, recipient.c.position)
        .limit(sa.bindparam("limit_", type_=sa.Integer))
        .with_for_update(skip_locked=True)
    )
    if not_for:
        due = due.where(recipient.c.next_hop.not_in(sa.bindparam("not_for_", expanding=True)))
    found = due.cte("due")
    return (
        sa.update(recipient)
        .where(recipient.c.mail_id == found.c.mail_id, recipient.c.position == found.c.position)
        .values(
            lease_owner=sa.bindparam("owner_"),
            lease_token=sa.bindparam("token_"),
            lease_until_ms=sa.bindparam("until_ms_"),
            next_try_ms=sa.bindparam("until_ms_"),
        )
        .returning(
            recipient.c.mail_id,
            recipient.c.position,
            recipient.c.address,
            recipient.c.next_hop,
            recipient.c.reason,
            recipient.c.tries,
            recipient.c.expires_ms,
            recipient.c.at_ms,
        )
    )


_CLAIM = _claim_statement(not_for=False)
_CLAIM_OTHERS = _claim_statement(not_for=True)
_MAILS = sa.select(
    mail.c.id,
    mail.c.account_id,
    mail.c.reverse_path,
    mail.c.header_from,
    mail.c.message_id,
    mail.c.blob_id,
    mail.c.size,
    mail.c.needs_smtputf8,
).where(mail.c.id.in_(sa.bindparam("mail_ids_", expanding=True)))


# ---- leases -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Renewal:
    """A worker is alive and still at work on what it claimed."""

    owner: str
    until_ms: int


def renew(tx: Connection, items: Sequence[Renewal]) -> list[int]:
    """Lengthen all leases of each worker; gives how many there were.

    Unit of work: idempotent.
    """
    counts = []
    for item in items:
        leases = sa.update(recipient).where(
            recipient.c.state == sa.literal_column("'waiting'"),
            recipient.c.lease_owner == item.owner,
        )
        renewed = leases.values(lease_until_ms=item.until_ms, next_try_ms=item.until_ms)
        counts.append(tx.execute(renewed).rowcount)
    return counts


@dataclass(frozen=True, slots=True)
class FreeLeases:
    """Workers that are dead."""

    owner: str
    """Start of their names: of one worker, or of all workers of a node."""
    now_ms: int


def free_leases(tx: Connection, items: Sequence[FreeLeases]) -> list[int]:
    """Make what dead workers had claimed due at once; gives how many recipients it was.

    Unit of work: idempotent; touches the queue's topic.
    """
    counts = []
    for item in items:
        freed = tx.execute(
            sa.update(recipient)
            .where(
                recipient.c.state == sa.literal_column("'waiting'"),
                recipient.c.lease_owner.startswith(item.owner, autoescape=True),
            )
            .values(
                lease_owner=None, lease_token=None, lease_until_ms=None, next_try_ms=item.now_ms
            )
        )
        counts.append(freed.rowcount)
    if any(counts):
        touch(tx, QUEUE)
    return counts


# ---- settle -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowResult:
    """What came of one recipient."""

    position: int
    state: Literal["delivered", "waiting", "bounced", "expired", "discarded"]
    """``waiting``: tried again at ``next_try_ms``; what was held meanwhile stays held."""
    reason: str
    """A sentence for a person, or the peer's reply."""
    next_try_ms: int | None = None
    tries: int = 1
    """Added to the failures so far; 0: it was not tried."""


@dataclass(frozen=True, slots=True)
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

    Unit of work: not idempotent; locks the mails in the order of their ids; touches the queue's
    topic where a row goes on waiting.

    Returns:
        For each item the positions that were no longer ours. They are left alone; the events of
        the item are kept, for they tell what happened.

    Raises:
        LeaseLost: a row that a DSN reports on was no longer ours. Nothing of this batch will be
            committed.
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
    dsns = [item.dsn for item in items if item.dsn is not None]
    if dsns:
        accept(tx, dsns)
    _release_bodies(tx, mail_ids)
    record_events(tx, [EventBatch(None, item.mail_id, item.at_ms, item.events) for item in items])
    if any(row.state == "waiting" for item in items for row in item.rows):
        touch(tx, QUEUE)
    return lost


def _write_results(tx: Connection, items: Sequence[Settlement]) -> set[tuple[MailId, int]]:
    # A parameter that is NULL in every row has no type in PostgreSQL: 0 stands for it.
    rows = [
        (
            item.mail_id,
            row.position,
            item.token,
            row.state,
            row.reason.replace("\0", ""),
            row.tries,
            row.next_try_ms or 0,
        )
        for item in items
        for row in item.rows
    ]
    if not rows:
        return set()
    results, parameters = values(tx, rows)
    # One statement for all; the names are constants.
    settled = tx.exec_driver_sql(
        "UPDATE recipient SET"  # noqa: S608
        " state = CASE WHEN recipient.state = 'held' AND result.column4 = 'waiting'"
        " THEN 'held' ELSE result.column4 END,"
        " reason = result.column5, tries = recipient.tries + result.column6,"
        " next_try_ms = NULLIF(result.column7, 0),"
        " lease_owner = NULL, lease_token = NULL, lease_until_ms = NULL"
        f" FROM ({results}) AS result"
        " WHERE recipient.mail_id = result.column1 AND recipient.position = result.column2"
        " AND recipient.lease_token = result.column3"
        " RETURNING recipient.mail_id, recipient.position",
        parameters,
    )
    return {(MailId(mail_id), position) for mail_id, position in settled}


def _release_bodies(tx: Connection, mail_ids: Sequence[MailId]) -> None:
    done = tx.execute(_NOBODY_WAITS, {"mail_ids_": mail_ids}).all()
    if done:
        tx.execute(_FORGET_BODY, {"mail_ids_": [row.id for row in done]})
        release_blobs(tx, [row.blob_id for row in done])


_IDS: sa.BindParameter[Any] = sa.bindparam("mail_ids_", expanding=True)
_LOCK_MAILS = sa.select(mail.c.id).where(mail.c.id.in_(_IDS)).order_by(mail.c.id).with_for_update()
_NOBODY_WAITS = sa.select(mail.c.id, mail.c.blob_id).where(
    mail.c.id.in_(_IDS),
    mail.c.blob_id.is_not(None),
    ~sa.exists().where(
        recipient.c.mail_id == mail.c.id, recipient.c.state.in_(("waiting", "held"))
    ),
)
_FORGET_BODY = sa.update(mail).where(mail.c.id.in_(_IDS)).values(blob_id=None)


# ---- look ---------------------------------------------------------------------------------------


def next_due_ms(conn: Connection) -> int | None:
    """Say when the next recipient is due; ``None``: nobody waits."""
    due: int | None = conn.scalar(_NEXT_DUE)
    return due


_NEXT_DUE = (
    sa.select(recipient.c.next_try_ms)
    .where(recipient.c.state == sa.literal_column("'waiting'"))
    .order_by(recipient.c.next_try_ms)
    .limit(1)
)
