"""POP3 over the driver: engine, session, clocks and last words of one kind of listener."""

from __future__ import annotations

import functools
from collections.abc import Callable

from zajil.core.line_engine import End
from zajil.core.value_class import value_class
from zajil.net.admission import Admission
from zajil.net.line_protocol import Connection, ConnectionLimits, ConnectionStage
from zajil.net.line_service import LineService
from zajil.net.peer import Peer
from zajil.pop3.server import LAST_WORDS, Offer, Pop3InputLimits, Pop3ServerConnection, Pop3State
from zajil.pop3.traced import TracedPop3Connection
from zajil.read.pop3.session import Pop3Services, Pop3Session
from zajil.tls.keeper import TlsKeeper


@value_class(frozen=True, slots=True, kw_only=True)
class Pop3Limits(ConnectionLimits):
    """What one connection may cost us."""

    idle_seconds: float = 600
    """For a command of a client that has logged in; at least 10 minutes (RFC 1939 section 3)."""
    log_in_seconds: float = 60
    """From the greeting to a successful log-in, and for each command until then."""
    write_buffer: int = 262_144
    """Octets that wait for the peer before more answers are made."""


class Pop3Protocol:
    """See ``pop3_service`` for the arguments."""

    goodbye = "quit"

    def __init__(
        self,
        services: Pop3Services,
        offer: Offer,
        limits: Pop3Limits,
        trace: Callable[[Peer, str], None] | None,
    ) -> None:
        self.shortest_seconds = min(limits.idle_seconds, limits.log_in_seconds)
        self._services = services
        self._offer = offer
        self._limits = Pop3InputLimits()
        self._trace = trace
        # Security: a stranger cannot hold a connection by sending a byte now and then.
        self._log_in = 0, ConnectionStage(limits.log_in_seconds, limits.log_in_seconds)
        self._logged_in = 1, ConnectionStage(limits.idle_seconds)

    def make_engine(self, peer: Peer, *, encrypted: bool) -> Pop3ServerConnection:
        """Make an engine with the greeting in it."""
        trace = self._trace
        kind = Pop3ServerConnection if trace is None else TracedPop3Connection
        engine = kind(self._offer, self._limits, encrypted=encrypted)
        if isinstance(engine, TracedPop3Connection) and trace is not None:
            engine.trace = functools.partial(trace, peer)
        return engine

    def make_session(
        self, peer: Peer, engine: Pop3ServerConnection, connection: Connection
    ) -> Pop3Session:
        """Make a session."""
        return Pop3Session(self._services, peer, engine, connection)

    def last_words(self, end: End) -> bytes:
        """Return ``-ERR``."""
        return LAST_WORDS[end].to_bytes()

    def stage(self, engine: Pop3ServerConnection) -> tuple[int, ConnectionStage]:
        """Only the time until a log-in is limited as a whole."""
        is_stranger = engine.state is Pop3State.AUTHORIZATION
        return self._log_in if is_stranger else self._logged_in


def pop3_service(
    services: Pop3Services,
    hostname: str,
    *,
    tls: TlsKeeper | None,
    implicit_tls: bool,
    limits: Pop3Limits | None = None,
    admission: Admission | None = None,
    trace: Callable[[Peer, str], None] | None = None,
) -> LineService:
    """Make the service of port 110, with STLS, or 995, with TLS from the first byte.

    Args:
        tls: our certificate; ``None``: nobody can log in.
        admission: who may connect; it counts for this service alone.
        trace: called with each line of each dialogue, without secrets.
    """
    limits = limits or Pop3Limits()
    offer = Offer(hostname, tls is not None and not implicit_tls, services.login.mechanisms)
    return LineService(
        Pop3Protocol(services, offer, limits, trace),
        tls=tls,
        implicit_tls=implicit_tls,
        limits=limits,
        admission=admission,
        counts_starttls=True,
    )
