"""Take a person out of journeys, sessions, the audit trail and reports.

Laws:
- Mail that waits in the queue is left alone: it is found again when it was sent.
- Every unit is idempotent: an erasure that was interrupted is done again.
- What others did stays; only the person is taken out of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import MailId
from zajil.core.service import QUEUED
from zajil.core.value_class import value_class
from zajil.store.engine.rows import portions
from zajil.store.mail.blob_rows import release_blobs
from zajil.store.people.person import NamedPerson
from zajil.store.schema import (
    audit,
    dmarc_report,
    dmarc_report_row,
    event,
    mail,
    recipient,
    reputation,
    word,
)
from zajil.tracking.audit import AccountErased, AuditEvent
from zajil.tracking.codec import decode_events, encode_events
from zajil.tracking.events import LoggedIn, LoginFailed, TrackingEvent
from zajil.tracking.packing import pack_events, unpack_events

PORTION = 500
"""Mails, events or changes of one commit."""


@value_class(frozen=True, slots=True, kw_only=True)
class MailTraces:
    """Mails that name a person."""

    sent: tuple[MailId, ...]
    """From the person: everything of them is removed."""
    received: tuple[MailId, ...]
    """To the person: the copies and what names the person are removed."""
    waiting: tuple[MailId, ...]
    """Some copy waits in the queue."""


def find_mail_traces(conn: Connection, person: NamedPerson) -> MailTraces:
    """Return the mails that name a person."""
    sent = _sent_by(conn, person)
    received = _received_by(conn, person) - sent
    waits: set[MailId] = set()
    for some in portions(sent | received):
        queued = (recipient.c.mail_id.in_(some), recipient.c.state.in_(QUEUED))
        waits.update(map(MailId, conn.scalars(sa.select(recipient.c.mail_id).where(*queued))))
    return MailTraces(
        sent=tuple(sorted(sent - waits)),
        received=tuple(sorted(received - waits)),
        waiting=tuple(sorted(waits)),
    )


def _sent_by(conn: Connection, person: NamedPerson) -> set[MailId]:
    ways = [mail.c.from_key.in_(person.keys), _is_account(mail, person)]
    found = set(conn.scalars(sa.select(mail.c.id).where(sa.or_(*ways))))
    written = sa.select(mail.c.id, mail.c.header_from)
    for row in conn.execute(written.where(_may_name(mail.c.header_from, person))):
        if person.is_named_in(row.header_from):
            found.add(row.id)
    return set(map(MailId, found))


def _received_by(conn: Connection, person: NamedPerson) -> set[MailId]:
    keys = (recipient.c.address_key, recipient.c.addressed_key)
    found: set[str] = set()
    for condition in (
        *(key.in_(person.keys) for key in keys),  # each by its index
        _is_account(recipient, person),
    ):
        found.update(conn.scalars(sa.select(recipient.c.mail_id).where(condition)))
    named = sa.select(recipient.c.mail_id, recipient.c.original_recipient)
    for row in conn.execute(named.where(_may_name(recipient.c.original_recipient, person))):
        if person.is_named_in(row.original_recipient):
            found.add(row.mail_id)
    return set(map(MailId, found))


def _is_account(table: sa.Table, person: NamedPerson) -> sa.ColumnElement[bool]:
    # Comparing with None would find all rows of nobody.
    if person.account_id is None:
        return sa.false()
    condition: sa.ColumnElement[bool] = table.c.account_id == person.account_id
    return condition


def _is_copy_of(row: Any, person: NamedPerson) -> bool:
    return (
        row.address_key in person.keys
        or row.addressed_key in person.keys
        or (row.account_id is not None and row.account_id == person.account_id)
        or person.is_named_in(row.original_recipient)
    )


def _may_name(column: sa.ColumnElement[Any], person: NamedPerson) -> sa.ColumnElement[bool]:
    """Return the condition for candidates: amal@x is found in jamal@x as well."""
    text = sa.func.lower(column)
    return sa.or_(sa.false(), *[text.contains(one, autoescape=True) for one in person.texts])


@value_class(frozen=True, slots=True)
class EraseMails:
    """What the units below take: some of ``MailTraces``."""

    person: NamedPerson
    mail_ids: tuple[MailId, ...]


def erase_sent(tx: Connection, items: Sequence[EraseMails]) -> list[int]:
    """Remove mails with their recipients, events and the sessions that brought them.

    The messages themselves stay in the mailboxes that have them. Unit of work: idempotent.

    Returns:
        For each item how many were removed.
    """
    return [_remove(tx, item.mail_ids) for item in items]


def _remove(tx: Connection, mail_ids: Iterable[MailId]) -> int:
    count = 0
    for some in portions(mail_ids):
        gone = tx.execute(
            sa.delete(mail)
            .where(mail.c.id.in_(some))
            .returning(mail.c.id, mail.c.blob_id, mail.c.session_id, mail.c.account_id)
        ).all()
        count += len(gone)
        tx.execute(sa.delete(recipient).where(recipient.c.mail_id.in_(some)))
        tx.execute(sa.delete(event).where(event.c.mail_id.in_(some)))
        # A session of somebody else may have brought other mail.
        own = {row.session_id for row in gone if row.session_id and row.account_id is not None}
        tx.execute(sa.delete(event).where(event.c.session_id.in_(own), event.c.mail_id.is_(None)))
        release_blobs(tx, [row.blob_id for row in gone if row.blob_id is not None])
    return count


def erase_received(tx: Connection, items: Sequence[EraseMails]) -> list[int]:
    """Remove the person's copies from mails; a mail without another recipient goes as a whole.

    Unit of work: idempotent.

    Returns:
        For each item how many mails were changed or removed.
    """
    return [sum(_erase_copy(tx, item.person, one) for one in item.mail_ids) for item in items]


def _erase_copy(tx: Connection, person: NamedPerson, mail_id: MailId) -> int:
    rows = tx.execute(sa.select(recipient).where(recipient.c.mail_id == mail_id)).all()
    mine = [row.position for row in rows if _is_copy_of(row, person)]
    if len(mine) == len(rows):
        return _remove(tx, [mail_id])
    of_mail = recipient.c.mail_id == mail_id
    tx.execute(sa.delete(recipient).where(of_mail, recipient.c.position.in_(mine)))
    packed = tx.scalar(sa.select(mail.c.events).where(mail.c.id == mail_id))
    if packed is not None:
        kept = _without_person(person, bytes(packed))
        tx.execute(sa.update(mail).where(mail.c.id == mail_id).values(events=kept))
    ids = tx.scalars(sa.select(event.c.id).where(event.c.mail_id == mail_id)).all()
    _erase_events(tx, person, ids)
    return 1


def _without_person(person: NamedPerson, packed: bytes) -> bytes | None:
    try:
        events = unpack_events(packed)
    except ValueError:
        return None  # nobody can read it
    return pack_events([one for one in events if not person.is_in(one)])


# ---- events without a mail of the person --------------------------------------------------------


def find_event_traces(conn: Connection, person: NamedPerson) -> list[int]:
    """Return the ids of records of sessions, and of mail, that name a person."""
    rows = conn.execute(sa.select(event.c.id, event.c.body).where(_may_be_named_in(event, person)))
    return [row.id for row in rows if any(map(person.is_in, decode_events(row.body)))]


def _may_be_named_in(table: sa.Table, person: NamedPerson) -> sa.ColumnElement[bool]:
    names = [table.c.body.contains(f'"{one}"', autoescape=True) for one in person.logins]
    return sa.or_(_may_name(table.c.body, person), *names)


@value_class(frozen=True, slots=True)
class EraseRows:
    """What the units below take."""

    person: NamedPerson
    ids: tuple[int, ...]


def erase_events(tx: Connection, items: Sequence[EraseRows]) -> list[int]:
    """Remove events that name the person, and all of a session in which the person logged in.

    Unit of work: idempotent.

    Returns:
        For each item how many records were changed or removed.
    """
    return [_erase_events(tx, item.person, item.ids) for item in items]


def _erase_events(tx: Connection, person: NamedPerson, ids: Sequence[int]) -> int:
    count = 0
    for row in _rows(tx, event, ids):
        events = decode_events(row.body)
        kept = [one for one in events if not person.is_in(one)]
        if len(kept) == len(events):
            continue
        is_own = _is_own_session(events, person)
        count += 1
        if not kept or (is_own and row.mail_id is None):
            tx.execute(sa.delete(event).where(event.c.id == row.id))
        else:
            changed = sa.update(event).where(event.c.id == row.id)
            tx.execute(changed.values(body=encode_events(kept)))
    return count


def _is_own_session(events: Sequence[TrackingEvent], person: NamedPerson) -> bool:
    return any(
        isinstance(one, LoggedIn | LoginFailed) and one.login in person.logins for one in events
    )


def _rows(tx: Connection, table: sa.Table, ids: Sequence[int]) -> list[Any]:
    found: list[Any] = []
    for some in portions(ids):
        found += tx.execute(sa.select(table).where(table.c.id.in_(some))).all()
    return found


# ---- the audit trail and reports ----------------------------------------------------------------


def find_audit_traces(conn: Connection, person: NamedPerson) -> list[int]:
    """Return the ids of changes of a person's account, and of those that name the person."""
    ways = sa.or_(_may_be_named_in(audit, person), _is_account(audit, person))
    return [
        row.id
        for row in conn.execute(sa.select(audit).where(ways))
        if _has_to_change(row, person, decode_events(row.body))
    ]


