"""Hints through a PostgreSQL server: NOTIFY on a channel that is named after the schema."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Set
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import NodeId
from zajil.store.engine.batch import Topic
from zajil.store.engine.errors import StoreUnavailable, one_line
from zajil.store.engine.hints import PAUSE_SECONDS, Hints, Publish
from zajil.store.engine.postgres import Postgres, channel_name, first_of_search_path

_PATIENCE_SECONDS = 10.0
"""A server that takes longer to answer a notification hangs, or another one took over."""


class Notifications(Hints):
    """Processes on any machine, through the PostgreSQL server they share."""

    def __init__(self, database: Postgres, mark: str, node: NodeId | None) -> None:
        """Connect to nothing yet.

        Args:
            database: whose server passes the hints on.
            mark: of our own hints.
            node: whose worker this is, so that no other node takes the same id; ``None``: this is
                a command.
        """
        super().__init__(mark)
        self._database = database
        self._node = node
        self._channel: str | None = None
        self._listener: psycopg.Connection[Any] | None = None
        self._descriptor = -1
        """Of the listener's socket: a connection that is lost does not name it any more."""
        self._home: tuple[asyncio.AbstractEventLoop, Publish] | None = None
        self._lock = threading.Lock()
        self._made: psycopg.Connection[Any] | None = None
        """Made in a thread for ``start`` or ``revive``, which may have been cancelled meanwhile."""
        self._ended = False
        self._unsent: set[Topic] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._awaits_answer = False
        """Whether the listener's connection still runs the last notification."""
        self._asked_at = 0.0
        """When that was sent, by the clock of the loop."""

    def connect(self) -> None:
        """Open the connection to listen on; blocks."""
        try:
            self._make()
        except (psycopg.Error, sa.exc.DBAPIError) as error:
            # The server allows no more of them, or has just stopped.
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise StoreUnavailable(f"cannot listen to other workers: {one_line(cause)}") from error

    def start(self, loop: asyncio.AbstractEventLoop, publish: Publish) -> None:
        """Listen on a connection of our own."""
        if self._made is None:
            self.connect()
        listener, self._made = self._made, None
        self._home = (loop, publish)
        if listener is not None:
            self._listen(listener, loop, publish)

    async def revive(self) -> None:
        """Connect again after the server was away, or where it gives no answer."""
        waited = self._home[0].time() - self._asked_at if self._home is not None else 0.0
        if self._awaits_answer and waited > _PATIENCE_SECONDS:
            self._leave()
        if self._listener is None and self._home is not None:
            with contextlib.suppress(psycopg.Error, sa.exc.SQLAlchemyError, StoreUnavailable):
                await asyncio.to_thread(self._make)
                with self._lock:
                    listener, self._made = self._made, None
                if listener is not None:
                    self._listen(listener, *self._home)

    def send(self, topics: Set[Topic]) -> None:
        """Notify by the connection we listen on, or a moment later with what comes until then."""
        self._unsent |= topics
        if self._pause is None and self._home is not None and not self._home[0].is_closed():
            self._send_now()
            self._pause = self._home[0].call_later(PAUSE_SECONDS, self._end_pause)

    def _end_pause(self) -> None:
        self._pause = None
        if self._unsent:
            self.send(set())

    def _send_now(self) -> None:
        """Send what is to send, and do not wait for the answer."""
        listener = self._listener
        if listener is None:
            self._unsent.clear()  # the server is away: the others will look
        elif not self._awaits_answer and self._channel is not None:
            topics, self._unsent = self._unsent, set()
            parameters = [self._channel.encode(), self._write(topics).encode()]
            with contextlib.suppress(psycopg.OperationalError):
                listener.pgconn.send_query_params(b"SELECT pg_notify($1, $2)", parameters)
                self._awaits_answer = True
                self._asked_at = self._home[0].time() if self._home else 0.0
                listener.pgconn.flush()

    def send_on(self, conn: Connection, topics: Set[Topic]) -> None:
        """Notify at once, where nobody listens: of what a command changed.

        In a transaction of its own: inside the batch it would make commits queue up.
        """
        if self._home is not None:
            return  # ``send`` will, without a round trip of the writer
        with contextlib.suppress(sa.exc.SQLAlchemyError), conn.begin():
            channel = self._channel_of(conn)
            conn.execute(_NOTIFY, {"channel": channel, "hint": self._write(topics)})

    def close(self) -> None:
        """Send the hints that wait, and close the connection we listen on, for good."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._unsent:
            self._send_now()
        with self._lock:
            self._ended = True
            made, self._made = self._made, None
        if made is not None:
            made.close()
        self._leave()

    def _make(self) -> None:
        listener = self._connect()
        with self._lock:
            if not self._ended:
                self._made = listener
                return
        listener.close()

    def _leave(self) -> None:
        listener, self._listener = self._listener, None
        self._awaits_answer = False
        if listener is not None:
            if self._home is not None and not self._home[0].is_closed():
                self._home[0].remove_reader(self._descriptor)
            listener.close()

    def _connect(self) -> psycopg.Connection[Any]:
        with self._database.reader.connect() as conn:
            channel = self._channel_of(conn)
            schema = first_of_search_path(conn)
        listener = self._database.connect()
        try:
            (shared,) = listener.execute(_SHARE, {"schema": schema}).fetchone() or (False,)
            if not shared:
                raise StoreUnavailable("the store is being upgraded")
            if self._node is not None:
                listener.execute(_SHARE_NODE, {"node": self._node})
            listener.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
        except BaseException:
            listener.close()
            raise
        return listener

    def _listen(
        self,
        listener: psycopg.Connection[Any],
        loop: asyncio.AbstractEventLoop,
        publish: Publish,
    ) -> None:
        def readable() -> None:
            try:
                listener.pgconn.consume_input()
            except psycopg.OperationalError:
                self._leave()  # the server went: ``revive`` tries again, until then we look
                return
            self._take_answer(listener.pgconn)
            while (notice := listener.pgconn.notifies()) is not None:
                self._hear(notice.extra.decode("utf-8", "replace"), publish)

        self._listener, self._descriptor = listener, listener.fileno()
        self._awaits_answer = False
        loop.add_reader(self._descriptor, readable)

    def _take_answer(self, connection: psycopg.pq.abc.PGconn) -> None:
        """Drop the result of the last notification, once it is there."""
        while self._awaits_answer and not connection.is_busy():
            self._awaits_answer = connection.get_result() is not None

    def _channel_of(self, conn: Connection) -> str:
        if self._channel is None:
            self._channel = channel_name(first_of_search_path(conn))
        return self._channel


# Held while the connection lives; an upgrade of the tables takes it alone (store.postgres).
_SHARE = "SELECT pg_try_advisory_lock_shared(hashtext('zajil server'), hashtext(%(schema)s))"
# Held likewise: ``store.engine.node`` sees by it that the id of a node is in use.
_SHARE_NODE = "SELECT pg_advisory_lock_shared(hashtext('zajil node'), hashtext(%(node)s))"
_NOTIFY = sa.text("SELECT pg_notify(:channel, :hint)")
