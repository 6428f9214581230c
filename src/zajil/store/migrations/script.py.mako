"""${message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
KIND = "expand"  # or "contract": see store/engine/rolling.py


def upgrade() -> None:
    """${message}."""
    ${upgrades if upgrades else "pass"}
