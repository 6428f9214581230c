"""The events of an accepted mail in its own row; those of before stay where they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the column, and index the sessions of those events alone that belong to no mail."""
    op.add_column("mail", sa.Column("events", sa.LargeBinary()))
    op.drop_index("ix_event_session_id", "event")
    without_mail = sa.text("session_id IS NOT NULL AND mail_id IS NULL")
    op.create_index(
        "ix_event_session_id",
        "event",
        ["session_id"],
        sqlite_where=without_mail,
        postgresql_where=without_mail,
    )
