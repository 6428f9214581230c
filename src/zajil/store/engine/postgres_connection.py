"""Connections to PostgreSQL servers that may hang, restart, or hand over to another one.

Laws:
- Nothing waits for ever: a connection that gets no answer within its time is closed.
- A network that restarts may forget all connections without a word. So when a sign of life gets no
  answer, each connection to that server that is older is closed before its next transaction.
- Several servers in ``store.url`` are one database: the one that takes writes is used.
- A connection to a server that takes no writes any more is closed, so that the next one finds the
  server that does.
- A COMMIT that the server itself doubts has failed. With synchronous replication a server that is
  told to wait no longer says that the transaction "might not have been replicated" in a warning,
  and then that all is well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, LiteralString
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import Diagnostic, QueryCanceled, ReadOnlySqlTransaction, _WaitTimeout
from psycopg.pq import TransactionStatus

from zajil.store.engine.errors import StoreUnavailable

Parameters = dict[str, Any]
"""Parameters of a connection, as libpq names them; the password is among them."""

_DEFAULTS: Parameters = {
    "connect_timeout": "5",
    # A server whose machine or network is gone is noticed after 11 seconds, also by a connection
    # that only listens. One that takes longer for an answer confirms at once that it was asked.
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "2",
    "tcp_user_timeout": "11000",
}
"""What ``store.url`` may set in another way."""


class _HasteOfThread(threading.local):
    seconds: float | None = None


_haste = _HasteOfThread()


@contextmanager
def in_haste(seconds: float) -> Iterator[None]:
    """Let each statement of this thread fail that gets no answer in so many seconds; connections
    to the same server that are older than one that failed are doubted.
    """
    _haste.seconds = seconds
    try:
        yield
    finally:
        _haste.seconds = None


class PostgresConnection(psycopg.Connection[Any]):
    """A connection that waits for a limited time."""

    doubted: ClassVar[dict[str, float]] = {}
    """By server: the network may have lost connections that are older, by ``time.monotonic``."""
    server: str = ""
    """Host and port; a process may use several, and one that hangs says nothing of the others."""
    opened: float = float("inf")
    patience: float | None = None
    """Seconds that one statement may take; ``None``: any time."""
    _doubt: str | None = None
    """Why the last COMMIT may not be where it must be."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer of the server.

        Raises:
            QueryCanceled: none came in time; the connection is closed.
            psycopg.Error: what the server said.
        """
        is_idle = self.pgconn.transaction_status == TransactionStatus.IDLE
        if is_idle and self.opened < self.doubted.get(self.server, 0.0):
            self.pgconn.finish()
            raise psycopg.OperationalError("the network may have lost this connection")
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            patience = _haste.seconds or self.patience
            return super().wait(gen, interval, patience)
        except _WaitTimeout:
            self.pgconn.finish()
            if _haste.seconds is not None:
                self.doubted[self.server] = time.monotonic()
            reason = f"the server gave no answer for {patience:g} seconds"
            raise QueryCanceled(reason) from None
        except ReadOnlySqlTransaction:
            self.pgconn.finish()
            raise

    def commit(self) -> None:
        """Commit.

        Raises:
            psycopg.OperationalError: the server is not sure that it can keep it.
        """
        self._doubt = None
        super().commit()
        if self._doubt is not None:
            raise psycopg.OperationalError(f"the commit is in doubt: {self._doubt}")

    def hear(self, notice: Diagnostic) -> None:
        """Take a notice of the server."""
        if notice.severity_nonlocalized == "WARNING":
            self._doubt = notice.message_primary


def connect(
    parameters: Parameters, patience: float | None, first: LiteralString = ""
) -> PostgresConnection:
    """Open a connection.

    Args:
        parameters: as ``read_address`` gives them, and what else psycopg takes.
        patience: seconds that one statement may take; ``None``: any time.
        first: a statement to begin with.

    Raises:
        psycopg.Error: no server can be reached, or none takes writes.
    """
    connection = PostgresConnection.connect(**parameters)
    connection.opened, connection.patience = time.monotonic(), patience
    connection.server = f"{connection.info.host}:{connection.info.port}"
    connection.add_notice_handler(connection.hear)
    if first:
        try:
            connection.execute(first)
            connection.commit()
        except BaseException:
            connection.close()
            raise
    return connection


def read_address(url: str) -> Parameters:
    """Read ``store.url``: an address as libpq takes it, with one host or several, or SQLAlchemy.

    Raises:
        StoreUnavailable: it is no address. Security: the text does not repeat it, for it may hold
            a password.
    """
    rest = url.partition("://")[2]
    parameters: Parameters = {}
    try:
        if "," in urlsplit(f"postgresql://{rest}").netloc:
            parameters.update(conninfo_to_dict(f"postgresql://{rest}"))
        else:
            address = sa.make_url(f"postgresql+psycopg://{rest}")
            parameters.update(address.get_dialect()().create_connect_args(address)[1])
    except (psycopg.Error, sa.exc.ArgumentError, ValueError):
        raise StoreUnavailable("store.url is not an address of a PostgreSQL database") from None
    parameters.pop("context", None)
    if "," in str(parameters.get("host", "")):
        parameters.setdefault("target_session_attrs", "read-write")
    return {**_DEFAULTS, **parameters}


def with_search_path(url: str, schema: str) -> str:
    """Return an address with another schema."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    query["options"] = f'{query.get("options", "")} -csearch_path="{schema}"'.strip()
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))
