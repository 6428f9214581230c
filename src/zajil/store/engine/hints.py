"""Hints from process to process that a commit happened: fast, and allowed to get lost.

SQLite: a datagram to each Unix socket under ``run/changes``. PostgreSQL: NOTIFY
(``store.engine.notifications``). A hint is the sender's mark and the topics, with a space between.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Set
from pathlib import Path

from sqlalchemy.engine import Connection

from zajil.store.engine.batch import Topic

EVERYTHING = Topic("*")
"""Too much changed to be named."""

PAUSE_SECONDS = 0.02
"""Between two hints to the same processes: each wakes their loops, hundreds of times a second
where mail comes in; what changes meanwhile goes with the next."""
_MAX_HINT = 7000
"""Bytes of a hint: NOTIFY takes less than 8000."""

Publish = Callable[[Set[Topic]], None]


class Hints(ABC):
    """The line to the other processes of one store."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        """What our own hints begin with, so that we do not listen to ourselves."""

    def connect(self) -> None:
        """Do that part of ``start`` before it that may block, in any thread.

        Raises:
            StoreUnavailable: the line cannot be opened.
        """
        return

    @abstractmethod
    def start(self, loop: asyncio.AbstractEventLoop, publish: Publish) -> None:
        """Listen; ``publish`` is called in the loop. Blocks, unless ``connect`` was called."""

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
            self._pause = self._loop.call_later(PAUSE_SECONDS, self._end_pause)

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
