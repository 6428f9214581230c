"""The journey in the store: events as they are recorded, one mail's story, the search for mails."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import BadAddress, parse_address
from zajil.core.ids import ID_RANDOM_SIZE, AccountId, MailId, SessionId, new_mail_id
from zajil.core.service import QUEUED, RecipientState
from zajil.core.value_class import value_class
from zajil.store.engine.batch import note
from zajil.store.engine.rows import insert_rows
from zajil.store.mail.blob_rows import release_blobs
from zajil.store.schema import event, mail, recipient
from zajil.tracking.codec import decode_events, encode_events
from zajil.tracking.events import MailRefused, TrackingEvent
from zajil.tracking.journey import Journey, Recorded, refused_journey
from zajil.tracking.packing import unpack_events
from zajil.tracking.tracked_recipient import TrackedRecipient

_ID_IS_OLDER_MS = 86_400_000
"""A mail's id is made when its transaction begins, at most so long before it is accepted."""
_ID_TIME_SIZE = 12
"""Characters at the start of an id that are its time, in hexadecimal."""
_AFTER_HEX = "g"
"""Sorts after every character of an id."""


@value_class(frozen=True, slots=True)
class EventBatch:
    """What happened in one transaction, or on one connection: one row."""

    session_id: SessionId | None
    mail_id: MailId | None
    at_ms: int
    events: tuple[TrackingEvent, ...]


def record_events(tx: Connection, batches: Sequence[EventBatch]) -> list[None]:
    """Keep events; empty batches write nothing.

    Unit of work: not idempotent, locks nothing. Other units call it inside their own transaction,
    so that an effect and its events are committed together.
    """
    filled = [batch for batch in batches if batch.events]
    if filled:
        note(tx, filled)
        rows = [
            (batch.mail_id, batch.session_id, batch.at_ms, encode_events(batch.events))
            for batch in filled
        ]
        insert_rows(tx, _RECORD, rows)
    return [None] * len(batches)


def delete_events(tx: Connection, before_ms: Sequence[int]) -> list[int]:
    """Forget events older than each of the given times; mails and their states remain.

    What was recorded late may stay until what was recorded before it is old enough.

    Unit of work: idempotent.

    Returns:
        How many rows held them.
    """
    counts: list[int] = []
    for limit in before_ms:
        # Ids grow with time: what is kept is read up to its first row.
        first_kept = sa.select(event.c.id).where(event.c.at_ms >= limit).order_by(event.c.id)
        end = sa.func.coalesce(first_kept.limit(1).scalar_subquery(), sys.maxsize)
        gone = sa.delete(event).where(event.c.at_ms < limit, event.c.id < end)
        old = _old_mails(limit)
        emptied = sa.update(mail).where(old, mail.c.events.is_not(None)).values(events=None)
        counts.append(tx.execute(gone).rowcount + tx.execute(emptied).rowcount)
    return counts


PRUNED_AT_ONCE = 1000
"""Mails that are forgotten in one commit."""


def delete_mails(tx: Connection, before_ms: Sequence[int]) -> list[int]:
    """Forget who wrote to whom before each of the given times, but for what still waits.

    At most ``PRUNED_AT_ONCE`` mails of each, the oldest, because new mail waits meanwhile. The
    messages themselves are the owners' and stay in their mailboxes.

    Unit of work: idempotent.

    Returns:
        How many mails were forgotten.
    """
    counts: list[int] = []
    for limit in before_ms:
        unfinished = sa.select(recipient.c.mail_id).where(
            recipient.c.mail_id == mail.c.id, recipient.c.state.in_(QUEUED)
        )
        old = sa.select(mail.c.id).where(_old_mails(limit), ~unfinished.exists())
        oldest = old.order_by(mail.c.id).limit(PRUNED_AT_ONCE)
        gone = tx.execute(
            sa.delete(mail).where(mail.c.id.in_(oldest)).returning(mail.c.id, mail.c.blob_id)
        ).all()
        for start in range(0, len(gone), 1000):
            part = [row.id for row in gone[start : start + 1000]]
            tx.execute(sa.delete(recipient).where(recipient.c.mail_id.in_(part)))
        release_blobs(tx, [row.blob_id for row in gone if row.blob_id is not None])
        counts.append(len(gone))
    return counts


