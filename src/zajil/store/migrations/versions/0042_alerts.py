"""What the administrators were alerted of, and a row that readiness checks write to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0040"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "alert",
        sa.Column("kind", KEY, nullable=False),
        sa.Column("subject", KEY, nullable=False),
        sa.Column("begun_ms", NUMBER, nullable=False),
        sa.Column("told_ms", NUMBER, nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_alert")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "readiness",
        sa.Column("node", KEY, primary_key=True),
        sa.Column("at_ms", NUMBER, nullable=False),
        sqlite_with_rowid=False,
    )
