"""What the administrators were told of, as long as it lasts; and what the watcher of DNS found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.schema import alert

Facts = Mapping[str, str | int]
_DNS_FOUND = "dns found"
"""Rows of this kind are no alerts: the records of a domain that were right at some time."""


@value_class(frozen=True, slots=True)
class AlertRow:
    """One condition."""

    kind: str
    subject: str
    begun_ms: int
    told_ms: int
    """0: no mail could be sent yet."""
    facts: Facts


@value_class(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """What changes after one look at all conditions."""

    seen: Mapping[tuple[str, str], int]
    """Kind and subject to ``told_ms`` of all rows, as the decision was made on."""
    kept: Sequence[AlertRow] = ()
    """New or changed rows."""
    ended: Sequence[tuple[str, str]] = ()
    mails: Sequence[Intake] = ()


def list_alerts(conn: Connection) -> list[AlertRow]:
    """Return the conditions that last, the oldest first."""
    query = sa.select(alert).where(alert.c.kind != _DNS_FOUND)
    rows = conn.execute(query.order_by(alert.c.begun_ms, alert.c.kind, alert.c.subject))
    return [
        AlertRow(row.kind, row.subject, row.begun_ms, row.told_ms, json.loads(row.facts))
        for row in rows
    ]


def tell_alerts(tx: Connection, items: Sequence[AlertChange]) -> list[bool]:
    """Note what is told, and put the mails into mailboxes and the queue, once.

    Unit of work: idempotent.

    Returns:
        Whether the rows were still as the decision was made on; else nothing was changed.

    Raises:
        StoreFull, NoSuchMailbox: as ``intake.write_intakes``.
    """
    return [_tell(tx, item) for item in items]


def _tell(tx: Connection, item: AlertChange) -> bool:
    now = {(row.kind, row.subject): row.told_ms for row in list_alerts(tx)}
    if now != dict(item.seen):
        return False
    for row in item.kept:
        _put(tx, row)
    for kind, subject in item.ended:
        tx.execute(sa.delete(alert).where(alert.c.kind == kind, alert.c.subject == subject))
    if item.mails:
        write_intakes(tx, item.mails)
    return True


def dismiss_alerts(tx: Connection, items: Sequence[tuple[str, str]]) -> list[bool]:
    """Forget conditions, and which records of the subject were found in DNS.

    Unit of work: idempotent.

    Returns:
        Whether each was there.
    """
    found: list[bool] = []
    for kind, subject in items:
        is_it = sa.and_(alert.c.kind == kind, alert.c.subject == subject)
        found.append(tx.execute(sa.delete(alert).where(is_it)).rowcount > 0)
        is_memory = sa.and_(alert.c.kind == _DNS_FOUND, alert.c.subject == subject)
        tx.execute(sa.delete(alert).where(is_memory))
    return found


def load_found_records(conn: Connection) -> dict[str, frozenset[str]]:
    """Return which records of each domain were right at some time; names as their keeper made."""
    rows = conn.execute(sa.select(alert).where(alert.c.kind == _DNS_FOUND))
    return {row.subject: frozenset(json.loads(row.facts)["records"]) for row in rows}


@value_class(frozen=True, slots=True)
class FoundRecords:
    """The records of all domains that were right at some time."""

    domains: Mapping[str, frozenset[str]]
    at_ms: int


def keep_found_records(tx: Connection, items: Sequence[FoundRecords]) -> list[None]:
    """Keep them in the place of what was kept before. Unit of work: idempotent."""
    for item in items:
        tx.execute(sa.delete(alert).where(alert.c.kind == _DNS_FOUND))
        for domain, records in item.domains.items():
            facts = json.dumps({"records": sorted(records)})
            values = {"begun_ms": item.at_ms, "told_ms": 0, "facts": facts}
            tx.execute(sa.insert(alert).values(kind=_DNS_FOUND, subject=domain, **values))
    return [None] * len(items)


def _put(tx: Connection, row: AlertRow) -> None:
    values = {
        "begun_ms": row.begun_ms,
        "told_ms": row.told_ms,
        "facts": json.dumps(dict(row.facts), ensure_ascii=False),
    }
    is_it = sa.and_(alert.c.kind == row.kind, alert.c.subject == row.subject)
    if not tx.execute(sa.update(alert).where(is_it).values(**values)).rowcount:
        tx.execute(sa.insert(alert).values(kind=row.kind, subject=row.subject, **values))
