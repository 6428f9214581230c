"""What was counted for reports to others, by domain and interval, until it is reported.

One set of tables serves every kind of report; what is counted and what is said of a domain are
JSON of ``reports``, which decides what they mean.

Laws:
- One row for each domain and interval, and one report for it, whichever worker makes it: a lease
  says which, and ``finish_interval`` accepts its mail in the commit that ends the interval.
- Bounded: a flood of made-up domains or rows fills ``MAX_DOMAINS`` and ``MAX_ROWS``, and is not
  counted beyond that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.schema import report_interval as interval
from zajil.store.schema import report_interval_row as interval_row

MAX_DOMAINS = 10_000
"""Domains of one kind and interval; a large provider sees some thousands a day."""
MAX_ROWS = 5_000
"""Rows of one domain and interval: a report of a megabyte, before it is packed."""


@value_class(frozen=True, slots=True)
class CountedRow:
    """Things that were alike, and how many there were."""

    content: str
    """JSON; the same for all that are alike."""
    count: int


@value_class(frozen=True, slots=True, kw_only=True)
class CountedInterval:
    """What one worker counted for one domain since it wrote last."""

    kind: str
    """Of report: ``dmarc``."""
    domain: str
    """ASCII."""
    begin_ms: int
    end_ms: int
    details: str
    """JSON: what is said of the domain; the last one is kept."""
    rows: tuple[CountedRow, ...]


@value_class(frozen=True, slots=True)
class DueInterval:
    """An interval of a domain that is to be reported."""

    kind: str
    domain: str
    begin_ms: int
    end_ms: int


@value_class(frozen=True, slots=True)
class IntervalLease:
    """A worker makes the report of an interval."""

    due: DueInterval
    now_ms: int
    until_ms: int
    """End of the lease; it is also its token."""


@value_class(frozen=True, slots=True)
class LoadedInterval:
    """Everything that a report is made from."""

    details: str
    """JSON, as in ``CountedInterval``."""
    rows: tuple[CountedRow, ...]
    """The highest count first."""


@value_class(frozen=True, slots=True)
class FinishedInterval:
    """An interval that is over: its report, or why there is none."""

    lease: IntervalLease
    done_ms: int
    outcome: str
    """A sentence for a person."""
    mails: tuple[Intake, ...] = field(default=())


def count_intervals(tx: Connection, items: Sequence[tuple[CountedInterval, ...]]) -> list[None]:
    """Add to what was counted.

    Unit of work: not idempotent; touches nothing.
    """
    for counted in items:
        # In one order, so that two nodes cannot wait for each other.
        for one in sorted(counted, key=lambda one: (one.kind, one.domain, one.begin_ms)):
            begin_ms = _open(tx, one)
            if begin_ms is not None:
                _add_rows(tx, one, begin_ms)
    return [None] * len(items)


def _open(tx: Connection, one: CountedInterval) -> int | None:
    """Return when the open interval began; ``None``: there are too many."""
    of_domain = sa.and_(interval.c.kind == one.kind, interval.c.domain == one.domain)
    last = tx.execute(
        sa.select(interval.c.begin_ms, interval.c.done_ms)
        .where(of_domain, interval.c.end_ms == one.end_ms)
        .order_by(interval.c.begin_ms.desc())
        .limit(1)
    ).one_or_none()
    if last is not None and last.done_ms is None:
        tx.execute(
            sa.update(interval)
            .where(of_domain, interval.c.begin_ms == last.begin_ms)
            .values(details=one.details)
        )
        return int(last.begin_ms)
    begin_ms = one.begin_ms
    if last is not None:  # it was reported before its end, by hand: the rest is a report of its own
        begin_ms = max(last.done_ms, last.begin_ms + 1000) // 1000 * 1000
    elif _domains_until(tx, one) >= MAX_DOMAINS:
        return None
    tx.execute(
        _INSERT,
        {
            "kind_": one.kind,
            "domain_": one.domain,
            "begin_ms_": begin_ms,
            "end_ms_": one.end_ms,
            "details_": one.details,
        },
    )
    return begin_ms


def _domains_until(tx: Connection, one: CountedInterval) -> int:
    count = sa.select(sa.func.count()).select_from(interval)
    same = (interval.c.kind == one.kind, interval.c.end_ms == one.end_ms)
    return tx.scalar(count.where(*same)) or 0


def _add_rows(tx: Connection, one: CountedInterval, begin_ms: int) -> None:
    there = sa.select(interval_row.c.digest).where(
        interval_row.c.kind == one.kind,
        interval_row.c.domain == one.domain,
        interval_row.c.begin_ms == begin_ms,
    )
    known = set(tx.scalars(there))
    for row in one.rows:
        digest = hashlib.sha256(row.content.encode()).hexdigest()[:32]
        if digest not in known and len(known) >= MAX_ROWS:
            continue
        known.add(digest)
        tx.execute(
            _ADD_ROW,
            {
                "kind_": one.kind,
                "domain_": one.domain,
                "begin_ms_": begin_ms,
                "digest_": digest,
                "content_": row.content,
                "count_": row.count,
            },
        )


def list_due(
    conn: Connection, kind: str, until_ms: int, now_ms: int, limit: int
) -> list[DueInterval]:
    """Return intervals that ended by ``until_ms`` and that no worker reports now, oldest first."""
    rows = conn.execute(
        sa.select(interval.c.kind, interval.c.domain, interval.c.begin_ms, interval.c.end_ms)
        .where(
            interval.c.kind == kind,
            interval.c.done_ms.is_(None),
            interval.c.end_ms <= until_ms,
            interval.c.lease_until_ms <= now_ms,
        )
        .order_by(interval.c.end_ms, interval.c.domain)
        .limit(limit)
    )
    return [DueInterval(*row) for row in rows]


def lease_interval(tx: Connection, items: Sequence[IntervalLease]) -> list[bool]:
    """Take the making of reports; return whether each was taken.

    Unit of work: of several workers that try, one gets it.
    """
    return [_lease(tx, item) for item in items]


def _lease(tx: Connection, item: IntervalLease) -> bool:
    done = tx.execute(
        sa.update(interval)
        .where(
            *_is(item.due),
            interval.c.done_ms.is_(None),
            interval.c.lease_until_ms <= item.now_ms,
        )
        .values(lease_until_ms=item.until_ms)
    )
    return done.rowcount == 1


def _is(due: DueInterval) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        interval.c.kind == due.kind,
        interval.c.domain == due.domain,
        interval.c.begin_ms == due.begin_ms,
    )


def load_interval(conn: Connection, due: DueInterval) -> LoadedInterval | None:
    """Return what was counted; ``None``: it is gone."""
    details = conn.scalar(sa.select(interval.c.details).where(*_is(due)))
    if details is None:
        return None
    rows = conn.execute(
        sa.select(interval_row.c.content, interval_row.c.count.label("mails"))
        .where(*_are_rows_of(due))
        .order_by(interval_row.c.count.desc(), interval_row.c.digest)
    )
    return LoadedInterval(details, tuple([CountedRow(row.content, row.mails) for row in rows]))


def _are_rows_of(due: DueInterval) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        interval_row.c.kind == due.kind,
        interval_row.c.domain == due.domain,
        interval_row.c.begin_ms == due.begin_ms,
    )


def finish_interval(tx: Connection, items: Sequence[FinishedInterval]) -> list[bool]:
    """End intervals and accept the mails that report on them; return whether each was leased.

    Unit of work: idempotent, because it ends what it demands; locks what ``intake.write_intakes``
    does.

    Raises:
        StoreFull, NoSuchMailbox: as ``intake.write_intakes``; nothing of this batch will be
        committed.
    """
    done = [_finish(tx, item) for item in items]
    mails = [mail for item, ours in zip(items, done, strict=True) if ours for mail in item.mails]
    if mails:
        write_intakes(tx, mails)
    return done


def _finish(tx: Connection, item: FinishedInterval) -> bool:
    lease = item.lease
    ended = tx.execute(
        sa.update(interval)
        .where(
            *_is(lease.due),
            interval.c.done_ms.is_(None),
            interval.c.lease_until_ms == lease.until_ms,
        )
        .values(done_ms=item.done_ms, outcome=item.outcome)
    )
    if ended.rowcount != 1:
        return False
    tx.execute(sa.delete(interval_row).where(*_are_rows_of(lease.due)))
    return True


def forget_intervals(tx: Connection, items: Sequence[int]) -> list[None]:
    """Delete intervals that were finished before a time.

    Unit of work: idempotent.
    """
    for before_ms in items:
        tx.execute(sa.delete(interval).where(interval.c.done_ms < before_ms))
    return [None] * len(items)


_INSERT = sa.text(
    "INSERT INTO report_interval"
    " (kind, domain, begin_ms, end_ms, details, lease_until_ms, done_ms, outcome)"
    " VALUES (:kind_, :domain_, :begin_ms_, :end_ms_, :details_, 0, NULL, '')"
    " ON CONFLICT (kind, domain, begin_ms) DO NOTHING"
)
_ADD_ROW = sa.text(
    "INSERT INTO report_interval_row (kind, domain, begin_ms, digest, content, count)"
    " VALUES (:kind_, :domain_, :begin_ms_, :digest_, :content_, :count_)"
    " ON CONFLICT (kind, domain, begin_ms, digest)"
    " DO UPDATE SET count = report_interval_row.count + excluded.count"
)
