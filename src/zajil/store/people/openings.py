"""Who looked into the mail of another account: audit events for its owner, once a day."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId
from zajil.core.value_class import value_class
from zajil.store.people.audit import AuditQuery, find_audit, record_audit
from zajil.store.schema import account, mailbox
from zajil.tracking.audit import AuditEvent, JourneyOpened, MailboxOpened

DAY_MS = 24 * 60 * 60 * 1000
_MOST = 10_000
"""Events of one reader about one owner and day that are looked at."""


@value_class(frozen=True, slots=True)
class Opening:
    """An account has opened a mailbox, or the journey of a mail, and was allowed to."""

    by: tuple[int, str, str, str]
    """When, who, by what interface, from which address."""
    reader_id: AccountId
    mailbox_id: MailboxId | None
    owner_ids: tuple[AccountId, ...] = ()
    """Of a journey: the accounts that sent the mail or have a copy of it."""


def is_new_opening(conn: Connection, opening: Opening) -> bool:
    """Check whether it is the mail of another account, and the first opening of this day (UTC)."""
    return bool(_describe(conn, opening))


def record_openings(tx: Connection, items: Sequence[Opening]) -> list[int]:
    """Record the first openings of a day (UTC); returns how many events that were.

    Of a mailbox: the first of each reader; of journeys: the first of each reader and owner.
    Unit of work: idempotent.
    """
    done: list[int] = []
    for item in items:
        # Two workers may do this at one moment: the second one waits, and sees the event.
        tx.execute(_LOCK, {"account_": item.reader_id})
        events = _describe(tx, item)
        record_audit(tx, events)
        done.append(len(events))
    return done


def _describe(conn: Connection, opening: Opening) -> list[AuditEvent]:
    """Return the events to be recorded."""
    if opening.mailbox_id is None:
        found = [_describe_journey(conn, opening, one) for one in sorted(set(opening.owner_ids))]
        return [event for event in found if event is not None]
    row = conn.execute(_MAILBOX, {"mailbox_": opening.mailbox_id}).one_or_none()
    if row is None or row.account_id == opening.reader_id:
        return []
    for event in _events_of_today(conn, opening, row.account_id):
        if isinstance(event, MailboxOpened) and event.mailbox == row.name:
            return []
    return [MailboxOpened(*opening.by, row.account_id, row.login, row.name)]


def _describe_journey(conn: Connection, opening: Opening, owner: AccountId) -> AuditEvent | None:
    login = conn.scalar(_LOGIN, {"account_": owner})
    if login is None or owner == opening.reader_id:
        return None
    if any(isinstance(one, JourneyOpened) for one in _events_of_today(conn, opening, owner)):
        return None
    return JourneyOpened(*opening.by, owner, login)


def _events_of_today(conn: Connection, opening: Opening, owner: AccountId) -> list[AuditEvent]:
    at_ms, reader = opening.by[:2]
    midnight = at_ms - at_ms % DAY_MS
    return find_audit(
        conn, AuditQuery(account_id=owner, actor=reader, since_ms=midnight, limit=_MOST)
    )


_MAILBOX = (
    sa.select(mailbox.c.account_id, mailbox.c.name, account.c.login)
    .join(account, account.c.id == mailbox.c.account_id)
    .where(mailbox.c.id == sa.bindparam("mailbox_"))
)
_LOGIN = sa.select(account.c.login).where(account.c.id == sa.bindparam("account_"))
_LOCK = (
    sa.select(account.c.id)
    .where(account.c.id == sa.bindparam("account_"))
    .with_for_update(key_share=True)
)
