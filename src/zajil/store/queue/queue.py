"""The queue: recipients that wait, as rows of the table that is also their history (decision 0001).

Laws:
- Who works on a row holds a lease with a token on it; ``settlement.settle`` demands the token, so
  whoever lost the lease can write nothing.
- A claimed row is due again when its lease ends: the clock of the queue is ``next_try_ms`` alone.
- What cannot be read is set aside (held), and stands in nobody's way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address, BadAddress, parse_address
from zajil.core.ids import AccountId, BlobId, MailId
from zajil.core.mail_options import (
    PLAIN_MAIL,
    PLAIN_RECIPIENT,
    MailOptions,
    Notify,
    RecipientOptions,
)
from zajil.core.service import RecipientState
from zajil.core.value_class import value_class
from zajil.store.engine.batch import QUEUE, touch
from zajil.store.engine.rows import execute_text, mark_of, marks_of, portions
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.schema import recipient
from zajil.tracking.events import FaultHappened

# ---- claim --------------------------------------------------------------------------------------


@value_class(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LeasedRecipient:
    """One recipient that is now ours to try; equal only to itself, so it may be a key."""

    mail_id: MailId
    position: int
    recipient: Address
    next_hop: str
    """ASCII domain or address literal; ``""``: a mailbox of ours, where it had to wait."""
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
    mail_options: MailOptions = PLAIN_MAIL
    options: RecipientOptions = PLAIN_RECIPIENT
    addressed_as: Address | None = None
    """What the sender named, where that is an alias; ``None``: it is ``recipient``."""
    warned: bool = False
    """The sender was told of the delay."""
    owner_id: AccountId | None = None
    """Whose mailbox it goes into, where there is no next hop."""
    mailbox: str | None = None
    """Name of the mailbox that was chosen when the mail came."""

    @property
    def told_as(self) -> Address:
        """The recipient as the sender knows it."""
        return self.addressed_as or self.recipient


def claim(tx: Connection, items: Sequence[Claim]) -> list[list[LeasedRecipient]]:
    """Lease recipients that are due, those of one mail together, the longest due first.

    Unit of work: two claimers never get the same row; on PostgreSQL rows that another transaction
    holds are passed over. Not idempotent.
    """
    return [_claim(tx, item) for item in items]


def _claim(tx: Connection, item: Claim) -> list[LeasedRecipient]:
    lease = (item.owner, item.token, item.until_ms, item.until_ms)
    hops = sorted(item.not_for)
    rows = [
        _Row._make(row)
        for row in execute_text(tx, _claim_text(tx, hops), (item.now_ms, *hops, item.limit, *lease))
    ]
    mails: dict[str, _Mail] = {}
    for some in portions(sorted({row.mail_id for row in rows})):
        found = execute_text(tx, f"{_MAILS} WHERE id IN {marks_of(tx, some)}", some)
        mails.update((row[0], _Mail._make(row)) for row in found)
    claimed = []
    for row in sorted(rows, key=lambda row: (row.mail_id, row.position)):
        try:
            claimed.append(_claimed(row, mails[row.mail_id], item.token))
        except (BadAddress, ValueError) as error:
            _set_aside(tx, row, item.now_ms, str(error))
    return claimed


def _claimed(row: _Row, of: _Mail, token: str) -> LeasedRecipient:
    """Raise BadAddress or ValueError for what another version, or a hand, wrote into the row."""
    return LeasedRecipient(
        mail_id=row.mail_id,
        position=row.position,
        recipient=parse_address(row.address),
        next_hop=row.next_hop or "",
        reason=row.reason,
        tries=row.tries,
        expires_ms=row.expires_ms,
        token=token,
        at_ms=row.at_ms,
        account_id=of.account_id,
        reverse_path=None if of.reverse_path is None else parse_address(of.reverse_path),
        header_from=of.header_from,
        message_id=of.message_id,
        blob_id=of.blob_id,
        size=of.size,
        needs_smtputf8=bool(of.needs_smtputf8),
        mail_options=_mail_options(of),
        options=_recipient_options(row),
        addressed_as=None if row.addressed_as is None else parse_address(row.addressed_as),
        warned=row.warned_ms is not None,
        owner_id=row.account_id,
        mailbox=row.mailbox,
    )


def _mail_options(of: _Mail) -> MailOptions:
    if of.dsn_return is None and of.envelope_id is None and of.require_tls is None:
        return PLAIN_MAIL
    return MailOptions(of.dsn_return, of.envelope_id or "", bool(of.require_tls))


def _recipient_options(row: _Row) -> RecipientOptions:
    if row.notify is None and row.original_recipient is None:
        return PLAIN_RECIPIENT
    notify = None if row.notify is None else Notify(row.notify)
    return RecipientOptions(notify, row.original_recipient or "")


def _set_aside(tx: Connection, row: _Row, now_ms: int, why: str) -> None:
    """Hold a row that cannot be read: an operator must look, and the queue goes on."""
    reason = f"on hold: the stored data of this recipient cannot be read ({why})"
    tx.execute(
        sa.update(recipient)
        .where(recipient.c.mail_id == row.mail_id, recipient.c.position == row.position)
        .values(
            state=RecipientState.HELD,
            reason=reason,
            lease_owner=None,
            lease_token=None,
            lease_until_ms=None,
        )
    )
    fault = FaultHappened(now_ms, reason, "")
    record_events(tx, [EventBatch(None, row.mail_id, now_ms, (fault,))])


class _Row(NamedTuple):
    """What a claim reads of a recipient."""

    mail_id: MailId
    position: int
    address: str
    next_hop: str | None
    reason: str
    tries: int
    expires_ms: int
    at_ms: int
    account_id: AccountId | None
    mailbox: str | None
    notify: int | None
    original_recipient: str | None
    addressed_as: str | None
    warned_ms: int | None


class _Mail(NamedTuple):
    """What a claim reads of a mail."""

    id: MailId
    account_id: AccountId | None
    reverse_path: str | None
    header_from: str
    message_id: str
    blob_id: BlobId
    size: int
    needs_smtputf8: bool
    dsn_return: Literal["FULL", "HDRS"] | None
    envelope_id: str | None
    require_tls: bool | None


_RETURNED = ", ".join([f"recipient.{name}" for name in _Row._fields])
_MAILS = f"SELECT {', '.join(_Mail._fields)} FROM mail"  # noqa: S608 - constants


def _claim_text(tx: Connection, hops: Sequence[str]) -> str:
    """Return the statement of a claim; it leaves out what goes to these next hops."""
    mark, others = mark_of(tx), ""
    if hops:
        # What goes into a mailbox of ours has no next hop, and is left out by its name "".
        others = f" AND COALESCE(next_hop, '') NOT IN {marks_of(tx, hops)}"
    lock = " FOR UPDATE SKIP LOCKED" if tx.dialect.name == "postgresql" else ""
    return (
        "WITH due AS (SELECT mail_id, position FROM recipient"  # noqa: S608 - constants
        # A literal: the partial index is used only if the planner sees the word.
        f" WHERE state = 'waiting' AND next_try_ms <= {mark}{others}"
        f" ORDER BY next_try_ms, mail_id, position LIMIT {mark}{lock})"
        f" UPDATE recipient SET lease_owner = {mark}, lease_token = {mark},"
        f" lease_until_ms = {mark}, next_try_ms = {mark} FROM due"
        " WHERE recipient.mail_id = due.mail_id AND recipient.position = due.position"
        f" RETURNING {_RETURNED}"
    )


def read_small(
    conn: Connection, claimed: Iterable[LeasedRecipient], limit: int
) -> dict[BlobId, BlobReader]:
    """Read the messages of up to ``limit`` bytes, with one statement for many.

    Messages in files are left out. The readers hold their bytes and need not be closed.
    """
    small = [one.blob_id for one in claimed if one.next_hop and one.size <= limit]
    found: dict[BlobId, BlobReader] = {}
    for some in portions(dict.fromkeys(small)):
        text = f"SELECT id, content FROM blob WHERE id IN {marks_of(conn, some)}"  # noqa: S608
        for blob_id, content in execute_text(conn, f"{text} AND content IS NOT NULL", some):
            found[blob_id] = BlobReader(len(content), bytes(content), None)
    return found


# ---- leases -------------------------------------------------------------------------------------


@value_class(frozen=True, slots=True)
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


@value_class(frozen=True, slots=True)
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


# ---- copies of ours ------------------------------------------------------------------------------


def copy_holders(conn: Connection, mail_id: MailId) -> dict[AccountId, int]:
    """Return the recipient of each account of ours by which it gets the one copy of a mail.

    The first of those that lead to it, whatever became of it; the others are rows alone.
    """
    return {
        AccountId(row.account_id): row.position
        for row in conn.execute(_HOLDERS, {"mail_id_": mail_id})
    }


_HOLDERS = (
    sa.select(recipient.c.account_id, sa.func.min(recipient.c.position).label("position"))
    .where(recipient.c.mail_id == sa.bindparam("mail_id_"), recipient.c.account_id.is_not(None))
    .group_by(recipient.c.account_id)
)


# ---- look ---------------------------------------------------------------------------------------


def next_due_ms(conn: Connection) -> int | None:
    """Return when the next recipient is due; ``None``: nobody waits."""
    due: int | None = conn.scalar(_NEXT_DUE)
    return due


_NEXT_DUE = (
    sa.select(recipient.c.next_try_ms)
    .where(recipient.c.state == sa.literal_column("'waiting'"))
    .order_by(recipient.c.next_try_ms)
    .limit(1)
)
