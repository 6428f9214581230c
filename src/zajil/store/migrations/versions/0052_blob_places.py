"""Messages in S3: what is deleted later, keys, rows by the place of their bytes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"
KIND = "expand"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "blob_garbage",
        sa.Column("location", KEY, primary_key=True),
        sa.Column("since_ms", NUMBER, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_blob_garbage_since_ms", "blob_garbage", ["since_ms"])
    op.create_table(
        "blob_key",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("since_ms", NUMBER, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "blob_place",
        sa.Column("place", KEY, primary_key=True),
        sa.Column("mark", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop the tables: what waits in them stays in S3 or the files, where sweeps find it."""
    op.drop_table("blob_place")
    op.drop_table("blob_key")
    op.drop_table("blob_garbage")
