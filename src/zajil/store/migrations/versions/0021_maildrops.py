"""Who has a maildrop of POP3."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the tables; a row comes with the first log-in of an account by POP3."""
    op.create_table(
        "maildrop",
        sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("holder", KEY, nullable=False),
        sa.Column("token", KEY, nullable=False),
        sa.Column("until_ms", NUMBER, nullable=False),
        sa.Column("examined_uid", NUMBER, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "maildrop_open_end",
        sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("uid", NUMBER, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
