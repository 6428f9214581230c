"""The end of a connection whose peer may still be sending."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Linger(asyncio.Protocol):
    """Reads and drops what comes behind our last words, until the peer ends or time is up.

    Closing a socket with bytes unread resets the connection, and the reset may overtake the words.
    """

    __slots__ = ("_ended", "_timer")

    def __init__(
        self,
        transport: asyncio.Transport,
        ended: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
        seconds: float,
    ) -> None:
        """Take the transport over; everything has been written.

        Args:
            ended: called once, when the transport is closed.
        """
        self._ended = ended
        self._timer = loop.call_later(seconds, transport.abort)
        transport.set_protocol(self)
        transport.write_eof()
        if not transport.is_reading():
            transport.resume_reading()

    def eof_received(self) -> bool:
        """Let the transport close."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who lent us the transport."""
        self._timer.cancel()
        self._ended()
