"""The digest of each message, the results of the nightly check, and which version upgraded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make tables and column; digests of the messages that are there are computed at a rest."""
    op.create_table(
        "schema_upgrade",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at_ms", NUMBER, nullable=False),
        sa.Column("from_schema", KEY, nullable=False),
        sa.Column("to_schema", KEY, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
    )
    op.create_table(
        "content_check",
        sa.Column("part", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at_ms", NUMBER, nullable=False),
        sa.Column("blobs", NUMBER, nullable=False),
        sa.Column("bytes", NUMBER, nullable=False),
        sa.Column("damaged", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.add_column("blob", sa.Column("digest", sa.LargeBinary()))
    condition = sa.text("digest IS NULL")
    op.create_index(
        "ix_blob_undigested",
        "blob",
        ["id"],
        sqlite_where=condition,
        postgresql_where=condition,
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_index("ix_blob_undigested", "blob")
    op.drop_column("blob", "digest")
    op.drop_table("content_check")
    op.drop_table("schema_upgrade")
