"""Messages that were moved in from elsewhere."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "imported",
        sa.Column("account_id", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("source", KEY, primary_key=True),
        sa.Column("mailbox", KEY, primary_key=True),
        sa.Column("key", KEY, primary_key=True),
        sa.Column("blob_id", KEY, nullable=False),
        sa.Column("digest", KEY, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_imported_account_id_digest"), "imported", ["account_id", "digest"])


def downgrade() -> None:
    """Remove it: a later import may bring messages a second time."""
    op.drop_table("imported")
