"""One domain's server: a `zajil serve` process of its own, as in a real installation."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_TAIL_LINES = 12


class ServerFailed(Exception):
    """A server ended, or did not answer, before it was ready; the text holds its last lines."""


class DomainServer:
    """Starts and ends one server process.

    It ends with the lab, however the lab ends: it watches for the end of file on a pipe whose
    other end only the lab holds.
    """

    def __init__(self, domain: str, configuration: Path, log: Path) -> None:
        self.domain = domain
        self.configuration = configuration
        self.log = log
        self._process: asyncio.subprocess.Process | None = None
        self._lifeline = -1

    async def start(self, timeout_seconds: float = 60) -> dict[str, Any]:
        """Start it, and wait until all its listeners answer.

        Returns:
            What ``serve --ready-fd`` says: the addresses of each service, and ``pid``.

        Raises:
            ServerFailed: it ended, or was not ready in time; ``stop`` clears up.
        """
        ready_read, ready_write = os.pipe()
        stop_read, self._lifeline = os.pipe()
        arguments = ["--config", str(self.configuration), "serve"]
        arguments += ["--ready-fd", str(ready_write), "--stop-on-eof", str(stop_read)]
        try:
            with self.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "zajil",
                    *arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(ready_write, stop_read),
                    # Ctrl-C on the terminal reaches the lab alone; the lab ends its servers.
                    start_new_session=True,
                )
        finally:
            os.close(ready_write)
            os.close(stop_read)
        try:
            async with asyncio.timeout(timeout_seconds):
                line = await _read_line(ready_read)
        except TimeoutError:
            raise self._failed(f"was not ready after {timeout_seconds:.0f} seconds") from None
        if not line:
            status = await self._process.wait()
            raise self._failed(f"did not start (exit status {status})")
        ready: dict[str, Any] = json.loads(line)
        return ready

    async def wait(self) -> int:
        """Wait for its end; give its exit status."""
        if self._process is None:
            raise RuntimeError("the server was not started")
        return await self._process.wait()

    async def stop(self, timeout_seconds: float = 30) -> int | None:
        """End it: mails in flight may end first; give its exit status."""
        if self._process is None:
            return None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        return self._process.returncode

    def _failed(self, what: str) -> ServerFailed:
        lines = self.log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:]
        return ServerFailed(
            "\n".join([f"the server of {self.domain} {what}; {self.log} ends:", *lines])
        )


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
