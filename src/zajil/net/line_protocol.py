"""What a line protocol (SMTP, IMAP, POP3) brings to the driver: an engine, a session, its clocks.

The driver is ``connection`` (one connection) and ``line_service`` (all of a listener).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from zajil.core.errors import Unavailable
from zajil.core.line_engine import End
from zajil.core.value_class import value_class
from zajil.net.peer import Peer


class PeerGone(Unavailable, ConnectionError):
    """The peer closed the connection, or took nothing of what was sent for too long."""


class Engine(Protocol):
    """The protocol without I/O: bytes to events, answers to bytes."""

    encrypted: bool
    close_reason: str
    """Why it is CLOSED; ``""`` before."""

    def receive_data(self, data: bytes) -> None:
        """Buffer bytes from the network."""

    def pending_size(self) -> int:
        """Return the number of octets received and not yet parsed."""

    def next_event(self) -> Any:
        """Return the next event, or a ``Wait``."""

    def reply(self, answer: Any) -> None:
        """Answer the last event."""

    def data_to_send(self) -> bytes:
        """Return and forget the bytes that must now go to the network."""

    def tls_established(self) -> None:
        """The connection is encrypted from here on."""

    def end(self, end: End, reason: str = "") -> None:
        """Send the reply for this end and close with ``reason`` (default: that of ``end``).

        Nothing happens where the connection is closed already."""


class Session(Protocol):
    """What decides: ``receive.session``, ``submit.session``, ``read.imap.session``,
    ``read.pop3.session``."""

    def answer(self, event: Any) -> Any:
        """Decide about an event.

        Returns:
            What ``Engine.reply`` takes, or ``None`` if the session has answered through the engine
            or the event wants no answer; or an awaitable of either, where it must wait.
            A reply is a promise: 250 to the end of a message comes after the commit.
        """

    def news(self) -> Awaitable[None] | None:
        """Look what changed; called after ``Connection.wake``, between two events."""

    def tls_started(self, version: str, cipher: str) -> None:
        """Forget what was learned in the clear (RFC 3207 section 4.2)."""

    def closed(self, reason: str) -> None:
        """Release everything. Called once, always last: ``quit``, ``peer closed``, ``timeout``,
        ``shutdown``, ``too many errors``, ``bytes after STARTTLS``, ``TLS failed: ...``,
        ``fault ...``."""


class Connection(Protocol):
    """What a session may do to its connection: ``connection.LineConnection``."""

    async def flush(self) -> None:
        """Send what the engine has to send; wait while the peer takes nothing.

        Called between two portions of work also where there is nothing to send: it ends the work
        for a peer that is gone.

        Raises:
            PeerGone: it is.
        """

    def wake(self) -> None:
        """Have ``Session.news`` called soon: at once if nothing else is being answered."""


@dataclass(frozen=True, slots=True)
class ConnectionStage:
    """The clocks of what a connection is doing now."""

    idle_seconds: float
    """For the next event. Part of a command is no event."""
    total_seconds: float = math.inf
    """For the whole stage."""
    max_pending: int = 65536
    """Octets kept while an answer is awaited; protects memory."""
    finishes: bool = False
    """A drain waits for the end of this stage."""


@value_class(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What one connection of any protocol may cost us."""

    handshake_seconds: float = 30
    """For a TLS handshake, and for a PROXY header."""
    greeting_delay_seconds: float = 0
    """A peer that sends a command before the greeting is refused."""
    write_seconds: float = 300
    """For a peer to take what was sent."""
    write_buffer: int = 65536
    """Octets that wait for the peer before more answers are made."""
    answers: int = 100
    """Events answered before the answers are sent, however many more wait: the answers may be many
    times as large, and must not fill our memory."""
    linger_seconds: float = 5
    """Reading on after our last words."""
    unread_seconds: float = 30
    """For a peer to take our last words; then the connection is cut."""


class LineProtocol(Protocol):
    """One protocol as one kind of listener serves it."""

    goodbye: str
    """``close_reason`` after which the peer sends nothing more: ``quit``, ``logout``."""
    shortest_seconds: float
    """The shortest time of any stage: clocks are looked at four times as often."""

    def make_engine(self, peer: Peer, *, encrypted: bool) -> Engine:
        """Make an engine with the greeting in it."""

    def make_session(self, peer: Peer, engine: Any, connection: Connection, /) -> Session:
        """Make a session; must not wait."""

    def last_words(self, end: End) -> bytes:
        """Return what is sent to a peer that is not admitted."""

    def stage(self, engine: Any) -> tuple[int, ConnectionStage]:
        """Return the number of the stage, 0 at first, and its clocks; a new number starts the
        clock of the whole stage anew."""
