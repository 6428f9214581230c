"""When a message came into its mailbox (RFC 8514); of those that are there, nobody knows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the column, empty."""
    op.add_column("message", sa.Column("saved_at_ms", NUMBER))
