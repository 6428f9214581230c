"""Where a message in Trash, Junk or Archive came from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the column; of messages that lie there already it is not known."""
    op.add_column("message", sa.Column("origin_id", NUMBER))
