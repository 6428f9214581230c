"""The control socket of a running server: one request, one answer, each a line of JSON.

It lies in the data folder, so that only the user of the server and root can use it.

Laws:
- The server never waits for a client: whoever sends nothing or reads nothing gets no answer.
- A client waits as long as the server lives: the end of the server ends the connection.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zajil.core.errors import Refused, Unavailable

_PLACE = Path("run/control")
"""Below the data folder."""
_MOST_CLIENTS = 32
_MOST_BYTES = 4096
"""Of a request."""
_LONGEST_PATH = 103
"""``sun_path`` has 104 bytes on some systems, with the zero at the end."""


class NotRunning(Unavailable):
    """No server uses the data folder."""


class ControlDenied(Refused):
    """The server belongs to another user of this machine."""


class ControlClient:
    """One connection to the server, which waits for an answer."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = b""

    def answer(self, value: Mapping[str, Any]) -> None:
        """Send the answer, and end the connection."""
        with suppress(OSError):
            self.sock.send(json.dumps(value).encode() + b"\n")
            # A worker that was just forked may still have the socket, too.
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


class ControlServer:
    """The supervisor's side.

    Args:
        take: gets each request, and the client to answer.
    """

    def __init__(self, take: Callable[[ControlClient, Mapping[str, Any]], None]) -> None:
        self._take = take
        self._listening: socket.socket | None = None
        self._path: Path | None = None
        self._clients: dict[int, ControlClient] = {}

    def open(self, data_dir: Path) -> None:
        """Listen in a data folder that no other server uses.

        Raises:
            OSError: it is not possible there.
        """
        path = data_dir / _PLACE
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        before = os.umask(0o177)
        try:
            with _short(path) as address:
                sock.bind(address)
            sock.listen(_MOST_CLIENTS)
        except OSError:
            sock.close()
            raise
        finally:
            os.umask(before)
        self._listening, self._path = sock, path

    def descriptors(self) -> list[int]:
        """Return what to wait for."""
        listening = [] if self._listening is None else [self._listening.fileno()]
        return [*listening, *self._clients]

    def readable(self, descriptor: int) -> None:
        """Accept a client, or take what one has sent."""
        if self._listening is not None and descriptor == self._listening.fileno():
            self._accept(self._listening)
        elif (client := self._clients.get(descriptor)) is not None:
            self._read(descriptor, client)

    def leave(self) -> None:
        """Close everything in a child; the supervisor goes on."""
        for client in self._clients.values():
            client.sock.close()
        self._clients.clear()
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def close(self) -> None:
        """Take no more requests."""
        self.leave()
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            sock, _ = listening.accept()
            sock.setblocking(False)
            if len(self._clients) >= _MOST_CLIENTS:  # the oldest has had time enough
                self._clients.pop(next(iter(self._clients))).sock.close()
            self._clients[sock.fileno()] = ControlClient(sock)

    def _read(self, descriptor: int, client: ControlClient) -> None:
        try:
            data = client.sock.recv(_MOST_BYTES)
        except OSError:
            data = b""
        client.received += data
        line, end, _ = client.received.partition(b"\n")
        if not end and data and len(client.received) < _MOST_BYTES:
            return
        del self._clients[descriptor]
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not end or not isinstance(request, dict):
            client.sock.close()
            return
        self._take(client, request)


def ask_server(data_dir: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Send a request to the server that uses a data folder, and wait for its answer.

    Raises:
        NotRunning: there is none, or it ended before it answered.
        ControlDenied: this program runs neither as its user nor as root.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            with _short(data_dir / _PLACE) as address:
                sock.connect(address)
            sock.sendall(json.dumps(request).encode() + b"\n")
            answer = b""
            while data := sock.recv(65536):
                answer += data
        except PermissionError:
            raise ControlDenied(
                f"no permission to use {data_dir}: run this as root, or as the user of the server"
            ) from None
        except OSError:
            raise NotRunning(f"no server runs with the data folder {data_dir}") from None
    if not answer:
        raise NotRunning("the server ended before it answered")
    found = json.loads(answer)
    return found if isinstance(found, dict) else {}


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Name a file so that the address of a Unix socket can hold it."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
