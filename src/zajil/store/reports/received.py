"""Reports of others about our domains, as data (RFC 9990, RFC 9991, RFC 8460).

The tables are named after DMARC, whose reports were the first.

Laws:
- A report is kept once: domain, sender and report id identify it (RFC 9990 section 3.5.3). One
  whose mail was proven never counts as the repetition of one whose mail was not.
- What is kept of a mail that failed is its header section, bounded; never its body.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import NotFound
from zajil.core.ids import BlobId, MailId
from zajil.core.service import RecipientState
from zajil.core.value_class import value_class
from zajil.store.engine.rows import insert_rows
from zajil.store.schema import dmarc_report as report_table
from zajil.store.schema import dmarc_report_mail, message, recipient
from zajil.store.schema import dmarc_report_row as row_table

MAX_REPORTS = 100_000
"""Of one installation: more than a thousand receivers, every day, for the whole time."""


class NoSuchReport(NotFound):
    """No report has this number."""


@value_class(frozen=True, slots=True, kw_only=True)
class NewReportRow:
    """One row of an aggregate report."""

    source_ip: str
    header_from: str
    count: int
    disposition: str
    dkim: str
    """``pass`` or ``fail``."""
    spf: str
    content: str
    """JSON of the whole row."""


@value_class(frozen=True, slots=True, kw_only=True)
class NewReport:
    """A report that came, by mail or in a file; ``reports.dmarc.codec`` makes it."""

    kind: str
    """``aggregate`` or ``failure`` (of DMARC), or ``tls``."""
    domain: str
    """Ours, ASCII."""
    sender: str
    """Domain in From of its mail, ASCII; ``""``: it was read from a file."""
    report_id: str
    is_proven: bool
    """Its mail passed DMARC, or an operator brought it."""
    organization: str
    begin_ms: int
    end_ms: int
    received_ms: int
    messages: int
    passed: int
    content: str
    """JSON of the report without its rows."""
    rows: tuple[NewReportRow, ...] = ()
    mail_id: MailId | None = None


@value_class(frozen=True, slots=True, kw_only=True)
class StoredReport:
    """One report, as a list shows it."""

    id: int
    kind: str
    domain: str
    """Ours."""
    sender: str
    report_id: str
    is_proven: bool
    organization: str
    begin_ms: int
    end_ms: int
    received_ms: int
    mail_id: MailId | None
    messages: int
    passed: int


@value_class(frozen=True, slots=True)
class LoadedReport:
    """A report with everything in it."""

    stored: StoredReport
    content: str
    """JSON, as in ``NewReport``."""
    rows: tuple[tuple[str, int], ...]
    """JSON and count of each row, in order."""


@value_class(frozen=True, slots=True, kw_only=True)
class SourceSummary:
    """What all reports say of one source of mail for a domain."""

    domain: str
    source_ip: str
    messages: int
    passed: int
    dkim_passed: int
    spf_passed: int
    first_ms: int
    """Begin of the first interval it was in."""
    last_ms: int
    """End of the last one."""


DMARC_KINDS = ("aggregate", "failure")


@value_class(frozen=True, slots=True)
class ReportQuery:
    """Which reports are wanted."""

    domain: str | None = None
    since_ms: int = 0
    """Received since then."""
    proven_only: bool = False
    limit: int = 100
    kinds: tuple[str, ...] = DMARC_KINDS


@value_class(frozen=True, slots=True)
class ReportInMail:
    """A mail to the address for reports that was not examined yet."""

    mail_id: MailId
    at_ms: int
    domain: str
    prefix: str
    blob_id: BlobId


@value_class(frozen=True, slots=True)
class ExaminedMail:
    """A mail that was examined."""

    mail_id: MailId
    at_ms: int
    outcome: str
    """A sentence for a person."""
    report: NewReport | None = None


def add_reports(tx: Connection, items: Sequence[NewReport]) -> list[int | None]:
    """Keep reports; return the number of each, ``None`` for one that is there already.

    Unit of work: idempotent; touches nothing.
    """
    return [_add(tx, item) for item in items]


def _add(tx: Connection, item: NewReport) -> int | None:
    values = {column: getattr(item, column) for column in _REPORT_COLUMNS}
    same = [report_table.c[name] == values[name] for name in _SAME]
    if tx.scalar(sa.select(report_table.c.id).where(*same)) is not None:
        return None
    number: int = tx.execute(
        sa.insert(report_table).values(values).returning(report_table.c.id)
    ).scalar_one()
    if item.rows:
        insert_rows(
            tx,
            _ROW_COLUMNS,
            [
                (
                    number,
                    position,
                    row.source_ip,
                    row.header_from,
                    row.count,
                    row.disposition,
                    row.dkim,
                    row.spf,
                    row.content,
                )
                for position, row in enumerate(item.rows)
            ],
        )
    return number


_REPORT_COLUMNS = tuple([column.name for column in report_table.c if column.name != "id"])
_SAME = ("kind", "domain", "sender", "report_id", "is_proven")
_ROW_COLUMNS = tuple(row_table.c)


def list_reports(conn: Connection, query: ReportQuery) -> list[StoredReport]:
    """Return reports, newest first."""
    found = sa.select(*_LISTED).where(*_conditions(query))
    newest = found.order_by(report_table.c.received_ms.desc(), report_table.c.id.desc())
    return [StoredReport(**row._mapping) for row in conn.execute(newest.limit(query.limit))]


def summarize_sources(conn: Connection, query: ReportQuery) -> list[SourceSummary]:
    """Return what the reports say of each source, those that fail most first."""
    count = row_table.c["count"]

    def when(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((sa.or_(*conditions), count), else_=0))

    dkim, spf = row_table.c.dkim == "pass", row_table.c.spf == "pass"
    messages, passed = sa.func.sum(count), when(dkim, spf)
    rows = conn.execute(
        sa.select(
            report_table.c.domain,
            row_table.c.source_ip,
            messages,
            passed,
            when(dkim),
            when(spf),
            sa.func.min(report_table.c.begin_ms),
            sa.func.max(report_table.c.end_ms),
        )
        .join_from(report_table, row_table, row_table.c.report == report_table.c.id)
        .where(*_conditions(query))
        .group_by(report_table.c.domain, row_table.c.source_ip)
        .order_by((messages - passed).desc(), messages.desc(), row_table.c.source_ip)
        .limit(query.limit)
    )
    # A sum is a Decimal on PostgreSQL.
    names = ("messages", "passed", "dkim_passed", "spf_passed", "first_ms", "last_ms")
    return [
        SourceSummary(
            domain=row[0],
            source_ip=row[1],
            **dict(zip(names, map(int, row[2:]), strict=True)),
        )
        for row in rows
    ]


def _conditions(query: ReportQuery) -> list[sa.ColumnElement[bool]]:
    conditions = [
        report_table.c.received_ms >= query.since_ms,
        report_table.c.kind.in_(query.kinds),
    ]
    if query.domain is not None:
        conditions.append(report_table.c.domain == query.domain)
    if query.proven_only:
        conditions.append(report_table.c.is_proven.is_(True))
    return conditions


def load_report(conn: Connection, number: int) -> LoadedReport:
    """Return a report with everything in it.

    Raises:
        NoSuchReport: there is none of this number.
    """
    row = conn.execute(
        sa.select(*_LISTED, report_table.c.content).where(report_table.c.id == number)
    ).one_or_none()
    if row is None:
        raise NoSuchReport(f"report {number} does not exist")
    values = dict(row._mapping)
    content = values.pop("content")
    rows = conn.execute(
        sa.select(row_table.c.content, row_table.c["count"].label("mails"))
        .where(row_table.c.report == number)
        .order_by(row_table.c.position)
    )
    counted = tuple([(one.content, one.mails) for one in rows])
    return LoadedReport(StoredReport(**values), content, counted)


def list_report_mails(
    conn: Connection, keys: Sequence[str], since_ms: int, limit: int
) -> list[ReportInMail]:
    """Return mails to the addresses for reports that are in a mailbox and were not examined.

    Args:
        conn: a snapshot.
        keys: ``Address.key`` of the addresses.
        since_ms: accepted since then.
        limit: maximum number of mails, oldest first.
    """
    examined = sa.exists().where(dmarc_report_mail.c.mail_id == recipient.c.mail_id)
    rows = conn.execute(
        sa.select(
            recipient.c.mail_id,
            recipient.c.at_ms,
            recipient.c.address_key,
            message.c.prefix,
            message.c.blob_id,
        )
        .join_from(recipient, message, message.c.mail_id == recipient.c.mail_id)
        .where(
            recipient.c.address_key.in_(keys),
            recipient.c.at_ms >= since_ms,
            recipient.c.state == RecipientState.DELIVERED,
            ~examined,
        )
        .order_by(recipient.c.at_ms, recipient.c.mail_id)
        .limit(limit)
    )
    found: dict[str, ReportInMail] = {}
    for row in rows:
        domain = row.address_key.rpartition("@")[2]
        one = ReportInMail(row.mail_id, row.at_ms, domain, row.prefix, row.blob_id)
        found.setdefault(row.mail_id, one)
    return list(found.values())


def record_examined(tx: Connection, items: Sequence[ExaminedMail]) -> list[int | None]:
    """Keep what was in mails, and that they were examined; return the numbers of new reports.

    Unit of work: idempotent; touches nothing.
    """
    numbers = []
    for item in items:
        tx.execute(
            _EXAMINED,
            {"mail_id_": item.mail_id, "at_ms_": item.at_ms, "outcome_": item.outcome[:500]},
        )
        numbers.append(None if item.report is None else _add(tx, item.report))
    return numbers


def forget_reports(tx: Connection, items: Sequence[int]) -> list[None]:
    """Delete reports received before a time, and the oldest past ``MAX_REPORTS``.

    Unit of work: idempotent.
    """
    for before_ms in items:
        excess = (
            sa.select(report_table.c.id)
            .order_by(report_table.c.id.desc())
            .offset(MAX_REPORTS)
            .limit(1)
        )
        last = tx.scalar(excess)
        old = report_table.c.received_ms < before_ms
        gone = old if last is None else sa.or_(old, report_table.c.id <= last)
        numbers = sa.select(report_table.c.id).where(gone)
        tx.execute(sa.delete(row_table).where(row_table.c.report.in_(numbers)))
        tx.execute(sa.delete(report_table).where(gone))
        tx.execute(sa.delete(dmarc_report_mail).where(dmarc_report_mail.c.at_ms < before_ms))
    return [None] * len(items)


_LISTED = tuple([column for column in report_table.c if column.name != "content"])
_EXAMINED = sa.text(
    "INSERT INTO dmarc_report_mail (mail_id, at_ms, outcome)"
    " VALUES (:mail_id_, :at_ms_, :outcome_) ON CONFLICT (mail_id) DO NOTHING"
)
