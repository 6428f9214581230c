"""What a writer asks for beside the addresses, and what the queue must know to honour it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns, all of them null in a plain mail, and the index over what is held.

    Both databases add a column that may be null without touching a row.
    """
    for table, column in (
        ("mail", sa.Column("dsn_return", KEY, nullable=True)),
        ("mail", sa.Column("envelope_id", sa.Text(), nullable=True)),
        ("mail", sa.Column("require_tls", sa.Boolean(), nullable=True)),
        ("recipient", sa.Column("notify", sa.Integer(), nullable=True)),
        ("recipient", sa.Column("original_recipient", sa.Text(), nullable=True)),
        ("recipient", sa.Column("addressed_as", sa.Text(), nullable=True)),
        ("recipient", sa.Column("warned_ms", NUMBER, nullable=True)),
    ):
        op.add_column(table, column)
    op.create_index(
        "ix_recipient_held",
        "recipient",
        ["next_try_ms"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
