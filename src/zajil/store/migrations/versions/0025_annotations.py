"""Annotations of mailboxes and of the server."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "annotation",
        sa.Column("mailbox_id", NUMBER, nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("entry", KEY, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "account_id", "entry", name=op.f("pk_annotation")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_annotation_account_id", "annotation", ["account_id"])
