"""Logos of senders that a certificate confirmed (BIMI), kept for all workers and readers.

A row is a domain and a selector. One without a logo says that there is none, so that nobody is
asked again before ``until_ms``.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.engine.rows import insert_rows
from zajil.store.schema import sender_logo

MOST_ROWS = 20_000
"""Rows that are kept; beyond that those go that would end first."""


@value_class(frozen=True, slots=True, kw_only=True)
class KeptLogo:
    """What was found at the last look-up."""

    domain: str
    """Of the author, ASCII."""
    selector: str
    until_ms: int
    svg: bytes | None = None
    """``None``: there is no logo that may be shown."""
    name: str = ""
    """Domain that the certificate is for, ASCII."""
    issuer: str = ""
    """Of the certificate, for people."""


def get_logo(conn: Connection, domain: str, selector: str, now_ms: int) -> KeptLogo | None:
    """Return what is known of the logo of a domain; ``None``: it has to be looked up."""
    query = sa.select(sender_logo).where(
        sender_logo.c.domain == domain,
        sender_logo.c.selector == selector,
        sender_logo.c.until_ms > now_ms,
    )
    row = conn.execute(query).one_or_none()
    if row is None:
        return None
    return KeptLogo(
        domain=row.domain,
        selector=row.selector,
        until_ms=row.until_ms,
        svg=None if row.svg is None else bytes(row.svg),
        name=row.name,
        issuer=row.issuer,
    )


def keep_logos(tx: Connection, items: Sequence[KeptLogo]) -> list[None]:
    """Keep what was found, in the place of what was known. Unit of work: idempotent."""
    newest = {(item.domain, item.selector): item for item in items}
    for domain, selector in sorted(newest):
        same = sa.and_(sender_logo.c.domain == domain, sender_logo.c.selector == selector)
        tx.execute(sa.delete(sender_logo).where(same))
    columns = [sender_logo.c[name] for name in _COLUMNS]
    rows = [[getattr(item, name) for name in _COLUMNS] for _, item in sorted(newest.items())]
    # Two workers may have looked up the same one: what they found is the same, too.
    insert_rows(tx, columns, rows, keep_old=True)
    return [None] * len(items)


_COLUMNS = ("domain", "selector", "until_ms", "svg", "name", "issuer")


def forget_logos(tx: Connection, items: Sequence[int]) -> list[int]:
    """Forget what is out of date at a time (Unix milliseconds), and what there is too much of.

    Unit of work: idempotent.

    Returns:
        How many rows went.
    """
    gone: list[int] = []
    for now_ms in items:
        count = tx.execute(sa.delete(sender_logo).where(sender_logo.c.until_ms <= now_ms)).rowcount
        left = tx.execute(sa.select(sa.func.count()).select_from(sender_logo)).scalar_one()
        if left > MOST_ROWS:
            oldest = sa.select(sender_logo.c.until_ms).order_by(sender_logo.c.until_ms)
            limit = oldest.offset(left - MOST_ROWS - 1).limit(1).scalar_subquery()
            count += tx.execute(
                sa.delete(sender_logo).where(sender_logo.c.until_ms <= limit)
            ).rowcount
        gone.append(count)
    return gone
