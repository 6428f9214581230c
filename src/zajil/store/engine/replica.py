"""A standby of PostgreSQL that answers where a few seconds do not matter.

Laws:
- Nothing waits long for a standby: what it does not answer within seconds, the database of
  ``store.url`` answers. While a look at it has no answer yet, what the last look said is true.
- What somebody must see at once is not asked here, but where the question itself finds out that
  the standby has it (``NotOnReplica``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.engine.errors import NotOnReplica, one_line
from zajil.store.engine.postgres import Postgres

R = TypeVar("R")

MOST_BEHIND_SECONDS = 10.0
"""A standby that is further behind is not asked."""
_LOOK_SECONDS = 1.0
"""Between two looks at how far it is behind."""
_AWAY_SECONDS = 10.0
"""How long a standby that did not answer is left alone."""
_PATIENCE_SECONDS = 5.0
"""How long one statement may take; the primary answers one that takes longer. A standby that hangs
costs twice this, once: for its connection, and for a new one."""


class Replica:
    """One standby, as one process sees it; used by several threads."""

    def __init__(self, url: str, patience: float | None, connections: int) -> None:
        """Connect to nothing yet.

        Args:
            url: ``store.replica_url``.
            patience: seconds that one statement may take; here it is at most five.
            connections: as those of the database.

        Raises:
            StoreUnavailable: it is no address.
        """
        patience = min(patience or _PATIENCE_SECONDS, _PATIENCE_SECONDS)
        self._database = Postgres(url, patience, connections)
        self._lock = threading.Lock()
        self._look_at = 0.0
        """When to look again how far it is behind, by the monotonic clock."""
        self._is_usable = False
        self._lag: float | None = None
        """At the last look; ``None``: it did not answer."""

    def ask(self, query: Callable[[Connection], R], otherwise: Callable[[], R]) -> R:
        """Run a query in a snapshot of the standby, or do something else where it cannot answer."""
        if not self._may_ask():
            return otherwise()
        try:
            with self._database.reader.connect() as conn, conn.begin():
                return query(conn)
        except NotOnReplica:
            return otherwise()
        except (sa.exc.DBAPIError, sa.exc.TimeoutError):
            self._leave_alone()
            return otherwise()

    def known_lag(self) -> float | None:
        """Return how far the standby is behind, in seconds; ``None``: it cannot be asked now."""
        self._may_ask()
        with self._lock:
            return self._lag

    def lag_seconds(self) -> float:
        """Ask how far the standby is behind; 0: it is no standby.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: it cannot be asked.
        """
        with self._database.reader.connect() as conn:
            return float(conn.scalar(_LAG) or 0)

    def advise(self) -> list[str]:
        """Return sentences about the standby that an operator should know of."""
        try:
            lag = self.lag_seconds()
        except sa.exc.SQLAlchemyError as error:
            reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            return [f"the replica cannot be read: {one_line(reason)}"]
        if lag > MOST_BEHIND_SECONDS:
            return [f"the replica is {lag:.0f} seconds behind, and is not used"]
        return []

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def _may_ask(self) -> bool:
        now = time.monotonic()
        with self._lock:
            if now < self._look_at:
                return self._is_usable
            self._look_at = now + _AWAY_SECONDS  # the other threads do not look meanwhile
        try:
            lag = self.lag_seconds()
        except sa.exc.SQLAlchemyError:
            self._leave_alone()
            return False
        with self._lock:
            self._lag, self._is_usable = lag, lag <= MOST_BEHIND_SECONDS
            self._look_at = time.monotonic() + _LOOK_SECONDS
            return self._is_usable

    def _leave_alone(self) -> None:
        with self._lock:
            self._lag, self._is_usable = None, False
            self._look_at = time.monotonic() + _AWAY_SECONDS


# A standby that has replayed all that it received may be cut off: the time of the last transaction
# tells. Where nothing is written nothing is behind, but a server writes every few seconds.
_LAG = sa.text(
    "SELECT CASE WHEN pg_is_in_recovery() THEN coalesce("
    "extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 1e9) ELSE 0 END"
)
