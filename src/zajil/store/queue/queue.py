"""The queue: recipients that wait, as rows of the table that is also their history (decision 0001).

Laws:
- Who works on a row holds a lease with a token on it; ``settlement.settle`` demands the token, so
  whoever lost the lease can write nothing.
- A claimed row is due again when its lease ends: the clock of the queue is ``next_try_ms`` alone.
- What cannot be read is set aside (held), and stands in nobody's way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
from zajil.store.engine.batch import QUEUE, touch
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.schema import mail, recipient
from zajil.tracking.events import FaultHappened

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
        try:
            claimed.append(_claimed(row, mails[row.mail_id], item.token))
        except (BadAddress, ValueError) as error:
            _set_aside(tx, row, item.now_ms, str(error))
    return claimed


def _claimed(row: Any, of: Any, token: str) -> LeasedRecipient:
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


def _mail_options(of: Any) -> MailOptions:
    if of.dsn_return is None and of.envelope_id is None and of.require_tls is None:
        return PLAIN_MAIL
    return MailOptions(of.dsn_return, of.envelope_id or "", bool(of.require_tls))


def _recipient_options(row: Any) -> RecipientOptions:
    if row.notify is None and row.original_recipient is None:
        return PLAIN_RECIPIENT
    notify = None if row.notify is None else Notify(row.notify)
    return RecipientOptions(notify, row.original_recipient or "")


def _set_aside(tx: Connection, row: Any, now_ms: int, why: str) -> None:
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
        # What goes into a mailbox of ours has no next hop, and is left out by its name "".
        hop = sa.func.coalesce(recipient.c.next_hop, "")
        due = due.where(hop.not_in(sa.bindparam("not_for_", expanding=True)))
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
            recipient.c.account_id,
            recipient.c.mailbox,
            recipient.c.notify,
            recipient.c.original_recipient,
            recipient.c.addressed_as,
            recipient.c.warned_ms,
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
    mail.c.dsn_return,
    mail.c.envelope_id,
    mail.c.require_tls,
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
