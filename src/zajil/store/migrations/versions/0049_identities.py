"""Who an account is in a directory or at a provider of log-ins, and the state of the directory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "identity",
        sa.Column("source", KEY, nullable=False),
        sa.Column("subject", KEY, nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("aliases", sa.Text(), nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("created_ms", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("source", "subject", name=op.f("pk_identity")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_identity_account_id"), "identity", ["account_id"])
    op.create_table(
        "directory_state",
        sa.Column("source", KEY, primary_key=True),
        sa.Column("tried_ms", NUMBER, nullable=False),
        sa.Column("done_ms", NUMBER, nullable=False),
        sa.Column("problem", KEY, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Remove them: accounts of a directory stay, and nobody can log in to them with a password."""
    op.drop_table("directory_state")
    op.drop_index("ix_identity_account_id", "identity")
    op.drop_table("identity")
