"""Where accounts forward their mail to, and when each logged in last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the columns and the table; nobody forwards, and nobody was seen to log in yet."""
    op.add_column("account", sa.Column("forward_to", sa.Text(), nullable=True))
    op.add_column("account", sa.Column("keeps_copy", sa.Boolean(), nullable=True))
    op.create_table(
        "last_login",
        sa.Column("account_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("at_ms", NUMBER, nullable=False),
        sa.Column("service", KEY, nullable=False),
        sa.Column("peer", KEY, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_last_login")),
        sqlite_with_rowid=False,
    )
