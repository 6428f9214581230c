"""App passwords with their SCRAM keys, failed log-ins by network, and secrets of the server."""

from __future__ import annotations

import os

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables, and the secret that salts are made from."""
    create_app_password()
    create_scram_key()
    create_login_failure()
    create_secret()


def create_app_password() -> None:
    """Make table ``app_password``."""
    op.create_table(
        "app_password",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", KEY, nullable=False),
        sa.Column("label", KEY, nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("created_ms", NUMBER, nullable=False),
        sa.Column("last_used_ms", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_password")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_app_password_account_id_name")),
        sa.UniqueConstraint("account_id", "label", name=op.f("uq_app_password_account_id_label")),
        sqlite_autoincrement=True,
    )


def create_scram_key() -> None:
    """Make table ``scram_key``."""
    op.create_table(
        "scram_key",
        sa.Column("login", KEY, nullable=False),
        sa.Column("app_password_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("iterations", sa.Integer(), nullable=False),
        sa.Column("stored_key", sa.LargeBinary(), nullable=False),
        sa.Column("server_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("login", "app_password_id", name=op.f("pk_scram_key")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_scram_key_app_password_id"), "scram_key", ["app_password_id"])


def create_login_failure() -> None:
    """Make table ``login_failure``."""
    op.create_table(
        "login_failure",
        sa.Column("network", KEY, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_ms", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("network", name=op.f("pk_login_failure")),
        sqlite_with_rowid=False,
    )


def create_secret() -> None:
    """Make table ``secret`` with what is in it from the first day."""
    table = op.create_table(
        "secret",
        sa.Column("name", KEY, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secret")),
        sqlite_with_rowid=False,
    )
    op.bulk_insert(table, [{"name": "scram", "value": os.urandom(32)}])
