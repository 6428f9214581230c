"""The audit trail: who changed what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the table; what happened before it existed is not known."""
    op.create_table(
        "audit",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at_ms", NUMBER, nullable=False),
        sa.Column("actor", KEY, nullable=False),
        sa.Column("account_id", NUMBER),
        sa.Column("subject", KEY, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("ix_audit_at_ms", "audit", ["at_ms"])
    op.create_index("ix_audit_actor", "audit", ["actor", "at_ms"])
    op.create_index("ix_audit_subject", "audit", ["subject", "at_ms"])
    of_account = sa.text("account_id IS NOT NULL")
    op.create_index(
        "ix_audit_account_id",
        "audit",
        ["account_id", "at_ms"],
        sqlite_where=of_account,
        postgresql_where=of_account,
    )
