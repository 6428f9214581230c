"""What happened in each minute, for the overview; and which networks an operator released."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table, and add the column."""
    op.create_table(
        "traffic",
        sa.Column("minute", NUMBER, autoincrement=False, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("count", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("minute", "name", name=op.f("pk_traffic")),
        sqlite_with_rowid=False,
    )
    released = sa.Column("released_ms", NUMBER, nullable=False, server_default=sa.text("0"))
    op.add_column("login_failure", released)
