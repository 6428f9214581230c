"""Wrong codes of the second step of a log-in, counted by account.

Whoever gets that far knows the password: the owner is not locked out by strangers.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.schema import code_failure

MOST_FAILURES = 10
"""Wrong codes of one account in ``FAILURE_WINDOW_MS``; further ones are not looked at."""
FAILURE_WINDOW_MS = 900_000


@value_class(frozen=True, slots=True)
class CodeFailure:
    """What ``count_code_failure`` takes."""

    account_id: AccountId
    at_ms: int


def may_try_code(conn: Connection, account_id: AccountId, now_ms: int) -> bool:
    """Check whether a code of an account may be looked at: few were wrong just before."""
    found = sa.select(code_failure).where(code_failure.c.account_id == account_id)
    row = conn.execute(found).one_or_none()
    if row is None or now_ms - row.since_ms >= FAILURE_WINDOW_MS:
        return True
    return bool(row.failures < MOST_FAILURES)


def count_code_failure(tx: Connection, items: Sequence[CodeFailure]) -> list[None]:
    """Count wrong codes. Unit of work: not idempotent; locks nothing."""
    for item in items:
        one = code_failure.c.account_id == item.account_id
        row = tx.execute(sa.select(code_failure).where(one)).one_or_none()
        if row is None:
            values = {"account_id": item.account_id, "failures": 1, "since_ms": item.at_ms}
            tx.execute(sa.insert(code_failure), values)
        elif item.at_ms - row.since_ms >= FAILURE_WINDOW_MS:
            tx.execute(sa.update(code_failure).where(one).values(failures=1, since_ms=item.at_ms))
        else:
            counted = code_failure.c.failures + 1
            tx.execute(sa.update(code_failure).where(one).values(failures=counted))
    return [None] * len(items)
