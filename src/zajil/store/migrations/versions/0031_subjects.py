"""The subject of each mail, by which an administrator finds it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Add the column; the mails that are there have no subject in the history."""
    column = sa.Column("subject", sa.Text(), nullable=False, server_default=sa.text("''"))
    op.add_column("mail", column)