def _has_to_change(row: Any, person: NamedPerson, events: Sequence[TrackingEvent]) -> bool:
    is_own = row.account_id is not None and row.account_id == person.account_id
    is_record = any(isinstance(one, AccountErased) for one in events)
    return (is_own and not is_record) or any(map(person.is_in, events))


def erase_audit(tx: Connection, items: Sequence[EraseRows]) -> list[tuple[int, int]]:
    """Remove changes of the person's account; take the person out of changes of other things.

    That the account was erased stays on record. Unit of work: idempotent.

    Returns:
        For each item how many were removed, and out of how many the person was taken.
    """
    return [_erase_audit(tx, item) for item in items]


def _erase_audit(tx: Connection, item: EraseRows) -> tuple[int, int]:
    removed = changed = 0
    person = item.person
    for row in _rows(tx, audit, item.ids):
        events = [one for one in decode_events(row.body) if isinstance(one, AuditEvent)]
        is_own = person.account_id is not None and row.account_id == person.account_id
        if is_own and not any(isinstance(one, AccountErased) for one in events):
            tx.execute(sa.delete(audit).where(audit.c.id == row.id))
            removed += 1
            continue
        after = [person.taken_out_of(one) for one in events]
        if after != events and after:
            values = {
                "body": encode_events(after),
                "actor": after[0].actor,
                "subject": after[0].subject,
            }
            tx.execute(sa.update(audit).where(audit.c.id == row.id).values(values))
            changed += 1
    return removed, changed


