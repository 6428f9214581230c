"""Certificates by ACME: accounts at authorities, keys, certificates, answers to challenges."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables. Long: there are four."""
    op.create_table(
        "acme_account",
        sa.Column("directory", KEY, nullable=False),
        sa.Column("private_key", sa.LargeBinary(), nullable=False),
        sa.Column("uri", sa.Text()),
        sa.Column("caa_domain", sa.Text()),
        sa.Column("created_ms", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("directory", name=op.f("pk_acme_account")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "host_key",
        sa.Column("key_hash", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("private_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", NUMBER, nullable=False),
        sa.Column("found_ms", NUMBER),
        sa.Column("activated_ms", NUMBER),
        sa.Column("retired_ms", NUMBER),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_host_key")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_host_key_name"), "host_key", ["name"])
    op.create_table(
        "host_certificate",
        sa.Column("name", KEY, nullable=False),
        sa.Column("key_hash", KEY),
        sa.Column("chain", sa.LargeBinary()),
        sa.Column("not_before_ms", NUMBER),
        sa.Column("not_after_ms", NUMBER),
        sa.Column("renew_ms", NUMBER),
        sa.Column("ask_ms", NUMBER),
        sa.Column("tried_ms", NUMBER),
        sa.Column("next_try_ms", NUMBER),
        sa.Column("failures", NUMBER, nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("waits_for", sa.Text()),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_host_certificate")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "acme_challenge",
        sa.Column("token", KEY, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("certificate", sa.LargeBinary()),
        sa.Column("private_key", sa.LargeBinary()),
        sa.Column("created_ms", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_acme_challenge")),
        sqlite_with_rowid=False,
    )
