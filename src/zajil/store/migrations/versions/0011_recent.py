r"""The mark from which on messages of a mailbox are recent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    r"""Add the column; what was there before is recent to nobody, as no session was asked."""
    op.add_column(
        "mailbox", sa.Column("recent_from", NUMBER, nullable=False, server_default=sa.text("1"))
    )
    op.execute("UPDATE mailbox SET recent_from = uid_next")
