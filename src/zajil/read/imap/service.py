"""IMAP over the driver: engine, session, clocks and last words of one kind of listener."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import field

from zajil.config.options import LimitOptions
from zajil.core.clock import Clock
from zajil.core.line_engine import End
from zajil.core.service import Service
from zajil.core.value_class import value_class
from zajil.imap.literal import Limits
from zajil.imap.response import untagged_status
from zajil.imap.response_queue import LAST_WORDS
from zajil.imap.server import ImapServerConnection
from zajil.imap.state import ImapState
from zajil.imap.traced import TracedImapConnection
from zajil.login.service import LoginService
from zajil.net.admission import Admission
from zajil.net.line_protocol import Connection, ConnectionLimits, ConnectionStage
from zajil.net.line_service import LineService
from zajil.net.peer import Peer
from zajil.read.imap.capabilities import capabilities_before_login
from zajil.read.imap.session import ImapSession
from zajil.store.engine.open import Store
from zajil.tls.keeper import TlsKeeper

_BUFFER = 262_144
"""Octets that wait for the engine or the peer before the other side has to wait."""


@value_class(frozen=True, slots=True, kw_only=True)
class ImapLimits(ConnectionLimits):
    """What one connection may cost us."""

    idle_seconds: float = 1800
    """For a command of a client that has logged in; at least 30 minutes (RFC 3501 section 5.4)."""
    log_in_seconds: float = 60
    """From the greeting to a successful log-in, and for each command until then."""
    write_buffer: int = _BUFFER


@value_class(frozen=True, slots=True)
class ImapServices:
    """What every session of a listener uses."""

    store: Store
    login: LoginService
    clock: Clock
    starttls: bool
    """Offered while the connection is in the clear."""
    service: Service
    """``imap`` or ``imaps``: for events and the throttle."""
    others: Mapping[str, ImapServices] = field(default_factory=dict)
    """The same for accounts of other shards, by name of the shard."""


class ImapProtocol:
    """See ``imap_service`` for the arguments."""

    goodbye = "logout"

    def __init__(
        self,
        services: ImapServices,
        options: LimitOptions,
        limits: ImapLimits,
        greeting: bytes,
        trace: Callable[[Peer, str], None] | None,
    ) -> None:
        self.shortest_seconds = min(limits.idle_seconds, limits.log_in_seconds)
        self._services = services
        self._limits = Limits(max_message=options.message_size)
        self._greeting = greeting
        self._trace = trace
        # Security: a stranger cannot hold a connection by sending a byte now and then.
        self._log_in = 0, ConnectionStage(limits.log_in_seconds, limits.log_in_seconds)
        self._logged_in = 1, ConnectionStage(limits.idle_seconds, max_pending=_BUFFER)

    def make_engine(self, peer: Peer, *, encrypted: bool) -> ImapServerConnection:
        """Make an engine with the greeting in it."""
        trace = self._trace
        kind = ImapServerConnection if trace is None else TracedImapConnection
        engine = kind(self._greeting, self._limits, encrypted=encrypted)
        if isinstance(engine, TracedImapConnection) and trace is not None:
            engine.trace = functools.partial(trace, peer)
        return engine

    def make_session(
        self, peer: Peer, engine: ImapServerConnection, connection: Connection
    ) -> ImapSession:
        """Make a session."""
        return ImapSession(self._services, peer, engine, connection)

    def last_words(self, end: End) -> bytes:
        """Return BYE."""
        return untagged_status("BYE", LAST_WORDS[end])

    def stage(self, engine: ImapServerConnection) -> tuple[int, ConnectionStage]:
        """Only the time until a log-in is limited as a whole."""
        is_stranger = engine.state is ImapState.NOT_AUTHENTICATED
        return self._log_in if is_stranger else self._logged_in


def imap_service(
    services: ImapServices,
    hostname: str,
    options: LimitOptions,
    *,
    tls: TlsKeeper | None,
    implicit_tls: bool,
    limits: ImapLimits | None = None,
    admission: Admission | None = None,
    trace: Callable[[Peer, str], None] | None = None,
) -> LineService:
    """Make the service of port 143, with STARTTLS, or 993, with TLS from the first byte.

    Args:
        options: ``message_size`` limits APPEND.
        tls: our certificate; ``None``: nobody can log in.
        admission: who may connect; it counts for this service alone.
        trace: called with each line of each dialogue, without secrets.
    """
    limits = limits or ImapLimits()
    words = capabilities_before_login(
        services.login.mechanisms, encrypted=implicit_tls, starttls=services.starttls
    )
    greeting = untagged_status("OK", f"{hostname} Zajil", f"CAPABILITY {words}")
    return LineService(
        ImapProtocol(services, options, limits, greeting, trace),
        tls=tls,
        implicit_tls=implicit_tls,
        limits=limits,
        admission=admission,
        counts_starttls=True,
    )
