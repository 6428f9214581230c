"""Rights on mailboxes of others; names below ``Shared`` are where an account sees them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table, and rename mailboxes of before that have the name of the namespace."""
    op.create_table(
        "mailbox_right",
        sa.Column("mailbox_id", NUMBER, nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("rights", KEY, nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "account_id", name=op.f("pk_mailbox_right")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_mailbox_right_account_id", "mailbox_right", ["account_id"])
    # The id of the account makes a name that is hardly taken; where it is, the upgrade stops.
    for table in ("mailbox", "subscription"):
        op.execute(
            f"UPDATE {table} SET name = 'Shared-' || account_id || substr(name, 7) "  # noqa: S608
            "WHERE name = 'Shared' OR name LIKE 'Shared/%'"
        )
