"""The catalogue of shards: stores, what is in them, and accounts on their way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"
KIND = "expand"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "shard",
        sa.Column("name", KEY, primary_key=True),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("created_ms", NUMBER, nullable=False),
        sa.UniqueConstraint("number", name="uq_shard_number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "shard_place",
        sa.Column("name", KEY, primary_key=True),
        sa.Column("shard", KEY, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "shard_move",
        sa.Column("address_key", KEY, primary_key=True),
        sa.Column("login", KEY, nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("from_shard", KEY, nullable=False),
        sa.Column("to_shard", KEY, nullable=False),
        sa.Column("step", KEY, nullable=False),
        sa.Column("was_active", sa.Boolean(), nullable=False),
        sa.Column("since_ms", NUMBER, nullable=False),
        sa.Column("switched_ms", NUMBER),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in ("shard_move", "shard_place", "shard"):
        op.drop_table(name)
