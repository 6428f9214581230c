"""Subscriptions are of names: they stay when a mailbox is deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table, and take over what mailboxes were subscribed to."""
    op.create_table(
        "subscription",
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name", name=op.f("pk_subscription")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO subscription (account_id, name) "
        "SELECT account_id, name FROM mailbox WHERE subscribed"
    )
    op.drop_column("mailbox", "subscribed")
