"""The audit trail, as ``zajil audit`` prints it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from zajil.core.address import BadAddress, parse_address
from zajil.core.domain import BadDomain, to_ascii
from zajil.store.engine.reader import Snapshot
from zajil.store.people.accounts import find_by_login
from zajil.store.people.audit import AuditQuery, find_audit
from zajil.tracking.audit import AuditEvent
from zajil.tracking.audit_sentences import describe_actor, describe_change

_COMMON = {field.name for field in fields(AuditEvent)}


def show_audit(
    conn: Snapshot,
    *,
    about: str | None = None,
    actor: str | None = None,
    since_ms: int | None = None,
    limit: int = 100,
) -> list[AuditEvent]:
    """Return the newest changes that match, newest first.

    Args:
        conn: a snapshot.
        about: login name or address of an account, an alias, or a domain.
        actor: login name, or user of this machine.
        since_ms: made at this time or later.
        limit: maximum number of changes.
    """
    row = None if about is None else find_by_login(conn, about)
    query = AuditQuery(
        account_id=None if row is None else row.account_id,
        subject=None if about is None else _stored_subject(about),
        actor=actor,
        since_ms=since_ms,
        limit=limit,
    )
    return find_audit(conn, query)


def _stored_subject(about: str) -> str:
    try:
        return str(parse_address(about)) if "@" in about else to_ascii(about)
    except (BadAddress, BadDomain):
        return about


def audit_to_dict(event: AuditEvent) -> dict[str, Any]:
    """Return a change as ``zajil audit --json`` prints it."""
    details = {
        field.name: getattr(event, field.name)
        for field in fields(event)
        if field.name not in _COMMON
    }
    return {
        "at_ms": event.at_ms,
        "event": event.name,
        "actor": event.actor,
        "origin": event.origin,
        "peer": event.peer,
        "subject": event.subject,
        "text": describe_change(event).plain(),
        "by": describe_actor(event).plain(),
        **details,
    }
