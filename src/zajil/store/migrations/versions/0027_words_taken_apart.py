"""Words of the index have letters and their marks one by one: what was indexed is indexed again."""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Empty the index, and let all messages wait for the indexer: until then they are read."""
    op.execute("DELETE FROM text_block")
    op.execute("DELETE FROM text_segment")
    op.execute("UPDATE message SET indexed = 0 WHERE indexed <> 0")
