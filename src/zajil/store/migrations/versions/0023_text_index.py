"""The index of words. The indexer fills it in while the server runs, for old messages as well."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and let all messages wait for the indexer."""
    op.create_table(
        "text_segment",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("blob_ids", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_text_segment")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_text_segment_account_id"), "text_segment", ["account_id"])
    op.create_table(
        "text_block",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("segment_id", NUMBER, nullable=False),
        sa.Column("first_word", sa.LargeBinary(), nullable=False),
        sa.Column("last_word", sa.LargeBinary(), nullable=False),
        sa.Column("words", sa.LargeBinary(), nullable=False),
        sa.Column("numbers", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_text_block")),
    )
    op.create_index(op.f("ix_text_block_segment_id"), "text_block", ["segment_id"])
    waiting = sa.Column("indexed", sa.SmallInteger(), nullable=False, server_default=sa.text("0"))
    op.add_column("message", waiting)
    op.drop_index("ix_message_unindexed", "message")
    for name, columns, where in (
        ("ix_message_waiting", ["blob_id"], "indexed = 0"),
        ("ix_message_unindexed", ["mailbox_id", "uid", "indexed"], "indexed <> 1"),
    ):
        condition = sa.text(where)
        op.create_index(
            name, "message", columns, sqlite_where=condition, postgresql_where=condition
        )
