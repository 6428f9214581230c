"""MTA-STS policies of other domains."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0042"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "sts_policy",
        sa.Column("domain", KEY, primary_key=True),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("mx", sa.Text(), nullable=False),
        sa.Column("until_ms", NUMBER, nullable=False),
        sa.Column("checked_ms", NUMBER, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_sts_policy_until_ms"), "sts_policy", ["until_ms"])
    op.create_index(op.f("ix_sts_policy_checked_ms"), "sts_policy", ["checked_ms"])
