"""Summaries of messages, and their threads. The indexer fills them in while the server runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the index of messages that have no thread yet."""
    op.create_table(
        "summary",
        sa.Column("blob_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("base_subject", sa.Text(), nullable=False),
        sa.Column("people", sa.Text(), nullable=False),
        sa.Column("date_ms", NUMBER),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("has_attachments", sa.Boolean(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("reference_ids", sa.Text(), nullable=False),
        sa.Column("envelope", sa.LargeBinary()),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("body_structure", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("blob_id", name=op.f("pk_summary")),
    )
    op.create_table(
        "thread_link",
        sa.Column("account_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("key", NUMBER, autoincrement=False, nullable=False),
        sa.Column("thread_id", KEY, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("pk_thread_link")),
        sqlite_with_rowid=False,
    )
    op.add_column("message", sa.Column("thread_id", KEY))
    unindexed = sa.text("thread_id IS NULL")
    op.create_index(
        "ix_message_unindexed",
        "message",
        ["blob_id"],
        sqlite_where=unindexed,
        postgresql_where=unindexed,
    )
