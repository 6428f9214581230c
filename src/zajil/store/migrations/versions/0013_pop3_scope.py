"""App passwords for POP3 alone, a service that does not exist, are removed: they opened nothing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Remove them with their SCRAM keys."""
    of_pop3 = "SELECT id FROM app_password WHERE scope = 'pop3'"
    op.execute(sa.text(f"DELETE FROM scram_key WHERE app_password_id IN ({of_pop3})"))  # noqa: S608
    op.execute(sa.text("DELETE FROM app_password WHERE scope = 'pop3'"))
