"""The keys our domains sign with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table; domains get their keys when the server starts."""
    op.create_table(
        "dkim_key",
        sa.Column("domain", KEY, nullable=False),
        sa.Column("selector", KEY, nullable=False),
        sa.Column("algorithm", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("private_key", sa.LargeBinary()),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", NUMBER, nullable=False),
        sa.Column("found_ms", NUMBER),
        sa.Column("activated_ms", NUMBER),
        sa.Column("retired_ms", NUMBER),
        sa.Column("revoked_ms", NUMBER),
        sa.PrimaryKeyConstraint("domain", "selector", name=op.f("pk_dkim_key")),
        sqlite_with_rowid=False,
    )
