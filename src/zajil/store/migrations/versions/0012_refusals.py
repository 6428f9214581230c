"""Refusals and mail to aliases can be found: their keys and indexes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from zajil.core.address import BadAddress, parse_address

revision = "0012"
down_revision = "0011"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the key of the alias that was named, fill it in, and make the indexes."""
    op.add_column("recipient", sa.Column("addressed_key", KEY, nullable=True))
    _fill_in()
    named, without_mail = sa.text("addressed_key IS NOT NULL"), sa.text("mail_id IS NULL")
    op.create_index(
        "ix_recipient_addressed_key",
        "recipient",
        ["addressed_key", "at_ms"],
        sqlite_where=named,
        postgresql_where=named,
    )
    op.create_index(
        "ix_event_without_mail",
        "event",
        ["at_ms"],
        sqlite_where=without_mail,
        postgresql_where=without_mail,
    )


def _fill_in() -> None:
    connection = op.get_bind()
    spelled = sa.column("addressed_as", sa.Text)
    recipient = sa.table("recipient", spelled, sa.column("addressed_key", KEY))
    found = connection.execute(sa.select(spelled).select_from(recipient).distinct())
    for alias in [row.addressed_as for row in found if row.addressed_as is not None]:
        try:
            key = parse_address(alias).key
        except BadAddress:
            continue
        update = sa.update(recipient).where(spelled == alias)
        connection.execute(update.values(addressed_key=key))
