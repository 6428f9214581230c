"""How many accounts and domains there are, for metrics."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.schema import account, domain, stranger_count


@value_class(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the directory holds."""

    accounts: int
    held: int
    """Accounts whose mail to other servers is held."""
    domains: int


def count_directory(conn: Connection) -> Totals:
    """Count accounts and domains."""
    return Totals(
        accounts=conn.scalar(sa.select(sa.func.count()).select_from(account)) or 0,
        held=conn.scalar(_HELD) or 0,
        domains=conn.scalar(sa.select(sa.func.count()).select_from(domain)) or 0,
    )


_HELD = sa.select(sa.func.count()).where(stranger_count.c.held_ms.is_not(None))
