"""MTA-STS policies of other domains, kept for all workers until they end (RFC 8461 section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.engine.rows import insert_rows
from zajil.store.schema import sts_policy

MOST_ROWS = 50_000
"""Rows that are kept; beyond that those go that would end first."""


@value_class(frozen=True, slots=True, kw_only=True)
class KeptPolicy:
    """What was fetched last."""

    domain: str
    """ASCII, lower case."""
    record_id: str
    """Of the TXT record that announced it."""
    mode: str
    """``enforce``, ``testing`` or ``none``."""
    mx: tuple[str, ...]
    until_ms: int
    """When it ends."""
    checked_ms: int
    """When it was last fetched, or tried to be."""


def get_sts_policy(conn: Connection, domain: str, now_ms: int) -> KeptPolicy | None:
    """Return the policy of a domain that has not ended; ``None``: there is none."""
    query = sa.select(sts_policy).where(
        sts_policy.c.domain == domain, sts_policy.c.until_ms > now_ms
    )
    row = conn.execute(query).one_or_none()
    return None if row is None else _read(row)


def list_unchecked_policies(conn: Connection, before_ms: int, limit: int) -> list[KeptPolicy]:
    """Return policies that nobody has looked for since a time, the oldest first."""
    query = sa.select(sts_policy).where(sts_policy.c.checked_ms < before_ms)
    rows = conn.execute(query.order_by(sts_policy.c.checked_ms).limit(limit))
    return [_read(row) for row in rows]


def keep_sts_policies(tx: Connection, items: Sequence[KeptPolicy]) -> list[None]:
    """Keep policies in the place of what was known. Unit of work: idempotent."""
    newest = {item.domain: item for item in items}
    for domain in sorted(newest):
        tx.execute(sa.delete(sts_policy).where(sts_policy.c.domain == domain))
    columns = [sts_policy.c[name] for name in _COLUMNS]
    rows = [
        (
            one.domain,
            one.record_id,
            one.mode,
            " ".join(one.mx),
            one.until_ms,
            one.checked_ms,
        )
        for _, one in sorted(newest.items())
    ]
    # Two workers may have fetched the same one: what they found is the same, too.
    insert_rows(tx, columns, rows, keep_old=True)
    return [None] * len(items)


def forget_sts_policies(tx: Connection, items: Sequence[int]) -> list[int]:
    """Forget what has ended at a time (Unix milliseconds), and what there is too much of.

    Unit of work: idempotent.

    Returns:
        How many rows went.
    """
    gone: list[int] = []
    for now_ms in items:
        count = tx.execute(sa.delete(sts_policy).where(sts_policy.c.until_ms <= now_ms)).rowcount
        oldest = sa.select(sts_policy.c.until_ms).order_by(sts_policy.c.until_ms.desc())
        limit = oldest.offset(MOST_ROWS).limit(1).scalar_subquery()
        count += tx.execute(sa.delete(sts_policy).where(sts_policy.c.until_ms <= limit)).rowcount
        gone.append(count)
    return gone


_COLUMNS = ("domain", "record_id", "mode", "mx", "until_ms", "checked_ms")


def _read(row: sa.Row[tuple[object, ...]]) -> KeptPolicy:
    known = dict(row._mapping)
    known["mx"] = tuple(str(known["mx"]).split())
    return KeptPolicy(**known)
