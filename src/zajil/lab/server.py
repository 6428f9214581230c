"""The server of one domain: a process that runs like ``zajil serve`` in an installation."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import sys
import threading
import traceback
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from zajil.app.serve import serve
from zajil.app.shared import CannotStart
from zajil.config.load import load_configuration
from zajil.core.errors import Unavailable

_TAIL_LINES = 12
_MAX_DESCRIPTORS = 4096


class ServerFailed(Unavailable):
    """A server ended, or did not answer, before it was ready; the text holds its last lines."""


class DomainServer:
    """One server process; it is forked at once, and serves when it is told its configuration.

    Forked and not started anew, because importing the program takes most of the time that a server
    needs to start. So a ``DomainServer`` is made before the process has threads, an event loop or
    an open store.

    The server ends with the lab, however the lab ends: it watches for the end of file on a pipe
    whose other end only the lab holds.
    """

    def __init__(self) -> None:
        order_read, self._order = os.pipe()
        self._ready, ready_write = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _serve_when_told(order_read, ready_write)
        os.close(order_read)
        os.close(ready_write)
        self.domain = ""
        self.configuration = Path()
        self.log = Path()
        self._status: Future[int] | None = None
        """Its exit status, once somebody waits for it in a thread."""

    async def start(
        self, domain: str, configuration: Path, log: Path, timeout_seconds: float = 60
    ) -> dict[str, Any]:
        """Send the configuration, and wait until all listeners are ready.

        Returns:
            What ``serve --ready-fd`` says: the addresses of each service, and ``pid``.

        Raises:
            ServerFailed: it ended, or was not ready in time; ``stop`` clears up.
        """
        self.domain, self.configuration, self.log = domain, configuration, log
        order = {"configuration": str(configuration), "log": str(log)}
        # Ends of pipes hold 64 KiB, so this does not wait.
        os.write(self._order, json.dumps(order).encode() + b"\n")
        try:
            async with asyncio.timeout(timeout_seconds):
                line = await _read_line(self._ready)
        except TimeoutError:
            raise self._failed(f"was not ready after {timeout_seconds:.0f} seconds") from None
        if not line:
            raise self._failed(f"did not start (exit status {await self.wait()})")
        ready: dict[str, Any] = json.loads(line)
        return ready

    async def wait(self) -> int:
        """Wait for its end; give its exit status."""
        if self._status is None:
            self._status = Future()
            threading.Thread(target=self._wait_for_end, args=[self._status], daemon=True).start()
        return await asyncio.shield(asyncio.wrap_future(self._status))

    async def stop(self, timeout_seconds: float = 30) -> int:
        """End it: mails in flight may end first; give its exit status."""
        if self._order >= 0:
            os.close(self._order)
            self._order = -1
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            return await self.wait()

    def _wait_for_end(self, ended: Future[int]) -> None:
        _, status = os.waitpid(self.pid, 0)
        ended.set_result(os.waitstatus_to_exitcode(status))

    def _failed(self, what: str) -> ServerFailed:
        lines = self.log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:]
        return ServerFailed(
            "\n".join([f"the server of {self.domain} {what}; {self.log} ends:", *lines])
        )


def _serve_when_told(order_fd: int, ready_fd: int) -> NoReturn:
    """Be the server, in the child."""
    status = 1
    try:
        # Ctrl-C on the terminal reaches the lab alone; the lab ends its servers.
        os.setsid()
        keep = sorted((order_fd, ready_fd))
        for low, high in zip([2, *keep], [*keep, _MAX_DESCRIPTORS], strict=True):
            os.closerange(low + 1, high)  # else it would keep its siblings from ending
        order = _read_order(order_fd)
        if order is None:
            status = 0
        else:
            _redirect(order["log"])
            file = Path(order["configuration"])
            load = functools.partial(load_configuration, file)
            status = serve(load(), file=file, load=load, ready_fd=ready_fd, stop_fd=order_fd)
    except CannotStart as error:
        sys.stderr.write(f"zajil: {error}\n")
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        # Not sys.exit: the child must not unwind into the frames of the lab.
        os._exit(status)


def _read_order(descriptor: int) -> dict[str, str] | None:
    """Read one line; ``None``: the lab ended before it."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(descriptor, 1)
        if not piece:
            return None
        line += piece
    order: dict[str, str] = json.loads(line)
    return order


def _redirect(log: str) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor, target in ((null, 0), (file, 1), (file, 2)):
        os.dup2(descriptor, target)
    os.close(null)
    os.close(file)


async def _read_line(descriptor: int) -> bytes:
    """Read up to the end of the line or of the file; closes the descriptor."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
    )
    try:
        return await reader.readline()
    finally:
        transport.close()
