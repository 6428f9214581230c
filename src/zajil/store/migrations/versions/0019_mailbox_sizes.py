"""How many messages and bytes a mailbox holds, in its row; what is there is counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns, and count the messages of each mailbox."""
    for name in ("messages", "size"):
        column = sa.Column(name, NUMBER, nullable=False, server_default=sa.text("0"))
        op.add_column("mailbox", column)
    op.execute(
        "UPDATE mailbox SET messages = held.messages, size = held.size FROM ("
        "SELECT mailbox_id, count(*) AS messages, sum(size) AS size FROM message"
        " GROUP BY mailbox_id) AS held WHERE held.mailbox_id = mailbox.id"
    )
