"""Log-ins of browsers say where they come from, and when they were used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns; of older log-ins nothing is known."""
    for column in (
        sa.Column("peer", KEY, nullable=False, server_default=sa.text("''")),
        sa.Column("agent", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("used_ms", NUMBER, nullable=False, server_default=sa.text("0")),
    ):
        op.add_column("web_session", column)
