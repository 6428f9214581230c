"""Accounts that may change what belongs to some domains."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "domain_admin",
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("domain", KEY, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "domain", name=op.f("pk_domain_admin")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_domain_admin_domain"), "domain_admin", ["domain"])


def downgrade() -> None:
    """Remove it: these accounts are ordinary ones again."""
    op.drop_index("ix_domain_admin_domain", "domain_admin")
    op.drop_table("domain_admin")
