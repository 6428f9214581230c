"""Contacts of accounts, and whom they wrote to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "contact",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("uid", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sort_key", KEY, nullable=False),
        sa.Column("emails", sa.Text(), nullable=False),
        sa.Column("phones", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("photo_type", sa.Text(), nullable=False),
        sa.Column("photo", sa.LargeBinary()),
        sa.Column("deleted_ms", NUMBER),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
        sa.UniqueConstraint("account_id", "uid", name=op.f("uq_contact_account_id_uid")),
    )
    op.create_table(
        "written_to",
        sa.Column("account_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("address_key", KEY, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("times", NUMBER, nullable=False),
        sa.Column("last_ms", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "address_key", name=op.f("pk_written_to")),
        sqlite_with_rowid=False,
    )
