"""Backups that run, and messages that are kept for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "backup_hold",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("until_ms", NUMBER, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "held_blob",
        sa.Column("blob_id", KEY, primary_key=True),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Delete what is kept for backups alone, and the tables."""
    op.execute(
        "DELETE FROM blob WHERE id IN (SELECT blob_id FROM held_blob)"
        " AND NOT EXISTS (SELECT 1 FROM message WHERE message.blob_id = blob.id)"
        " AND NOT EXISTS (SELECT 1 FROM mail WHERE mail.blob_id = blob.id)"
        " AND NOT EXISTS (SELECT 1 FROM deleted_message WHERE blob_id = blob.id)"
    )
    op.execute(
        "DELETE FROM summary WHERE blob_id IN (SELECT blob_id FROM held_blob)"
        " AND NOT EXISTS (SELECT 1 FROM blob WHERE blob.id = summary.blob_id)"
    )
    op.drop_table("held_blob")
    op.drop_table("backup_hold")