def _old_mails(before_ms: int) -> sa.ColumnElement[bool]:
    # Ids sort by time: the primary key finds the old ones.
    oldest_kept = new_mail_id(max(0, before_ms), bytes(ID_RANDOM_SIZE))
    return sa.and_(mail.c.id < oldest_kept, mail.c.at_ms < before_ms)


def load_journey(conn: Connection, mail_id: MailId) -> Journey | None:
    """Return all that is known of a mail, for ``tracking.journey`` to cut to its viewer.

    A mail that was refused after its end has no row: what is known of it stands in its events.
    """
    row = conn.execute(_MAIL, {"mail_id_": mail_id}).one_or_none()
    own = _events_of_mail(conn, mail_id)
    if row is None:
        # A mail whose row is gone was forgotten, whatever events are left of it.
        if not any(item.event.name == MailRefused.name for item in own):
            return None
        return refused_journey(mail_id, _with_session(conn, own[0].session_id, mail_id, own))
    recorded = _with_session(conn, row.session_id, mail_id, own)
    copies = conn.execute(_RECIPIENTS, {"mail_id_": mail_id}).all()
    waiting = [copy.expires_ms for copy in copies if copy.state in QUEUED and copy.expires_ms]
    return Journey(
        mail_id=mail_id,
        parent_mail_id=row.parent_mail_id,
        message_id=row.message_id,
        header_from=row.header_from,
        received_at_ms=row.at_ms,
        account_id=row.account_id,
        recipients=tuple(
            TrackedRecipient(
                copy.address,
                RecipientState(copy.state),
                copy.reason,
                copy.next_try_ms,
                copy.account_id,
                copy.addressed_as,
            )
            for copy in copies
        ),
        events=tuple(recorded),
        expires_ms=max(waiting, default=None),
        subject=row.subject,
    )


def _with_session(
    conn: Connection, session_id: str | None, mail_id: MailId, own: list[Recorded]
) -> list[Recorded]:
    recorded = own
    if session_id is not None:
        recorded = _session_events(conn, SessionId(session_id), mail_id) + own
    # Stable: events of one millisecond stay in the order they were recorded in.
    recorded.sort(key=lambda item: item.event.at_ms)
    return recorded


def _events_of_mail(conn: Connection, mail_id: MailId) -> list[Recorded]:
    """Return the events of a mail: those of its acceptance first, then in the order of rows."""
    accepted = conn.execute(_EVENTS_OF_ACCEPTANCE, {"mail_id_": mail_id}).one_or_none()
    own: list[Recorded] = []
    if accepted is not None and accepted.events is not None:
        packed = bytes(accepted.events)
        own += [Recorded(accepted.session_id, one) for one in unpack_events(packed)]
    for row in conn.execute(_EVENTS_OF_MAIL, {"mail_id_": mail_id}):
        own += [Recorded(row.session_id, one) for one in decode_events(row.body)]
    return own


def _session_events(conn: Connection, session_id: SessionId, mail_id: MailId) -> list[Recorded]:
    """Return the events of the connection that brought a mail, without those of the mail."""
    # How the connection began is recorded with its first mail; of the events of another mail
    # nothing but the connection itself belongs to this journey.
    found: list[Recorded] = []
    for first in _first_mails(conn, session_id, mail_id):
        found += _events_of_mail(conn, first)
    for row in conn.execute(_EVENTS_OF_SESSION, {"session_id_": session_id}):
        found += [Recorded(session_id, one) for one in decode_events(row.body)]
    return [one for one in found if one.event.name.startswith("session.")]


