"""Deleted messages that can be taken back, and quotas of accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table, and add the columns of accounts."""
    op.create_table(
        "deleted_message",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("mailbox_id", NUMBER, nullable=False),
        sa.Column("mailbox", KEY, nullable=False),
        sa.Column("deleted_ms", NUMBER, nullable=False),
        sa.Column("uid", NUMBER, nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("keywords", sa.Text(), nullable=False),
        sa.Column("received_at_ms", NUMBER, nullable=False),
        sa.Column("size", NUMBER, nullable=False),
        sa.Column("blob_id", KEY, nullable=False),
        sa.Column("mail_id", KEY),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("thread_id", KEY),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deleted_message")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deleted_message_blob_id", "deleted_message", ["blob_id"])
    op.create_index("ix_deleted_message_account_id_id", "deleted_message", ["account_id", "id"])
    op.add_column("account", sa.Column("quota_size", NUMBER))
    op.add_column("account", sa.Column("quota_messages", NUMBER))
    for name, kind in (
        ("quota_told", sa.Integer()),
        ("deleted_messages", NUMBER),
        ("deleted_size", NUMBER),
    ):
        column = sa.Column(name, kind, nullable=False, server_default=sa.text("0"))
        op.add_column("account", column)
