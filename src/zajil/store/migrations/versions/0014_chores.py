"""Who does the work that one worker does for all nodes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the table of chores; it fills when the first worker looks at it."""
    op.create_table(
        "chore",
        sa.Column("name", KEY, primary_key=True),
        sa.Column("holder", KEY, nullable=False),
        sa.Column("beat", NUMBER, nullable=False),
        sqlite_with_rowid=False,
    )