def _first_mails(conn: Connection, session_id: SessionId, mail_id: MailId) -> list[MailId]:
    """Return the first mail of a session, and those of the same millisecond, without this one."""
    # Ids begin with their time, so the first mail is a few rows behind the start of the session;
    # within one millisecond the order of ids says nothing.
    given = {
        "session_id_": session_id,
        "begin_": session_id[:_ID_TIME_SIZE],
        "end_": mail_id[:_ID_TIME_SIZE] + _AFTER_HEX,
    }
    first = conn.scalar(_MAILS_OF_SESSION.limit(1), given)
    if first is None:
        return []
    given |= {"begin_": first, "end_": first[:_ID_TIME_SIZE] + _AFTER_HEX}
    return [one for one in conn.scalars(_MAILS_OF_SESSION, given) if one != mail_id]


@value_class(frozen=True, slots=True, kw_only=True)
class MailQuery:
    """What an admin looks for; ``None`` asks for nothing. All that is given must match."""

    to: str | None = None
    """An address, or a piece of one."""
    sender: str | None = None
    """The reverse path or the From address, or a piece of one."""
    message_id: str | None = None
    """With or without its angle brackets."""
    mail_id: str | None = None
    subject: str | None = None
    """A piece of it, in any case."""
    reason: str | None = None
    """A piece of why a copy is where it is."""
    outcome: str | None = None
    """What became of a copy: a value of ``RecipientState``, or ``JUNK``."""
    since_ms: int | None = None
    until_ms: int | None = None
    """Before this time."""
    account_id: AccountId | None = None
    """Only what this account handed in."""
    refused: bool = False
    """Only mails of which a recipient, or the whole, was refused."""
    before: str | None = None
    """Only mails that are older than this mail id: the last of the page before."""
    limit: int = 100


JUNK = "junk"
"""Outcome of a copy that was delivered to the mailbox for junk."""
_JUNK_MAILBOX = "Junk"


@value_class(frozen=True, slots=True, kw_only=True)
class FoundMail:
    """One mail of a search."""

    mail_id: MailId
    header_from: str
    message_id: str
    at_ms: int
    size: int
    recipients: tuple[tuple[str, str], ...]
    """Address in wire form, and state."""
    subject: str = ""
    outcomes: tuple[str, ...] = ()
    """Of each recipient: its state, or ``JUNK``."""


def find_mails(conn: Connection, query: MailQuery) -> list[FoundMail]:
    """Search mails, newest first."""
    rows = conn.execute(_search(query)).all()
    copies: dict[str, list[Any]] = {row.id: [] for row in rows}
    for copy in conn.execute(_STATES, {"mail_ids_": list(copies)}) if rows else ():
        copies[copy.mail_id].append(copy)
    return [
        FoundMail(
            mail_id=row.id,
            header_from=row.header_from,
            message_id=row.message_id,
            at_ms=row.at_ms,
            size=row.size,
            recipients=tuple((copy.address, copy.state) for copy in copies[row.id]),
            subject=row.subject,
            outcomes=tuple(JUNK if _is_junk(copy) else copy.state for copy in copies[row.id]),
        )
        for row in rows
    ]


def _is_junk(copy: Any) -> bool:
    return bool(copy.state == RecipientState.DELIVERED and copy.mailbox == _JUNK_MAILBOX)


