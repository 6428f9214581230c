"""What happened in each minute, for the overview of the administration pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "traffic",
        sa.Column("minute", NUMBER, autoincrement=False, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("count", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("minute", "name", name=op.f("pk_traffic")),
        sqlite_with_rowid=False,
    )