def erase_learned(tx: Connection, items: Sequence[NamedPerson]) -> list[int]:
    """Forget what the filters of others, and of the installation, learned of a person's address.

    Unit of work: idempotent.

    Returns:
        For each person how many rows were removed.
    """
    counts: list[int] = []
    for person in items:
        count = 0
        for table, column in ((reputation, reputation.c.key), (word, word.c.word)):
            found = tx.scalars(sa.select(column).where(_may_name(column, person)).distinct())
            for some in portions([one for one in found if person.is_named_in(one)]):
                count += tx.execute(sa.delete(table).where(column.in_(some))).rowcount
        counts.append(count)
    return counts


def erase_failure_reports(tx: Connection, items: Sequence[NamedPerson]) -> list[int]:
    """Remove reports of others about single messages (RFC 9991) that name a person.

    Unit of work: idempotent.

    Returns:
        For each person how many were removed.
    """
    counts: list[int] = []
    for person in items:
        named = _may_name(dmarc_report.c.content, person)
        found = sa.select(dmarc_report.c.id, dmarc_report.c.content)
        rows = tx.execute(found.where(dmarc_report.c.kind == "failure", named))
        ids = [row.id for row in rows if person.is_named_in(row.content)]
        tx.execute(sa.delete(dmarc_report).where(dmarc_report.c.id.in_(ids)))
        tx.execute(sa.delete(dmarc_report_row).where(dmarc_report_row.c.report.in_(ids)))
        counts.append(len(ids))
    return counts


def load_event_traces(
    conn: Connection, person: NamedPerson, ids: Sequence[int]
) -> Iterator[list[TrackingEvent]]:
    """Yield the events of sessions that are about a person.

    A session in which the person logged in is given as a whole, of others what names the person.
    """
    for row in _rows(conn, event, ids):
        if row.mail_id is not None:
            continue  # part of a journey
        events = decode_events(row.body)
        if not _is_own_session(events, person):
            events = [one for one in events if person.is_in(one)]
        if events:
            yield events


def load_audit_traces(
    conn: Connection, person: NamedPerson, ids: Sequence[int]
) -> Iterator[AuditEvent]:
    """Yield changes that name a person, without the network addresses of others."""
    for row in _rows(conn, audit, ids):
        for one in decode_events(row.body):
            if isinstance(one, AuditEvent):
                yield one if one.actor in person.logins else replace(one, peer="")