def _search(query: MailQuery) -> sa.Select[Any]:
    columns = (mail.c.id, mail.c.header_from, mail.c.message_id, mail.c.at_ms, mail.c.size)
    search = sa.select(*columns, mail.c.subject).order_by(mail.c.id.desc()).limit(query.limit)
    if query.to:
        # Two searches, each by its index: what was named, and what an alias stood for.
        keys = (recipient.c.address_key, recipient.c.addressed_key)
        copies = [sa.select(recipient.c.mail_id).where(_names(key, query.to)) for key in keys]
        if query.since_ms is not None:
            copies = [part.where(recipient.c.at_ms >= query.since_ms) for part in copies]
        search = search.where(mail.c.id.in_(sa.union(*copies)))
    copy = list(_copy_conditions(query))
    if copy:
        # Not asked of each mail: it would look up a hundred thousand recipients one by one.
        search = search.where(mail.c.id.in_(sa.select(recipient.c.mail_id).where(*copy)))
    if query.sender:
        # header_from is kept as it was written, so it is searched by a piece of it.
        written = sa.func.lower(mail.c.header_from).contains(query.sender.lower(), autoescape=True)
        search = search.where(_names(mail.c.from_key, query.sender) | written)
    if query.message_id:
        bare = query.message_id.strip().removeprefix("<").removesuffix(">")
        search = search.where(mail.c.message_id.in_([bare, f"<{bare}>"]))
    if query.subject:
        subject = sa.func.lower(mail.c.subject)
        search = search.where(subject.contains(query.subject.strip().lower(), autoescape=True))
    if query.mail_id:
        search = search.where(mail.c.id == query.mail_id.strip())
    if query.before:
        search = search.where(mail.c.id < query.before)
    if query.until_ms is not None:
        end = new_mail_id(max(0, query.until_ms), bytes(ID_RANDOM_SIZE))
        search = search.where(mail.c.id < end, mail.c.at_ms < query.until_ms)
    if query.since_ms is not None:
        oldest = new_mail_id(max(0, query.since_ms - _ID_IS_OLDER_MS), bytes(ID_RANDOM_SIZE))
        search = search.where(mail.c.id >= oldest, mail.c.at_ms >= query.since_ms)
    if query.account_id is not None:
        search = search.where(mail.c.account_id == query.account_id)
    return search


def _copy_conditions(query: MailQuery) -> Iterator[sa.ColumnElement[bool]]:
    """Return what must be true of one and the same recipient of a mail."""
    if query.refused:
        yield recipient.c.state == RecipientState.REFUSED
    if query.outcome == JUNK:
        yield recipient.c.state == RecipientState.DELIVERED
        yield recipient.c.mailbox == _JUNK_MAILBOX
    elif query.outcome == RecipientState.DELIVERED:
        yield recipient.c.state == RecipientState.DELIVERED
        yield sa.func.coalesce(recipient.c.mailbox, "") != _JUNK_MAILBOX
    elif query.outcome:
        yield recipient.c.state == query.outcome
    if query.reason:
        piece = query.reason.strip().lower()
        yield sa.func.lower(recipient.c.reason).contains(piece, autoescape=True)


def _names(column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    try:
        return column == parse_address(text.strip()).key
    except BadAddress:
        return column.contains(text.strip().casefold(), autoescape=True)


_RECORD = (event.c.mail_id, event.c.session_id, event.c.at_ms, event.c.body)
_MAIL = sa.select(mail).where(mail.c.id == sa.bindparam("mail_id_"))
_RECIPIENTS = (
    sa.select(recipient)
    .where(recipient.c.mail_id == sa.bindparam("mail_id_"))
    .order_by(recipient.c.position)
)
_EVENTS_OF_MAIL = (
    sa.select(event).where(event.c.mail_id == sa.bindparam("mail_id_")).order_by(event.c.id)
)
_EVENTS_OF_ACCEPTANCE = sa.select(mail.c.session_id, mail.c.events).where(
    mail.c.id == sa.bindparam("mail_id_")
)
_MAILS_OF_SESSION = (
    sa.select(mail.c.id)
    .where(
        mail.c.id >= sa.bindparam("begin_"),
        mail.c.id < sa.bindparam("end_"),
        mail.c.session_id == sa.bindparam("session_id_"),
    )
    .order_by(mail.c.id)
)
_EVENTS_OF_SESSION = (
    sa.select(event)
    .where(event.c.session_id == sa.bindparam("session_id_"), event.c.mail_id.is_(None))
    .order_by(event.c.id)
)
_STATES = (
    sa.select(recipient.c.mail_id, recipient.c.address, recipient.c.state, recipient.c.mailbox)
    .where(recipient.c.mail_id.in_(sa.bindparam("mail_ids_", expanding=True)))
    .order_by(recipient.c.mail_id, recipient.c.position)
)
