"""Who may send as whose address, and how much each account has sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; nobody has delegated anything yet."""
    op.create_table(
        "delegation",
        sa.Column("address_key", KEY, nullable=False),
        sa.Column("account_id", NUMBER, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("address_key", "account_id", name=op.f("pk_delegation")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_delegation_account_id"), "delegation", ["account_id"])
    op.create_table(
        "send_count",
        sa.Column("account_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("minute", NUMBER, nullable=False),
        sa.Column("minute_count", sa.Integer(), nullable=False),
        sa.Column("day", NUMBER, nullable=False),
        sa.Column("day_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_send_count")),
        sqlite_with_rowid=False,
    )
