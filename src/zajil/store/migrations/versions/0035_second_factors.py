"""Second factors: authenticator apps, recovery codes and passkeys, and the key of log-in steps."""

from __future__ import annotations

import os

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables, and a secret that all workers share."""
    op.create_table(
        "totp",
        sa.Column("account_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("secret", KEY, nullable=False),
        sa.Column("last_step", NUMBER, nullable=False),
        sa.Column("created_ms", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_totp")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "recovery_code",
        sa.Column("account_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("code_hash", KEY, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "code_hash", name=op.f("pk_recovery_code")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "passkey",
        sa.Column("credential_id", KEY, nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", NUMBER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_ms", NUMBER, nullable=False),
        sa.Column("used_ms", NUMBER),
        sa.Column("last_challenge", KEY, nullable=False),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_passkey")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_passkey_account_id"), "passkey", ["account_id"])
    op.create_table(
        "code_failure",
        sa.Column("account_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since_ms", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_code_failure")),
        sqlite_with_rowid=False,
    )
    secret = sa.table("secret", sa.column("name", KEY), sa.column("value", sa.LargeBinary))
    op.bulk_insert(secret, [{"name": "web", "value": os.urandom(32)}])
