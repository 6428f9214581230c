"""The servers that share the store, and the oldest program that may use it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
KIND = "expand"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "node",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("schema", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("epoch", NUMBER, nullable=False),
        sa.Column("is_cleared", sa.Boolean(), nullable=False),
        sa.Column("beat", NUMBER, nullable=False),
        sa.Column("beat_ms", NUMBER, nullable=False),
        sa.Column("started_ms", NUMBER, nullable=False),
        sa.Column("skew_ms", NUMBER, nullable=False),
        sa.Column("workers", sa.Integer(), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "schema_floor",
        sa.Column("floor", KEY, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO schema_floor (floor) VALUES ('0051')")


def downgrade() -> None:
    """Drop them."""
    op.drop_table("schema_floor")
    op.drop_table("node")
