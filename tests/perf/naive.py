"""The naive mail server in Python, a peer of the benchmark: aiosmtpd, one file for each mail.

``python tests/perf/naive.py HOST:PORT FOLDER [CERTIFICATE KEY]``

One process. Each message is written, synced and renamed in a thread before its 250.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope

_THREADS = 32


class FilesKeeper:
    """What aiosmtpd calls for each message."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._serial = itertools.count()
        self._threads = ThreadPoolExecutor(_THREADS)
        for name in ("tmp", "new"):
            (folder / name).mkdir(parents=True)

    async def handle_DATA(self, server: SMTP, session: object, envelope: Envelope) -> str:
        """Keep a message; 250 once it is on disk."""
        content: Any = envelope.content
        head = f"{envelope.mail_from}\n{envelope.rcpt_tos}\n\n".encode()
        await asyncio.get_running_loop().run_in_executor(self._threads, self._keep, head + content)
        return "250 OK"

    def _keep(self, data: bytes) -> None:
        name = str(next(self._serial))
        path = self._folder / "tmp" / name
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path.rename(self._folder / "new" / name)


async def serve(address: str, folder: Path, context: ssl.SSLContext | None) -> None:
    """Serve until SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    keeper = FilesKeeper(folder)
    host, _, port = address.rpartition(":")
    server = await loop.create_server(
        lambda: SMTP(keeper, hostname="mx.y.test", tls_context=context, loop=loop),
        host,
        int(port),
        backlog=1024,
    )
    async with server:
        await stop.wait()


def main(arguments: list[str]) -> int:
    """Run the server."""
    context = None
    if len(arguments) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments[2:4])
    asyncio.run(serve(arguments[0], Path(arguments[1]), context))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
