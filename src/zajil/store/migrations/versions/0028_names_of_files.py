"""SEARCH looks through names of files and through documents: all messages are indexed again."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Empty the index, and let all messages wait for the indexer: until then they are read."""
    op.execute("DELETE FROM text_block")
    op.execute("DELETE FROM text_segment")
    op.execute("UPDATE message SET indexed = 0 WHERE indexed <> 0")
