"""All connections of one kind of listener: which are open, who may come in, which linger."""

from __future__ import annotations

import asyncio
import ssl
from typing import Generic, TypeVar

from zajil.core.line_engine import End
from zajil.net.admission import HANDSHAKE_FAILED, Admission
from zajil.net.line_protocol import ConnectionLimits
from zajil.tls.keeper import TlsKeeper

_MAX_LINGERING = 200
"""Connections kept for their last words; in a flood of refused ones, further ones are just cut."""

C = TypeVar("C")


class ConnectionTable(Generic[C]):
    """What the connections of a service share, and what they report to it.

    Args:
        tls: for STARTTLS, or from the first byte (``implicit_tls``).
        counts_starttls: a failed handshake after STARTTLS is noted by ``admission``; for sessions
            that leave no event of their own.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        admission: Admission,
        tls: TlsKeeper | None,
        *,
        implicit_tls: bool,
        counts_starttls: bool,
    ) -> None:
        self.limits = limits
        self.admission = admission
        self.implicit_tls = implicit_tls
        self.draining = False
        self.loop: asyncio.AbstractEventLoop
        self.open: set[C] = set()
        self._tls = tls
        self._counts_starttls = counts_starttls
        self._lingering = 0
        self._all_gone = asyncio.Event()

    def server_tls(self) -> ssl.SSLContext | None:
        """Return the context for a handshake that begins now; ``None``: no certificate."""
        return None if self._tls is None else self._tls.context

    def admit(self, connection: C, host: str) -> End | None:
        """Count the connection; else return why it may not come in."""
        if self.draining:
            return End.SHUTDOWN
        if not self.admission.admit(host):
            return End.TOO_MANY
        self.open.add(connection)
        return None

    def forget(self, connection: C, host: str) -> None:
        """Count it no more."""
        self.open.discard(connection)
        self.admission.forget(host)
        if self.draining and not self.open:
            self._all_gone.set()

    def handshake_failed(self, host: str) -> None:
        """Note a handshake that failed; after STARTTLS only where no session tells of it."""
        if (self.implicit_tls or self._counts_starttls) and not self.draining:
            self.admission.refuse(host, HANDSHAKE_FAILED)

    def may_linger(self) -> bool:
        """Whether one more connection may be kept open for its last words; counts it."""
        if self.draining or self._lingering >= _MAX_LINGERING:
            return False
        self._lingering += 1
        return True

    def linger_ended(self) -> None:
        """Count it down."""
        self._lingering -= 1

    async def wait_until_gone(self, seconds: float) -> bool:
        """Wait for the end of all connections while draining; false: some are left."""
        if self.open:
            self._all_gone.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._all_gone.wait()
            except TimeoutError:
                return False
        return True
