"""Logos of senders that a certificate confirms."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "sender_logo",
        sa.Column("domain", KEY, nullable=False),
        sa.Column("selector", KEY, nullable=False),
        sa.Column("until_ms", NUMBER, nullable=False),
        sa.Column("svg", sa.LargeBinary()),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "selector", name=op.f("pk_sender_logo")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_sender_logo_until_ms"), "sender_logo", ["until_ms"])
