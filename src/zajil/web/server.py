"""Serve the pages on bound sockets, with uvicorn."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

_GRACE_SECONDS = 3
"""A page under way may end; one that listens for new mail never does by itself."""


class WebServer:
    """The web of one worker."""

    def __init__(self, pages: Starlette, sockets: Sequence[socket.socket]) -> None:
        self._sockets = list(sockets)
        self._server = _Server(
            uvicorn.Config(
                pages,
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )

    async def run(self) -> None:
        """Serve until ``drain``; closes the sockets at the end."""
        await self._server.serve(self._sockets)

    async def drain(self, seconds: float) -> None:
        """Accept no more; ``run`` returns when pages under way have ended, or soon after."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn, without its own idea of signals: the worker decides when to end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield
