"""What was made of the headers of many messages is kept; it is filled in as clients ask."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "kept_block",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("mailbox_id", NUMBER, nullable=False),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("kind", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kept_block")),
        sa.UniqueConstraint(
            "mailbox_id", "number", "kind", name=op.f("uq_kept_block_mailbox_id_number_kind")
        ),
    )
