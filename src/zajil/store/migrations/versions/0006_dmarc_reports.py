"""Reports of DMARC: what we saw of others' domains, and what others saw of ours."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables. Long: it is a list of columns."""
    op.create_table(
        "dmarc_seen_domain",
        sa.Column("domain", KEY, nullable=False),
        sa.Column("begin_ms", NUMBER, nullable=False),
        sa.Column("end_ms", NUMBER, nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("report_to", sa.Text(), nullable=False),
        sa.Column("lease_until_ms", NUMBER, nullable=False),
        sa.Column("done_ms", NUMBER),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "begin_ms", name=op.f("pk_dmarc_seen_domain")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dmarc_seen_row",
        sa.Column("domain", KEY, nullable=False),
        sa.Column("begin_ms", NUMBER, nullable=False),
        sa.Column("digest", KEY, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("count", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("domain", "begin_ms", "digest", name=op.f("pk_dmarc_seen_row")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dmarc_report",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("domain", KEY, nullable=False),
        sa.Column("sender", KEY, nullable=False),
        sa.Column("report_id", KEY, nullable=False),
        sa.Column("is_proven", sa.Boolean(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("begin_ms", NUMBER, nullable=False),
        sa.Column("end_ms", NUMBER, nullable=False),
        sa.Column("received_ms", NUMBER, nullable=False),
        sa.Column("mail_id", KEY),
        sa.Column("messages", NUMBER, nullable=False),
        sa.Column("passed", NUMBER, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dmarc_report")),
        sa.UniqueConstraint(
            "kind",
            "domain",
            "sender",
            "report_id",
            "is_proven",
            name=op.f("uq_dmarc_report_kind_domain_sender_report_id_is_proven"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_dmarc_report_received_ms"), "dmarc_report", ["received_ms"])
    op.create_table(
        "dmarc_report_row",
        sa.Column("report", NUMBER, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source_ip", KEY, nullable=False),
        sa.Column("header_from", KEY, nullable=False),
        sa.Column("count", NUMBER, nullable=False),
        sa.Column("disposition", KEY, nullable=False),
        sa.Column("dkim", KEY, nullable=False),
        sa.Column("spf", KEY, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("report", "position", name=op.f("pk_dmarc_report_row")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dmarc_report_mail",
        sa.Column("mail_id", KEY, nullable=False),
        sa.Column("at_ms", NUMBER, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("mail_id", name=op.f("pk_dmarc_report_mail")),
        sqlite_with_rowid=False,
    )
