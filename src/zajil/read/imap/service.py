"""What an IMAP listener serves: engine, session and limits, wired together."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable

from zajil.config.options import LimitOptions
from zajil.core.clock import Clock
from zajil.core.service import Service
from zajil.imap.literal import Limits
from zajil.imap.response import untagged_status
from zajil.imap.server import ImapServerConnection
from zajil.imap.traced import TracedImapConnection
from zajil.login.service import LoginService
from zajil.net.admission import Admission
from zajil.net.drive_imap import ImapListener, ImapTimes, Stream
from zajil.net.peer import Peer
from zajil.read.imap.session import ImapServices, ImapSession, capabilities
from zajil.store.engine.open import Store
from zajil.tls.keeper import TlsKeeper


class ImapService:
    """IMAP on one kind of listener: port 143 with STARTTLS, or 993 with TLS from the start.

    Args:
        limits: ``message_size`` bounds APPEND.
        tls: our certificate; ``None``: nobody can log in.
        implicit_tls: TLS from the first byte.
        times: how long a connection may be silent.
        entrance: who may come in; it counts for this service alone.
        trace: is told each line of each dialogue, without secrets.
    """

    def __init__(
        self,
        store: Store,
        login: LoginService,
        hostname: str,
        limits: LimitOptions,
        tls: TlsKeeper | None,
        implicit_tls: bool,
        clock: Clock,
        *,
        times: ImapTimes | None = None,
        entrance: Admission | None = None,
        trace: Callable[[Peer, str], None] | None = None,
    ) -> None:
        starttls = tls is not None and not implicit_tls
        service = Service.IMAPS if implicit_tls else Service.IMAP
        self._services = ImapServices(store, login, clock, starttls, service)
        self._limits = Limits(max_message=limits.message_size)
        self._implicit_tls = implicit_tls
        self._trace = trace
        words = capabilities(self._services, encrypted=implicit_tls, logged_in=False)
        self._greeting = untagged_status("OK", f"{hostname} Zajil", f"CAPABILITY {words}")
        self._listener = ImapListener(
            self._make_engine,
            self._make_session,
            tls=tls,
            implicit_tls=implicit_tls,
            times=times or ImapTimes(),
            entrance=entrance or Admission(),
        )

    async def serve(self, sock: socket.socket) -> None:
        """Begin to accept on a listening socket; returns at once. ``drain`` closes it.

        May be called for several sockets.
        """
        await self._listener.serve(sock)

    async def drain(self, seconds: float) -> None:
        """Accept no more, let running commands end, say BYE; at most for ``seconds``."""
        await self._listener.drain(seconds)

    def _make_engine(self, peer: Peer) -> ImapServerConnection:
        kind = ImapServerConnection if self._trace is None else TracedImapConnection
        engine = kind(self._greeting, self._limits, encrypted=self._implicit_tls)
        if isinstance(engine, TracedImapConnection) and self._trace is not None:
            engine.trace = functools.partial(self._trace, peer)
        return engine

    def _make_session(
        self, peer: Peer, engine: ImapServerConnection, stream: Stream
    ) -> ImapSession:
        return ImapSession(self._services, peer, engine, stream)
