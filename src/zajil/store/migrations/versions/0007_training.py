"""Words of junk and of wanted mail, and what waits to be learned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "training",
        sa.Column("account_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("blob_id", KEY, nullable=False),
        sa.Column("mail_id", KEY),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("lease_until_ms", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "blob_id", name=op.f("pk_training")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "trained",
        sa.Column("account_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("blob_id", KEY, nullable=False),
        sa.Column("is_junk", sa.Boolean(), nullable=False),
        sa.Column("is_shared", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "blob_id", name=op.f("pk_trained")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "word_model",
        sa.Column("account_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.Column("junk", NUMBER, nullable=False),
        sa.Column("ham", NUMBER, nullable=False),
        sa.Column("shared_junk", NUMBER, nullable=False),
        sa.Column("shared_ham", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_word_model")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "word",
        sa.Column("account_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("word", KEY, nullable=False),
        sa.Column("junk", NUMBER, nullable=False),
        sa.Column("ham", NUMBER, nullable=False),
        sa.Column("shared_junk", NUMBER, nullable=False),
        sa.Column("shared_ham", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "word", name=op.f("pk_word")),
        sqlite_with_rowid=False,
    )
