"""What an SMTP connection, its session and its service expect of each other, and its own replies.

The connection is ``smtp_connection``, the service ``drive_smtp``; sessions are in ``receive`` and
``submit``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from zajil.net.peer import Peer
from zajil.smtp.codes import Code, EnhancedStatus
from zajil.smtp.command import BodyEnd, Command
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply, ReplyEach
from zajil.smtp.server import ServerConnection

TOO_MANY = Reply(Code.NOT_AVAILABLE, (f"{EnhancedStatus.TOO_MUCH} too many connections",))
SHUTTING_DOWN = Reply(
    Code.NOT_AVAILABLE, (f"{EnhancedStatus.SHUTTING_DOWN} shutting down, come back",)
)
IDLE = Reply(Code.NOT_AVAILABLE, (f"{EnhancedStatus.IDLE} idle for too long",))
EARLY = Reply(554, (f"{EnhancedStatus.BAD_COMMAND} wait for the greeting",))
FAULT = Reply(
    Code.NOT_AVAILABLE, (f"{EnhancedStatus.LOCAL_FAULT} internal error, try again later",)
)


class Session(Protocol):
    """What decides: ``receive.session``, ``submit.session``."""

    def answer(self, event: Command | BodyEnd) -> Reply | Awaitable[Reply | ReplyEach]:
        """Decide; give an awaitable only if it must wait. A reply is a promise: 250 to a
        ``BodyEnd`` comes after the commit."""

    def take_body(self, chunk: bytes) -> Awaitable[None] | None:
        """Keep a piece of the message; waiting here slows the sender down."""

    def tls_started(self, version: str, cipher: str) -> None:
        """Forget what was said before (RFC 3207 section 4.2)."""

    def closed(self, reason: str) -> None:
        """Once, always last: ``quit``, ``peer closed``, ``timeout``, ``shutdown``,
        ``too many errors``, ``bytes after STARTTLS``, ``TLS failed: ...``, ``fault ...``."""


@dataclass(frozen=True, slots=True)
class SmtpLimits:
    """What one connection may cost us; the numbers come from ``[limits]``."""

    errors: int = 20
    commands: int = 0
    """Lines of commands; 0: no limit."""
    idle_seconds: float = 300
    """For a whole command, at least 5 minutes: RFC 5321 section 4.5.3.2.7."""
    data_idle_seconds: float = 180
    """For the next piece of a message: RFC 5321 section 4.5.3.2.5."""
    mail_seconds: float = 3600
    """From MAIL to the end of the message."""
    handshake_seconds: float = 30
    pending: int = 65536
    """Bytes kept while an answer is awaited; protects memory."""
    answers: int = 100
    """Events answered before the answers are sent, however many more wait: the answers may be many
    times as large, and whoever does not read them must not fill our memory."""
    greeting_delay_seconds: float = 0
    linger_seconds: float = 5
    """Reading on behind our last words."""
    unread_seconds: float = 30
    """For a peer to take our last words; then the connection is cut."""


class Connection(Protocol):
    """What a service may ask of a connection: ``smtp_connection``."""

    def check_time(self, now: float) -> None:
        """End it if a stage takes too long; ``now`` is the loop's time."""

    def drain(self) -> None:
        """End it unless a mail is on its way in; that one may come to its end."""

    def shut_down(self) -> None:
        """End it now; no 250 will be sent."""

    def abort(self) -> None:
        """Cut it without a word."""


class Service(Protocol):
    """What a connection needs to know of the service it belongs to: ``drive_smtp``."""

    offer: Capabilities
    limits: SmtpLimits
    make_session: Callable[[Peer, ServerConnection], Session]
    has_peer_offers: bool
    draining: bool
    loop: asyncio.AbstractEventLoop

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The context of the next handshake; ``None``: there is no certificate."""

    def make_engine(self, offer: Capabilities, peer: Peer | None = None) -> ServerConnection:
        """Make an engine with our greeting in it; for a known peer, one that can be traced."""

    def offer_for(self, host: str) -> Capabilities:
        """Give what this peer is offered; asked only if ``has_peer_offers``."""

    def admit(self, connection: Connection, host: str) -> bool:
        """Count the connection; false: there are too many."""

    def forget(self, connection: Connection, host: str) -> None:
        """Count it no more."""

    def may_linger(self) -> bool:
        """Whether one more connection may be kept open for its last words."""

    def lingers_no_more(self) -> None:
        """It is gone."""
