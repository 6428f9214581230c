"""An index that finds the messages of a conversation in a mailbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Make the index; messages that wait for the indexer are not in it."""
    condition = sa.text("thread_id IS NOT NULL")
    op.create_index(
        "ix_message_thread",
        "message",
        ["mailbox_id", "thread_id", "uid"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
