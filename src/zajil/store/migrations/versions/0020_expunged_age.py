"""When messages were expunged, and up to where that is forgotten."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns; what was expunged before the upgrade is kept as if it were expunged now."""
    op.add_column(
        "mailbox",
        sa.Column("forgotten_modseq", NUMBER, nullable=False, server_default=sa.text("0")),
    )
    op.add_column(
        "expunged", sa.Column("at_ms", NUMBER, nullable=False, server_default=sa.text("0"))
    )
    expunged = sa.table("expunged", sa.column("at_ms", NUMBER))
    op.execute(sa.update(expunged).values(at_ms=int(time.time() * 1000)))
