"""What accounts did with the mail of correspondents, who was asked to come again, and strangers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_COUNTS = ("junked", "kept", "written", "seen")


def upgrade() -> None:
    """Make the tables; they fill as mail comes and goes."""
    op.create_table(
        "stranger_count",
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("hour", NUMBER, nullable=False),
        sa.Column("hour_count", sa.Integer(), nullable=False),
        sa.Column("day", NUMBER, nullable=False),
        sa.Column("day_count", sa.Integer(), nullable=False),
        sa.Column("usual", sa.Double(), nullable=False),
        sa.Column("held_ms", NUMBER),
        sa.Column("told_ms", NUMBER),
        sa.Column("trusted_until_ms", NUMBER),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_stranger_count")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reputation",
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("at_ms", NUMBER, nullable=False),
        *[sa.Column(name, sa.Double(), nullable=False) for name in _COUNTS],
        *[sa.Column(f"{name}_voice", sa.Double(), nullable=False) for name in _COUNTS],
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("pk_reputation")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_reputation_at_ms"), "reputation", ["at_ms"])
    op.create_table(
        "greylist",
        sa.Column("key", KEY, nullable=False),
        sa.Column("first_ms", NUMBER, nullable=False),
        sa.Column("last_ms", NUMBER, nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_greylist")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_greylist_last_ms"), "greylist", ["last_ms"])
    op.execute(_KNOWN_ALREADY)


# Whom accounts wrote to before is no stranger; else a busy one would look stolen at once.
_KNOWN_ALREADY = """
    INSERT INTO reputation (account_id, key, at_ms, junked, kept, written, seen,
        junked_voice, kept_voice, written_voice, seen_voice)
    SELECT mail.account_id, 'address:' || recipient.address_key, MAX(recipient.at_ms),
        0, 0, COUNT(*), 0, 0, 0, 0, 0
    FROM recipient JOIN mail ON mail.id = recipient.mail_id
    WHERE mail.account_id IS NOT NULL AND recipient.next_hop IS NOT NULL
    GROUP BY mail.account_id, recipient.address_key
"""
