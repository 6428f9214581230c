"""The audit trail: who changed what, recorded in the commit of the change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import note
from zajil.store.mail.tracking import EventBatch
from zajil.store.schema import audit
from zajil.tracking.audit import AuditEvent
from zajil.tracking.codec import decode_events, encode_events


@value_class(frozen=True, slots=True)
class AuditedChange:
    """What ``apply_changes`` takes."""

    work: Callable[[Connection], tuple[Any, Sequence[AuditEvent]]]
    """Runs units of the store in the transaction; returns their result and what to record of them.
    It changes nothing else: the transaction may be run a second time."""


def apply_changes(tx: Connection, items: Sequence[AuditedChange]) -> list[Any]:
    """Make changes and record them in the audit trail.

    Unit of work: whatever ``work`` does; a change without events leaves no trace.
    """
    results: list[Any] = []
    for item in items:
        result, events = item.work(tx)
        record_audit(tx, events)
        results.append(result)
    return results


def record_audit(tx: Connection, events: Iterable[AuditEvent]) -> None:
    """Add events to the audit trail and to the log; part of the unit that makes the change."""
    for event in events:
        values = {
            "at_ms": event.at_ms,
            "actor": event.actor,
            "account_id": event.account_id,
            "subject": event.subject,
            "body": encode_events((event,)),
        }
        tx.execute(sa.insert(audit), [values])
        note(tx, [EventBatch(None, None, event.at_ms, (event,))])


def delete_audit(tx: Connection, before_ms: Sequence[int]) -> list[int]:
    """Delete audit events older than each of the given times; returns how many.

    Unit of work: idempotent.
    """
    return [
        tx.execute(sa.delete(audit).where(audit.c.at_ms < limit)).rowcount for limit in before_ms
    ]


@value_class(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """What to look for; all that is given must match."""

    account_id: AccountId | None = None
    """Changes of this account, also under an earlier login name."""
    subject: str | None = None
    """The login name, address or domain that was changed. With ``account_id``: either of them."""
    actor: str | None = None
    """Login name, or user of this machine."""
    since_ms: int | None = None
    until_ms: int | None = None
    limit: int = 100


def find_audit(conn: Connection, query: AuditQuery) -> list[AuditEvent]:
    """Return the newest audit events that match, newest first."""
    search = sa.select(audit.c.body).order_by(audit.c.at_ms.desc(), audit.c.id.desc())
    about: list[sa.ColumnElement[bool]] = []
    if query.account_id is not None:
        about.append(audit.c.account_id == query.account_id)
    if query.subject is not None:
        about.append(audit.c.subject == query.subject)
    if about:
        search = search.where(sa.or_(*about))
    if query.actor is not None:
        search = search.where(audit.c.actor == query.actor)
    if query.since_ms is not None:
        search = search.where(audit.c.at_ms >= query.since_ms)
    if query.until_ms is not None:
        search = search.where(audit.c.at_ms < query.until_ms)
    found = conn.scalars(search.limit(query.limit))
    decoded = [event for body in found for event in decode_events(body)]
    return [event for event in decoded if isinstance(event, AuditEvent)]
