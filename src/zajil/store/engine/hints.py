"""Hints from process to process that a commit happened: fast, and allowed to get lost.

SQLite: a datagram to each Unix socket under ``run/changes``. PostgreSQL: NOTIFY on a channel that
is named after the schema. A hint is the sender's mark and the topics, with a space between.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import NodeId
from zajil.store.engine.batch import Topic
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.postgres import Postgres, channel_name, first_of_search_path

EVERYTHING = Topic("*")
"""Too much changed to be named."""

_PAUSE_SECONDS = 0.02
"""Between two datagrams to the same processes: each wakes their loops, hundreds of times a second
where mail comes in; what changes meanwhile goes with the next."""
_MAX_HINT = 7000
"""Bytes of a hint: NOTIFY takes less than 8000."""

Publish = Callable[[Set[Topic]], None]


class Hints(ABC):
    """The line to the other processes of one store."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        """What our own hints begin with, so that we do not listen to ourselves."""

    @abstractmethod
    def start(self, loop: asyncio.AbstractEventLoop, publish: Publish) -> None:
        """Listen; ``publish`` is called in the loop."""

    def send(self, topics: Set[Topic]) -> None:
        """Notify the others, without waiting, from the event loop. Never raises."""
        return

    def send_on(self, conn: Connection, topics: Set[Topic]) -> None:
        """Notify the others through the database, in the thread that committed. Never raises."""
        return

    async def revive(self) -> None:
        """Listen again where the line broke; called once a second."""
        return

    @abstractmethod
    def close(self) -> None:
        """Listen no more."""

    def _write(self, topics: Set[Topic]) -> str:
        text = " ".join((self._mark, *topics))
        return text if len(text) <= _MAX_HINT else f"{self._mark} {EVERYTHING}"

    def _hear(self, text: str, publish: Publish) -> None:
        mark, *topics = text.split(" ")
        if mark != self._mark:
            publish(set(map(Topic, topics)))


class Datagrams(Hints):
    """Processes on one machine: a socket each, in a folder that all of them know."""

    def __init__(self, folder: Path, mark: str) -> None:
        super().__init__(mark)
        self._folder = folder
        self._socket: socket.socket | None = None
        self._folder_fd: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsent: set[Topic] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def start(self, loop: asyncio.AbstractEventLoop, publish: Publish) -> None:
        """Bind a socket of our own in the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        mine = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        mine.bind(self._path_of(self._mark))
        self._socket, self._loop = mine, loop

        def readable() -> None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._hear(mine.recv(65536).decode("utf-8", "replace"), publish)

        loop.add_reader(mine, readable)

    def send(self, topics: Set[Topic]) -> None:
        """Send a datagram to each socket but ours, or a moment later with what comes until then."""
        self._unsent |= topics
        if self._pause is not None:
            return
        self._send_now()
        if self._loop is not None:
            self._pause = self._loop.call_later(_PAUSE_SECONDS, self._end_pause)

    def _end_pause(self) -> None:
        self._pause = None
        if self._unsent:
            self.send(set())

    def _send_now(self) -> None:
        """Send what is to send; the sockets of dead processes are removed."""
        topics, self._unsent = self._unsent, set()
        hint = self._write(topics).encode()
        try:
            names = os.listdir(self._folder)
        except OSError:
            return  # nobody listens yet
        for name in names:
            if name == self._mark:
                continue
            try:
                self._sender.sendto(hint, self._path_of(name))
            except ConnectionRefusedError:
                with contextlib.suppress(OSError):
                    (self._folder / name).unlink()
            except OSError:
                continue  # its buffer is full, or it has just gone: it will look by itself

    def close(self) -> None:
        """Send the hints that were not sent yet, and remove our socket."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._unsent:
            self._send_now()
        mine, self._socket = self._socket, None
        if mine is not None and self._loop is not None:
            if not self._loop.is_closed():
                self._loop.remove_reader(mine)
            mine.close()
            with contextlib.suppress(OSError):
                (self._folder / self._mark).unlink()
        self._sender.close()
        if self._folder_fd is not None:
            os.close(self._folder_fd)
            self._folder_fd = None

    def _path_of(self, name: str) -> str:
        path = str(self._folder / name)
        if len(path.encode()) < 104:  # sun_path has 108 bytes on Linux, 104 elsewhere
            return path
        if self._folder_fd is None:
            self._folder_fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._folder_fd}/{name}"


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
        self._home: tuple[asyncio.AbstractEventLoop, Publish] | None = None

    def start(self, loop: asyncio.AbstractEventLoop, publish: Publish) -> None:
        """Listen on a connection of our own."""
        self._home = (loop, publish)
        self._listen(self._connect(), loop, publish)

    async def revive(self) -> None:
        """Connect again after the server was away."""
        if self._listener is None and self._home is not None:
            with contextlib.suppress(psycopg.Error, sa.exc.DBAPIError, StoreUnavailable):
                self._listen(await asyncio.to_thread(self._connect), *self._home)

    def send_on(self, conn: Connection, topics: Set[Topic]) -> None:
        """Notify in a transaction of its own: inside the batch it would make commits queue up."""
        with contextlib.suppress(sa.exc.DBAPIError), conn.begin():
            channel = self._channel_of(conn)
            conn.execute(_NOTIFY, {"channel": channel, "hint": self._write(topics)})

    def close(self) -> None:
        """Close the connection we listen on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            if self._home is not None and not self._home[0].is_closed():
                self._home[0].remove_reader(listener.fileno())
            listener.close()

    def _connect(self) -> psycopg.Connection[Any]:
        writer = self._database.writer
        with writer.connect() as conn:
            channel = self._channel_of(conn)
            schema = first_of_search_path(conn)
        arguments, keywords = writer.dialect.create_connect_args(writer.url)
        listener = psycopg.connect(*arguments, **keywords, autocommit=True)
        (shared,) = listener.execute(_SHARE, {"schema": schema}).fetchone() or (False,)
        if not shared:
            listener.close()
            raise StoreUnavailable("the store is being upgraded")
        if self._node is not None:
            listener.execute(_SHARE_NODE, {"node": self._node})
        listener.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
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
                self.close()  # the server went: ``revive`` tries again, until then we look
                return
            while (notice := listener.pgconn.notifies()) is not None:
                self._hear(notice.extra.decode("utf-8", "replace"), publish)

        self._listener = listener
        loop.add_reader(listener.fileno(), readable)

    def _channel_of(self, conn: Connection) -> str:
        if self._channel is None:
            self._channel = channel_name(first_of_search_path(conn))
        return self._channel


# Held while the connection lives; an upgrade of the tables takes it alone (store.postgres).
_SHARE = "SELECT pg_try_advisory_lock_shared(hashtext('zajil server'), hashtext(%(schema)s))"
# Held likewise: ``store.engine.node`` sees by it that the id of a node is in use.
_SHARE_NODE = "SELECT pg_advisory_lock_shared(hashtext('zajil node'), hashtext(%(node)s))"
_NOTIFY = sa.text("SELECT pg_notify(:channel, :hint)")
