"""Failed log-ins of each network: what the workers tell each other, so that all slow down alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.schema import login_failure


@value_class(frozen=True, slots=True)
class FailedLogin:
    """One failure, to be counted."""

    network: str
    at_ms: int
    window_ms: int
    """Failures further apart than this do not add up; older ones are forgotten."""


@value_class(frozen=True, slots=True)
class Failures:
    """What is known of one network."""

    count: int
    last_ms: int
    released_ms: int = 0
    """When an operator forgot the failures before; 0: never."""


def count_failures(tx: Connection, items: Sequence[FailedLogin]) -> list[None]:
    """Count failures, and forget networks that have been quiet.

    Unit of work: not idempotent; locks the rows of the networks, in their order.
    """
    newest = max(item.at_ms for item in items)
    window_ms = max(item.window_ms for item in items)
    for network, count in sorted(Counter(item.network for item in items).items()):
        values = {"network": network, "count": count, "at": newest, "since": newest - window_ms}
        tx.execute(_COUNT, values)
    tx.execute(sa.delete(login_failure).where(login_failure.c.last_ms < newest - window_ms))
    return [None] * len(items)


def failures_of(conn: Connection, network: str) -> Failures:
    """Return what is known of a network; the caller looks at how old it is."""
    row = conn.execute(_OF, {"network_": network}).one_or_none()
    return Failures(0, 0) if row is None else Failures(row.failures, row.last_ms, row.released_ms)


@value_class(frozen=True, slots=True)
class ReleaseNetwork:
    """What ``release_networks`` takes."""

    network: str
    now_ms: int


def release_networks(tx: Connection, items: Sequence[ReleaseNetwork]) -> list[bool]:
    """Forget the failures of networks; returns whether each had any.

    The rows stay, so that every worker forgets what it has counted itself.

    Unit of work: idempotent.
    """
    return [
        bool(
            tx.execute(
                sa.update(login_failure)
                .where(login_failure.c.network == item.network, login_failure.c.failures > 0)
                .values(failures=0, last_ms=item.now_ms, released_ms=item.now_ms)
            ).rowcount
        )
        for item in items
    ]


@value_class(frozen=True, slots=True)
class SlowedNetwork:
    """A network with failed log-ins."""

    network: str
    """IPv4 address or IPv6 /64."""
    failures: int
    last_ms: int


def slowed_networks(conn: Connection, since_ms: int, limit: int) -> list[SlowedNetwork]:
    """Return the networks whose last failure is not older than a time, most failures first."""
    rows = conn.execute(
        sa.select(login_failure)
        .where(login_failure.c.last_ms >= since_ms, login_failure.c.failures > 0)
        .order_by(login_failure.c.failures.desc(), login_failure.c.network)
        .limit(limit)
    )
    return [SlowedNetwork(row.network, row.failures, row.last_ms) for row in rows]


# Both databases understand this; SQLAlchemy has a construct for each, and none for both.
_COUNT = sa.text(
    "INSERT INTO login_failure (network, failures, last_ms) VALUES (:network, :count, :at) "
    "ON CONFLICT (network) DO UPDATE SET last_ms = :at, failures = :count + "
    "CASE WHEN login_failure.last_ms < :since THEN 0 ELSE login_failure.failures END"
)
_OF = sa.select(login_failure).where(login_failure.c.network == sa.bindparam("network_"))
