"""One set of tables for the counts of all kinds of reports, not of DMARC alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, move the counts of DMARC there, and drop the old tables."""
    op.create_table(
        "report_interval",
        sa.Column("kind", KEY, primary_key=True),
        sa.Column("domain", KEY, primary_key=True),
        sa.Column("begin_ms", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("end_ms", NUMBER, nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("lease_until_ms", NUMBER, nullable=False),
        sa.Column("done_ms", NUMBER),
        sa.Column("outcome", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "report_interval_row",
        sa.Column("kind", KEY, primary_key=True),
        sa.Column("domain", KEY, primary_key=True),
        sa.Column("begin_ms", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("digest", KEY, primary_key=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("count", NUMBER, nullable=False),
        sqlite_with_rowid=False,
    )
    # Both columns are JSON, so the new one is put together as text.
    op.execute(
        "INSERT INTO report_interval"
        " (kind, domain, begin_ms, end_ms, details, lease_until_ms, done_ms, outcome)"
        " SELECT 'dmarc', domain, begin_ms, end_ms,"
        " '{\"policy\":' || policy || ',\"report_to\":' || report_to || '}',"
        " lease_until_ms, done_ms, outcome FROM dmarc_seen_domain"
    )
    op.execute(
        "INSERT INTO report_interval_row (kind, domain, begin_ms, digest, content, count)"
        " SELECT 'dmarc', domain, begin_ms, digest, content, count FROM dmarc_seen_row"
    )
    op.drop_table("dmarc_seen_domain")
    op.drop_table("dmarc_seen_row")
