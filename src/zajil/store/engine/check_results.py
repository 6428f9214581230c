"""What the last checks of the store found: of each seventh of the messages, and of the rows.

``store.repair`` checks; these are apart from it, because a server at a rest reads them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.schema import content_check

PARTS = 7
ROWS = PARTS
"""Number of the result of ``check.find_damage``, beside those of the parts."""
_MOST_KEPT = 1000
"""Damaged blobs of one part."""


@value_class(frozen=True, slots=True)
class CheckResult:
    """The last result of one part of the store."""

    part: int
    """0 to 6: of the messages; ``ROWS``: of the rows and names of files."""
    at_ms: int
    blobs: int
    """That were read; of ``ROWS`` the number of faults."""
    bytes: int
    damaged: tuple[str, ...]
    """Ids of blobs; of ``ROWS`` sentences, the first of them."""


def load_checks(conn: Connection) -> dict[int, CheckResult]:
    """Return the last result of each part that was ever checked."""
    return {
        row.part: CheckResult(row.part, row.at_ms, row.blobs, row.bytes, _read(row.damaged))
        for row in conn.execute(sa.select(content_check))
    }


def _read(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def record_checks(tx: Connection, items: Sequence[Sequence[CheckResult]]) -> list[None]:
    """Remember results. Unit of work: idempotent."""
    for item in items:
        for one in item:
            row: dict[str, Any] = {
                "part": one.part,
                "at_ms": one.at_ms,
                "blobs": one.blobs,
                "bytes": one.bytes,
                "damaged": json.dumps(one.damaged[:_MOST_KEPT], ensure_ascii=False),
            }
            tx.execute(sa.delete(content_check).where(content_check.c.part == one.part))
            tx.execute(sa.insert(content_check).values(row))
    return [None] * len(items)
