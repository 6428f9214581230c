"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# A migration never changes once released, so it does not use the types of ``schema``.
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    create_domain()
    create_account()
    create_address()
    create_mailbox()
    create_message()
    create_expunged()
    create_blob()
    create_mail()
    create_recipient()
    create_event()
    create_web_session()
    create_counter()


def create_domain() -> None:
    """Make table ``domain``."""
    op.create_table(
        "domain",
        sa.Column("ascii_name", KEY, nullable=False),
        sa.Column("created_ms", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("ascii_name", name=op.f("pk_domain")),
        sqlite_with_rowid=False,
    )


def create_account() -> None:
    """Make table ``account``."""
    op.create_table(
        "account",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("login", KEY, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", KEY, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_ms", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
        sqlite_autoincrement=True,
    )


def create_address() -> None:
    """Make table ``address``."""
    op.create_table(
        "address",
        sa.Column("key", KEY, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("domain", KEY, nullable=False),
        sa.Column("account_id", NUMBER, nullable=True),
        sa.Column("targets", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_address")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_address_account_id"), "address", ["account_id"], unique=False)
    op.create_index(op.f("ix_address_domain"), "address", ["domain"], unique=False)


def create_mailbox() -> None:
    """Make table ``mailbox``."""
    op.create_table(
        "mailbox",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("role", KEY, nullable=True),
        sa.Column("uid_validity", NUMBER, nullable=False),
        sa.Column("uid_next", NUMBER, nullable=False),
        sa.Column("modseq", NUMBER, nullable=False),
        sa.Column("subscribed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox")),
        sa.UniqueConstraint("account_id", "name", name=op.f("uq_mailbox_account_id_name")),
        sa.UniqueConstraint("account_id", "role", name=op.f("uq_mailbox_account_id_role")),
        sqlite_autoincrement=True,
    )


def create_message() -> None:
    """Make table ``message``."""
    op.create_table(
        "message",
        sa.Column("mailbox_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("uid", NUMBER, autoincrement=False, nullable=False),
        sa.Column("modseq", NUMBER, nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("keywords", sa.Text(), nullable=False),
        sa.Column("received_at_ms", NUMBER, nullable=False),
        sa.Column("size", NUMBER, nullable=False),
        sa.Column("blob_id", KEY, nullable=False),
        sa.Column("mail_id", KEY, nullable=True),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "uid", name=op.f("pk_message")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_message_blob_id"), "message", ["blob_id"], unique=False)
    op.create_index(
        op.f("ix_message_mailbox_id_modseq"), "message", ["mailbox_id", "modseq"], unique=False
    )


def create_expunged() -> None:
    """Make table ``expunged``."""
    op.create_table(
        "expunged",
        sa.Column("mailbox_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("modseq", NUMBER, autoincrement=False, nullable=False),
        sa.Column("uid", NUMBER, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", "modseq", "uid", name=op.f("pk_expunged")),
        sqlite_with_rowid=False,
    )


def create_blob() -> None:
    """Make table ``blob``."""
    op.create_table(
        "blob",
        sa.Column("id", KEY, nullable=False),
        sa.Column("size", NUMBER, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blob")),
    )


def create_mail() -> None:
    """Make table ``mail``."""
    op.create_table(
        "mail",
        sa.Column("id", KEY, nullable=False),
        sa.Column("parent_mail_id", KEY, nullable=True),
        sa.Column("session_id", KEY, nullable=True),
        sa.Column("account_id", NUMBER, nullable=True),
        sa.Column("at_ms", NUMBER, nullable=False),
        sa.Column("reverse_path", sa.Text(), nullable=True),
        sa.Column("from_key", KEY, nullable=True),
        sa.Column("header_from", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("size", NUMBER, nullable=False),
        sa.Column("blob_id", KEY, nullable=True),
        sa.Column("needs_smtputf8", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_mail_blob_id",
        "mail",
        ["blob_id"],
        unique=False,
        sqlite_where=sa.text("blob_id IS NOT NULL"),
        postgresql_where=sa.text("blob_id IS NOT NULL"),
    )


def create_recipient() -> None:
    """Make table ``recipient``."""
    op.create_table(
        "recipient",
        sa.Column("mail_id", KEY, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_ms", NUMBER, nullable=False),
        sa.Column("account_id", NUMBER, nullable=True),
        sa.Column("mailbox", sa.Text(), nullable=True),
        sa.Column("next_hop", KEY, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_ms", NUMBER, nullable=True),
        sa.Column("expires_ms", NUMBER, nullable=True),
        sa.Column("lease_owner", KEY, nullable=True),
        sa.Column("lease_token", KEY, nullable=True),
        sa.Column("lease_until_ms", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("mail_id", "position", name=op.f("pk_recipient")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_recipient_address_key", "recipient", ["address_key", "at_ms"], unique=False)
    op.create_index(
        "ix_recipient_waiting",
        "recipient",
        ["next_try_ms"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )


def create_event() -> None:
    """Make table ``event``."""
    op.create_table(
        "event",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("mail_id", KEY, nullable=True),
        sa.Column("session_id", KEY, nullable=True),
        sa.Column("at_ms", NUMBER, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index(
        "ix_event_mail_id",
        "event",
        ["mail_id"],
        unique=False,
        sqlite_where=sa.text("mail_id IS NOT NULL"),
        postgresql_where=sa.text("mail_id IS NOT NULL"),
    )
    op.create_index(
        "ix_event_session_id",
        "event",
        ["session_id"],
        unique=False,
        sqlite_where=sa.text("session_id IS NOT NULL"),
        postgresql_where=sa.text("session_id IS NOT NULL"),
    )


def create_web_session() -> None:
    """Make table ``web_session``."""
    op.create_table(
        "web_session",
        sa.Column("token_hash", KEY, nullable=False),
        sa.Column("account_id", NUMBER, nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False),
        sa.Column("created_ms", NUMBER, nullable=False),
        sa.Column("expires_ms", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_web_session")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_web_session_account_id"), "web_session", ["account_id"], unique=False)


def create_counter() -> None:
    """Make table ``counter``."""
    op.create_table(
        "counter",
        sa.Column("name", KEY, nullable=False),
        sa.Column("value", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counter")),
        sqlite_with_rowid=False,
    )
