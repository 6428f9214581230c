"""What we saw of domains that ask for DMARC reports, until it is reported (RFC 9990).

Laws:
- One row for each domain and interval, and one report for it, whoever makes it: the lease says
  who does, and ``finish_report`` accepts its mail in the commit that ends the interval.
- Bounded: a flood of made-up domains or sources fills ``MAX_DOMAINS`` and ``MAX_ROWS``, and then
  counts no more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.mailauth.dmarc_report import PublishedPolicy, ReportRow
from zajil.store.mail.intake import Intake, accept
from zajil.store.reports.report_codec import decode_policy, decode_row, encode_policy, encode_row
from zajil.store.schema import dmarc_seen_domain as seen_domain
from zajil.store.schema import dmarc_seen_row as seen_row

MAX_DOMAINS = 10_000
"""Policy domains of one interval; a large provider sees some thousands a day."""
MAX_ROWS = 5_000
"""Rows of one domain and interval: a report of a megabyte, before it is packed."""


@dataclass(frozen=True, slots=True)
class SeenDomain:
    """What one worker saw of one domain since it told last."""

    policy: PublishedPolicy
    """As it was seen last (RFC 9990 section 3.1)."""
    report_to: tuple[str, ...]
    """URIs of ``rua``."""
    begin_ms: int
    """Of the interval."""
    end_ms: int
    rows: tuple[ReportRow, ...]


@dataclass(frozen=True, slots=True)
class DueReport:
    """An interval of a domain that is to be reported."""

    domain: str
    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class ReportLease:
    """Who makes the report: until when, which is also the token of the lease."""

    domain: str
    begin_ms: int
    now_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class SeenInterval:
    """Everything a report is made from."""

    policy: PublishedPolicy
    report_to: tuple[str, ...]
    rows: tuple[ReportRow, ...]


@dataclass(frozen=True, slots=True)
class FinishedReport:
    """An interval that is over: its report, or why there is none."""

    lease: ReportLease
    done_ms: int
    outcome: str
    """A sentence for a person."""
    mails: tuple[Intake, ...] = field(default=())


def count_seen(tx: Connection, items: Sequence[tuple[SeenDomain, ...]]) -> list[None]:
    """Add to what was seen.

    Unit of work: not idempotent; touches nothing.
    """
    for seen in items:
        # In one order, so that two nodes cannot wait for each other.
        for one in sorted(seen, key=lambda one: (one.policy.domain, one.begin_ms)):
            begin_ms = _open_interval(tx, one)
            if begin_ms is not None:
                _add_rows(tx, one, begin_ms)
    return [None] * len(items)


def _open_interval(tx: Connection, one: SeenDomain) -> int | None:
    """Give when the open interval began; ``None``: there are too many."""
    domain = one.policy.domain
    of_domain = seen_domain.c.domain == domain
    last = tx.execute(
        sa.select(seen_domain.c.begin_ms, seen_domain.c.done_ms)
        .where(of_domain, seen_domain.c.end_ms == one.end_ms)
        .order_by(seen_domain.c.begin_ms.desc())
        .limit(1)
    ).one_or_none()
    policy, report_to = encode_policy(one.policy), json.dumps(one.report_to)
    if last is not None and last.done_ms is None:
        tx.execute(
            sa.update(seen_domain)
            .where(of_domain, seen_domain.c.begin_ms == last.begin_ms)
            .values(policy=policy, report_to=report_to)
        )
        return int(last.begin_ms)
    begin_ms = one.begin_ms
    if last is not None:  # it was reported before its end, by hand: the rest is a report of its own
        begin_ms = max(last.done_ms, last.begin_ms + 1000) // 1000 * 1000
    elif _domains_until(tx, one.end_ms) >= MAX_DOMAINS:
        return None
    tx.execute(
        _INSERT_DOMAIN,
        {
            "domain_": domain,
            "begin_ms_": begin_ms,
            "end_ms_": one.end_ms,
            "policy_": policy,
            "report_to_": report_to,
        },
    )
    return begin_ms


def _domains_until(tx: Connection, end_ms: int) -> int:
    count = sa.select(sa.func.count()).select_from(seen_domain)
    return tx.scalar(count.where(seen_domain.c.end_ms == end_ms)) or 0


def _add_rows(tx: Connection, one: SeenDomain, begin_ms: int) -> None:
    domain = one.policy.domain
    there = sa.select(seen_row.c.digest).where(
        seen_row.c.domain == domain, seen_row.c.begin_ms == begin_ms
    )
    known = set(tx.scalars(there))
    for row in one.rows:
        content = encode_row(_without_count(row))
        digest = hashlib.sha256(content.encode()).hexdigest()[:32]
        if digest not in known and len(known) >= MAX_ROWS:
            continue
        known.add(digest)
        tx.execute(
            _ADD_ROW,
            {
                "domain_": domain,
                "begin_ms_": begin_ms,
                "digest_": digest,
                "content_": content,
                "count_": row.count,
            },
        )


def _without_count(row: ReportRow) -> ReportRow:
    return ReportRow(
        row.source_ip,
        0,
        row.disposition,
        row.dkim,
        row.spf,
        row.header_from,
        row.envelope_from,
        row.envelope_to,
        row.overrides,
        row.dkim_results,
        row.spf_results,
    )


def list_due(conn: Connection, until_ms: int, now_ms: int, limit: int) -> list[DueReport]:
    """Give intervals that ended by ``until_ms`` and that nobody reports just now, oldest first."""
    rows = conn.execute(
        sa.select(seen_domain.c.domain, seen_domain.c.begin_ms, seen_domain.c.end_ms)
        .where(
            seen_domain.c.done_ms.is_(None),
            seen_domain.c.end_ms <= until_ms,
            seen_domain.c.lease_until_ms <= now_ms,
        )
        .order_by(seen_domain.c.end_ms, seen_domain.c.domain)
        .limit(limit)
    )
    return [DueReport(row.domain, row.begin_ms, row.end_ms) for row in rows]


def lease_report(tx: Connection, items: Sequence[ReportLease]) -> list[bool]:
    """Take the making of reports; gives whether it is ours.

    Unit of work: of several that try, one gets it.
    """
    return [_lease(tx, item) for item in items]


def _lease(tx: Connection, item: ReportLease) -> bool:
    done = tx.execute(
        sa.update(seen_domain)
        .where(
            seen_domain.c.domain == item.domain,
            seen_domain.c.begin_ms == item.begin_ms,
            seen_domain.c.done_ms.is_(None),
            seen_domain.c.lease_until_ms <= item.now_ms,
        )
        .values(lease_until_ms=item.until_ms)
    )
    return done.rowcount == 1


def load_seen(conn: Connection, domain: str, begin_ms: int) -> SeenInterval | None:
    """Give what was seen; ``None``: it is gone. Sources that send most come first."""
    row = conn.execute(
        sa.select(seen_domain.c.policy, seen_domain.c.report_to).where(
            seen_domain.c.domain == domain, seen_domain.c.begin_ms == begin_ms
        )
    ).one_or_none()
    if row is None:
        return None
    rows = conn.execute(
        sa.select(seen_row.c.content, seen_row.c.count.label("mails"))
        .where(seen_row.c.domain == domain, seen_row.c.begin_ms == begin_ms)
        .order_by(seen_row.c.count.desc(), seen_row.c.digest)
    )
    return SeenInterval(
        decode_policy(row.policy),
        tuple(json.loads(row.report_to)),
        tuple([decode_row(one.content, one.mails) for one in rows]),
    )


def finish_report(tx: Connection, items: Sequence[FinishedReport]) -> list[bool]:
    """End intervals and accept the mails that report on them; gives whether the lease was ours.

    Unit of work: idempotent, because it ends what it demands; locks what ``intake.accept`` does.

    Raises:
        StoreFull, NoSuchMailbox: as ``intake.accept``; nothing of this batch will be committed.
    """
    done = [_finish(tx, item) for item in items]
    mails = [mail for item, ours in zip(items, done, strict=True) if ours for mail in item.mails]
    if mails:
        accept(tx, mails)
    return done


def _finish(tx: Connection, item: FinishedReport) -> bool:
    lease = item.lease
    ended = tx.execute(
        sa.update(seen_domain)
        .where(
            seen_domain.c.domain == lease.domain,
            seen_domain.c.begin_ms == lease.begin_ms,
            seen_domain.c.done_ms.is_(None),
            seen_domain.c.lease_until_ms == lease.until_ms,
        )
        .values(done_ms=item.done_ms, outcome=item.outcome)
    )
    if ended.rowcount != 1:
        return False
    tx.execute(
        sa.delete(seen_row).where(
            seen_row.c.domain == lease.domain, seen_row.c.begin_ms == lease.begin_ms
        )
    )
    return True


def forget_seen(tx: Connection, items: Sequence[int]) -> list[None]:
    """Delete intervals that were done before a time.

    Unit of work: idempotent.
    """
    for before_ms in items:
        tx.execute(sa.delete(seen_domain).where(seen_domain.c.done_ms < before_ms))
    return [None] * len(items)


_INSERT_DOMAIN = sa.text(
    "INSERT INTO dmarc_seen_domain"
    " (domain, begin_ms, end_ms, policy, report_to, lease_until_ms, done_ms, outcome)"
    " VALUES (:domain_, :begin_ms_, :end_ms_, :policy_, :report_to_, 0, NULL, '')"
    " ON CONFLICT (domain, begin_ms) DO NOTHING"
)
_ADD_ROW = sa.text(
    "INSERT INTO dmarc_seen_row (domain, begin_ms, digest, content, count)"
    " VALUES (:domain_, :begin_ms_, :digest_, :content_, :count_)"
    " ON CONFLICT (domain, begin_ms, digest)"
    " DO UPDATE SET count = dmarc_seen_row.count + excluded.count"
)
