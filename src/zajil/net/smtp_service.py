"""SMTP and LMTP over the driver: offers, clocks, last words."""

from __future__ import annotations

import functools
from collections.abc import Callable

from zajil.core.line_engine import End
from zajil.core.value_class import value_class
from zajil.net.admission import Admission
from zajil.net.line_protocol import Connection, ConnectionLimits, ConnectionStage, Session
from zajil.net.line_service import LineService
from zajil.net.peer import Peer
from zajil.smtp.codes import Code
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply
from zajil.smtp.reply_queue import LAST_WORDS
from zajil.smtp.server import ServerConnection
from zajil.smtp.state import IN_BODY
from zajil.smtp.traced import TracedConnection
from zajil.tls.keeper import TlsKeeper

MakeSession = Callable[[Peer, ServerConnection, Connection], Session]


@value_class(frozen=True, slots=True, kw_only=True)
class SmtpLimits(ConnectionLimits):
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
    pending: int = 65536
    """Octets kept while an answer is awaited; protects memory."""


class SmtpProtocol:
    """See ``smtp_service`` for the arguments."""

    goodbye = "quit"

    def __init__(
        self,
        make_session: MakeSession,
        offer: Capabilities,
        greeting: Reply,
        limits: SmtpLimits,
        peer_offers: Callable[[str], Capabilities | None] | None,
        trace: Callable[[Peer, str], None] | None,
    ) -> None:
        self.make_session = make_session
        self.shortest_seconds = min(
            limits.idle_seconds, limits.data_idle_seconds, limits.mail_seconds
        )
        self._offer = offer
        self._greeting = greeting
        self._limits = limits
        self._peer_offers = peer_offers
        self._trace = trace
        idle, data_idle, mail = limits.idle_seconds, limits.data_idle_seconds, limits.mail_seconds
        self._no_mail = 0, ConnectionStage(idle, max_pending=limits.pending)
        self._mail = ConnectionStage(idle, mail, limits.pending, finishes=True)
        self._body = ConnectionStage(data_idle, mail, limits.pending, finishes=True)

    def make_engine(self, peer: Peer, *, encrypted: bool) -> ServerConnection:
        """Make an engine with the greeting and what this peer is offered."""
        offer, trace = self._offer, self._trace
        if self._peer_offers is not None:
            offer = self._peer_offers(peer.host) or offer
        kind = ServerConnection if trace is None else TracedConnection
        engine = kind(
            offer,
            self._greeting,
            encrypted=encrypted,
            max_errors=self._limits.errors,
            max_commands=self._limits.commands,
        )
        if isinstance(engine, TracedConnection) and trace is not None:
            engine.trace = functools.partial(trace, peer)
        return engine

    def last_words(self, end: End) -> bytes:
        """Return a 421."""
        return LAST_WORDS[end].to_bytes()

    def stage(self, engine: ServerConnection) -> tuple[int, ConnectionStage]:
        """A mail has its time as a whole; its number is that of the stage."""
        if not engine.in_transaction():
            return self._no_mail
        return engine.mails, self._body if engine.state in IN_BODY else self._mail


def smtp_service(
    make_session: MakeSession,
    offer: Capabilities,
    *,
    greeting: Reply | None = None,
    tls: TlsKeeper | None = None,
    implicit_tls: bool = False,
    limits: SmtpLimits | None = None,
    admission: Admission | None = None,
    peer_offers: Callable[[str], Capabilities | None] | None = None,
    trace: Callable[[Peer, str], None] | None = None,
) -> LineService:
    """Make the service of one kind of listener: port 25, submission, submissions or LMTP.

    Args:
        make_session: called for each connection; must not wait.
        tls: for STARTTLS (if ``offer.starttls``) or from the first byte (``implicit_tls``).
        admission: who may connect.
        peer_offers: what single peers are offered instead of ``offer``, by their address.
        trace: called with each line of each dialogue, without secrets.

    Raises:
        ValueError: TLS is offered without a certificate.
    """
    if tls is None and offer.starttls:
        raise ValueError("TLS is offered without a certificate")
    limits = limits or SmtpLimits()
    greeting = greeting or Reply(Code.GREETING, (f"{offer.hostname} ESMTP Zajil",))
    protocol = SmtpProtocol(make_session, offer, greeting, limits, peer_offers, trace)
    return LineService(
        protocol, tls=tls, implicit_tls=implicit_tls, limits=limits, admission=admission
    )
