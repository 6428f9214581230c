"""Who may come in: caps on sessions, proxies that speak for others, a count of the refused.

One for each service of a worker; SMTP and IMAP use it alike.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from zajil.net.floods import FloodCounter
from zajil.net.limits import SessionCaps, SessionLimits, SessionTable
from zajil.net.peer import Networks, Peer
from zajil.net.proxy import read_proxy_header
from zajil.net.proxy_header import BadProxyHeader

HANDSHAKE_FAILED = "TLS handshake failed"
NO_HEADER = "no PROXY header"


class Admission:
    """Admits connections and counts them.

    Args:
        caps: how many sessions there may be; default: those of a server with one worker.
        floods: is told of each refused connection; ``None``: nobody is.
        proxies: peers whose connections begin with a PROXY header.
        count: is called for each connection that is admitted; ``None``: nobody counts.
    """

    def __init__(
        self,
        caps: SessionCaps | None = None,
        floods: FloodCounter | None = None,
        proxies: Networks | None = None,
        count: Callable[[], None] | None = None,
    ) -> None:
        self.proxies = proxies or Networks()
        self._caps = caps or SessionTable().caps(0, SessionLimits())
        self._floods = floods
        self._count = count

    def admit(self, host: str) -> bool:
        """Count a session of an address; false: a cap forbids it, which is noted."""
        reason = self._caps.admit(host)
        if reason:
            self.refuse(host, reason)
        elif self._count is not None:
            self._count()
        return not reason

    def forget(self, host: str) -> None:
        """Count it no more: once for each that was admitted."""
        self._caps.forget(host)

    def refuse(self, host: str, reason: str) -> None:
        """Note a connection that does not become a session."""
        if self._floods is not None:
            self._floods.note(host, reason)

    async def find_peer(self, client: socket.socket, peer: Peer, seconds: float) -> Peer | None:
        """Return whose connection it is, by its PROXY header if it comes from a proxy of ours.

        Waits for the header; ``None``: there was none, which is noted. The caller closes.
        """
        if peer.host not in self.proxies:
            return peer
        try:
            return await read_proxy_header(client, peer, seconds)
        except (BadProxyHeader, TimeoutError, OSError):
            self.refuse(peer.host, NO_HEADER)
            return None

    def close(self) -> None:
        """Report the refused connections that were not reported yet."""
        if self._floods is not None:
            self._floods.close()
