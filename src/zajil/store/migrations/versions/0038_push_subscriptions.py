"""Browsers that are told of new mail (Web Push), and the key that they know this server by."""

from __future__ import annotations

import os

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table, and a secret that all workers share."""
    op.create_table(
        "push_subscription",
        sa.Column("id", KEY, nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("token_hash", KEY, nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("auth", sa.LargeBinary(), nullable=False),
        sa.Column("language", KEY, nullable=False),
        sa.Column("told_uid", NUMBER, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_subscription")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_push_subscription_account_id"), "push_subscription", ["account_id"])
    secret = sa.table("secret", sa.column("name", KEY), sa.column("value", sa.LargeBinary))
    op.bulk_insert(secret, [{"name": "push", "value": os.urandom(32)}])
