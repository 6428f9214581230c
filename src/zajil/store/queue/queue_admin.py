"""What operators do to the queue, and what they see of it.

Each action is an event of the mail's journey, in the commit of its effect.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import MailId
from zajil.core.service import QUEUED, RecipientState
from zajil.core.value_class import value_class
from zajil.store.engine.batch import QUEUE, touch
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.queue.settlement import release_bodies
from zajil.store.schema import account, address, mail, recipient
from zajil.tracking.events import OperatorActed

WAITING = recipient.c.state == sa.literal_column("'waiting'")
HELD = recipient.c.state == sa.literal_column("'held'")
_QUEUED = recipient.c.state.in_(QUEUED)


@value_class(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """One recipient in the queue."""

    mail_id: MailId
    recipient: str
    """Wire form."""
    state: RecipientState
    """``WAITING`` or ``HELD``."""
    reason: str
    """Of the last failure, or why it is held."""
    tries: int
    next_try_ms: int
    expires_ms: int
    next_hop: str | None
    """``None``: it waits for its time to go into a mailbox of ours."""
    at_ms: int
    """When the mail was accepted."""
    sender: str | None
    """Reverse path; ``None``: the null path."""
    size: int
    lease_owner: str | None
    """The worker that tries it now."""
    mailbox: str | None
    """Where it goes, without a next hop."""
    require_tls: bool
    """Only over verified TLS (RFC 8689)."""
    warned_ms: int | None
    """When the sender was told of the delay."""


@value_class(frozen=True, slots=True, kw_only=True)
class QueueQuery:
    """Which rows are meant; ``None`` asks for nothing. All that is given must match."""

    mail_id: MailId | None = None
    next_hop: str | None = None
    limit: int = 1000
    """Rows listed; nothing else is bounded by it."""
    sender: str | None = None
    """``Address.key``; ``@domain`` in ASCII: everybody there; empty: the null path."""
    recipient: str | None = None
    """The same of a recipient, also of the alias that led to it; never empty."""
    state: RecipientState | None = None
    """``WAITING`` or ``HELD``."""
    before_ms: int | None = None
    """Accepted before this time."""
    reason: str | None = None
    """A piece of the reason, in any case."""
    domains: frozenset[str] | None = None
    """Submitted by accounts of these domains (ASCII) that are no server administrators."""


def list_rows(conn: Connection, query: QueueQuery) -> list[QueueRow]:
    """List the queue, the soonest due first, what is held at the end."""
    rows: list[QueueRow] = []
    for state in _states(query):
        search = _LIST.where(state, *_of_row(query), *_of_sender(query))
        if query.mail_id is not None:
            search = search.where(recipient.c.mail_id == query.mail_id)
        found = conn.execute(search.limit(query.limit - len(rows)))
        rows += [QueueRow(**{**row._mapping, "state": RecipientState(row.state)}) for row in found]
    return rows


def find_queued(conn: Connection, query: QueueQuery) -> list[MailId]:
    """Return the mails that have a matching row, the oldest first, however many there are."""
    found: set[str] = set()
    for state in _states(query):
        search = sa.select(recipient.c.mail_id).where(state, *_of_row(query))
        if query.sender is not None or query.domains is not None:
            search = search.join(mail, mail.c.id == recipient.c.mail_id).where(*_of_sender(query))
        found.update(conn.scalars(search))
    return [MailId(one) for one in sorted(found)]


def _states(query: QueueQuery) -> list[sa.ColumnElement[bool]]:
    return [
        condition
        for name, condition in ((RecipientState.WAITING, WAITING), (RecipientState.HELD, HELD))
        if query.state in (None, name)
    ]


def _of_row(query: QueueQuery) -> list[sa.ColumnElement[bool]]:
    """Return what is asked of the row of a recipient, but its state."""
    conditions: list[sa.ColumnElement[bool]] = []
    if query.next_hop is not None:
        conditions.append(recipient.c.next_hop == query.next_hop)
    if query.before_ms is not None:
        conditions.append(recipient.c.at_ms < query.before_ms)
    if query.reason is not None:
        reason = sa.func.lower(recipient.c.reason)
        conditions.append(reason.contains(query.reason.lower(), autoescape=True))
    if query.recipient is not None:
        alias = sa.func.lower(recipient.c.addressed_as)
        conditions.append(
            sa.or_(
                _matches(recipient.c.address_key, query.recipient),
                _matches(alias, query.recipient),
            )
        )
    return conditions


def _of_sender(query: QueueQuery) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if query.domains is not None:
        conditions.append(_submitted_in(query.domains))
    if query.sender is not None:
        is_null = not query.sender
        conditions.append(
            mail.c.reverse_path.is_(None) if is_null else _matches(mail.c.from_key, query.sender)
        )
    return conditions


def _submitted_in(domains: Collection[str]) -> sa.ColumnElement[bool]:
    # Security: the account counts, not the reverse path, which a mail from outside may claim.
    people = (
        sa.select(account.c.id)
        .join(address, address.c.account_id == account.c.id)
        .where(address.c.domain.in_(sorted(domains)), account.c.admin.is_(False))
    )
    return mail.c.account_id.in_(people)


def mails_submitted_in(
    conn: Connection, mail_ids: Collection[MailId], domains: Collection[str]
) -> set[MailId]:
    """Return those of some mails that ``QueueQuery.domains`` would find.

    Args:
        conn: a read of the store.
        mail_ids: a portion of them.
        domains: ASCII names.
    """
    asked = sa.select(mail.c.id).where(mail.c.id.in_(list(mail_ids)), _submitted_in(domains))
    return {MailId(one) for one in conn.scalars(asked)}


def _matches(column: sa.ColumnElement[Any], wanted: str) -> sa.ColumnElement[bool]:
    if wanted.startswith("@"):
        return column.endswith(wanted, autoescape=True)
    return column == wanted


_LIST = (
    sa.select(
        recipient.c.mail_id,
        recipient.c.address.label("recipient"),
        recipient.c.state,
        recipient.c.reason,
        recipient.c.tries,
        recipient.c.next_try_ms,
        recipient.c.expires_ms,
        recipient.c.next_hop,
        recipient.c.at_ms,
        mail.c.reverse_path.label("sender"),
        mail.c.size,
        recipient.c.lease_owner,
        recipient.c.mailbox,
        sa.func.coalesce(mail.c.require_tls, sa.false()).label("require_tls"),
        recipient.c.warned_ms,
    )
    .join(mail, mail.c.id == recipient.c.mail_id)
    .order_by(recipient.c.next_try_ms, recipient.c.mail_id, recipient.c.position)
)


@value_class(frozen=True, slots=True)
class QueueOrder:
    """What an operator wants done to some mails."""

    mail_ids: tuple[MailId, ...]
    who: str
    reason: str
    now_ms: int
    only: QueueQuery | None = None
    """Which of their recipients, by all but the sender; ``None``: all."""


def hold(tx: Connection, items: Sequence[QueueOrder]) -> list[tuple[MailId, ...]]:
    """Stop delivery until ``release``; gives the mails that had a waiting recipient.

    Unit of work: idempotent. An attempt that is under way ends: what it delivers is delivered.
    """
    return [
        _act(tx, item, "hold", WAITING, {"state": RecipientState.HELD, "reason": item.reason})
        for item in items
    ]


def release(tx: Connection, items: Sequence[QueueOrder]) -> list[tuple[MailId, ...]]:
    """Let held recipients wait again, due at once; gives the mails that had one.

    They get as long as they had at first: what was held for long must not expire at once. A
    future release keeps its time (RFC 4865): its writer asked for that; ``retry`` does not wait.

    Unit of work: idempotent; touches the queue's topic.
    """
    return [
        _act(
            tx,
            item,
            "release",
            HELD,
            {
                "state": RecipientState.WAITING,
                "next_try_ms": sa.case(
                    (_is_too_early(item), recipient.c.next_try_ms), else_=_free_at(item)
                ),
                "expires_ms": sa.case(
                    (_is_too_early(item), recipient.c.expires_ms),
                    else_=recipient.c.expires_ms - recipient.c.at_ms + item.now_ms,
                ),
            },
        )
        for item in items
    ]


def retry(tx: Connection, items: Sequence[QueueOrder]) -> list[tuple[MailId, ...]]:
    """Make waiting recipients due at once; gives the mails that had one.

    Unit of work: idempotent; touches the queue's topic.
    """
    return [
        _act(
            tx,
            item,
            "retry",
            WAITING,
            {
                "next_try_ms": _free_at(item),
                # The life of a future release counts from now then, and so does its warning.
                "expires_ms": sa.case(
                    (
                        _is_too_early(item),
                        recipient.c.expires_ms - recipient.c.next_try_ms + item.now_ms,
                    ),
                    else_=recipient.c.expires_ms,
                ),
            },
        )
        for item in items
    ]


def expire(tx: Connection, items: Sequence[QueueOrder]) -> list[tuple[MailId, ...]]:
    """Expire waiting and held recipients; return the mails that had one.

    The next claim finds them expired and bounces them, so the sender hears of it.

    Unit of work: idempotent; touches the queue's topic.
    """
    return [
        _act(
            tx,
            item,
            "expire",
            _QUEUED,
            {
                "state": RecipientState.WAITING,
                "expires_ms": item.now_ms,
                "next_try_ms": _free_at(item),
                "reason": f"given up by the operator: {item.reason}".removesuffix(": "),
            },
        )
        for item in items
    ]


def discard(tx: Connection, items: Sequence[QueueOrder]) -> list[tuple[MailId, ...]]:
    """Drop held recipients, and let nobody hear of it; gives the mails that had one.

    Unit of work: idempotent. Bodies that nobody waits for any more go too.
    """
    return _drop(tx, items, HELD)


def delete(tx: Connection, items: Sequence[QueueOrder]) -> list[tuple[MailId, ...]]:
    """Drop waiting and held recipients, and let nobody hear of it; gives the mails that had one.

    An attempt that is under way may still deliver; nothing of it is written but its events.

    Unit of work: idempotent. Bodies that nobody waits for any more go too.
    """
    return _drop(tx, items, _QUEUED)


def _drop(
    tx: Connection, items: Sequence[QueueOrder], which: sa.ColumnElement[bool]
) -> list[tuple[MailId, ...]]:
    dropped = [
        _act(
            tx,
            item,
            "discard",
            which,
            {
                "state": RecipientState.DISCARDED,
                "reason": item.reason,
                # Whoever tries it now has lost it, and can report nothing to its sender.
                "lease_owner": None,
                "lease_token": None,
                "lease_until_ms": None,
            },
        )
        for item in items
    ]
    release_bodies(tx, [mail_id for mail_ids in dropped for mail_id in mail_ids])
    return dropped


def _free_at(item: QueueOrder) -> sa.ColumnElement[int]:
    """Now, unless somebody tries it at this moment: then when the lease ends."""
    return sa.func.coalesce(recipient.c.lease_until_ms, item.now_ms)


def _is_too_early(item: QueueOrder) -> sa.ColumnElement[bool]:
    """A future release whose time has not come: nothing else is due later and was never tried."""
    return sa.and_(
        recipient.c.tries == 0,
        recipient.c.lease_until_ms.is_(None),
        recipient.c.next_try_ms > item.now_ms,
    )


def _act(
    tx: Connection,
    item: QueueOrder,
    action: str,
    which: sa.ColumnElement[bool],
    changes: Mapping[str, Any],
) -> tuple[MailId, ...]:
    only: list[sa.ColumnElement[bool]] = []
    if item.only is not None:
        only = _of_row(item.only)
        if item.only.state is not None:
            only.append(recipient.c.state == item.only.state)
    found = tx.execute(
        sa.update(recipient)
        .where(recipient.c.mail_id.in_(item.mail_ids), which, *only)
        .values(**changes)
        .returning(recipient.c.mail_id, recipient.c.address)
    )
    addresses: dict[MailId, list[str]] = {}
    for row in found:
        addresses.setdefault(MailId(row.mail_id), []).append(row.address)
    record_events(
        tx,
        [
            EventBatch(
                None,
                mail_id,
                item.now_ms,
                (OperatorActed(item.now_ms, action, item.who, item.reason, tuple(sorted(whom))),),
            )
            for mail_id, whom in sorted(addresses.items())
        ],
    )
    if addresses:
        touch(tx, QUEUE)
    return tuple(mail_id for mail_id in item.mail_ids if mail_id in addresses)
