"""The record of one SMTP session: its peer, its id, and its events that are in no row yet.

Events wait here for the next mail, whose row takes them along. A session that came to nothing, or
in which something was refused, gets a row of its own at its end.
"""

from __future__ import annotations

from collections.abc import Sequence

from zajil.accept.context import AcceptanceContext
from zajil.accept.refusals import record_refused_mail, record_refused_message, record_session
from zajil.accept.transaction import Transaction
from zajil.net.floods import VAIN_SESSION
from zajil.net.peer import Peer, join_host_port, split_host_port
from zajil.smtp.command import UnknownCommand, Xclient
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection
from zajil.tracking.events import (
    CommandRefused,
    PeerReported,
    SessionClosed,
    SessionOpened,
    TrackingEvent,
)

_MAX_EVENTS = 200
"""Events kept of one session: a peer that talks for hours must not fill the memory."""
NOT_SENT = "the peer did not send the message"
"""Why a mail did not reach recipients that RCPT had accepted."""


class SessionRecord:
    """What is known of one session, and what is to be recorded of it."""

    def __init__(self, context: AcceptanceContext, peer: Peer, conn: ServerConnection) -> None:
        now_ms = context.clock.now_ms()
        self.context = context
        """Of the shard that the mail under way belongs to."""
        self._conn = conn
        self.peer = peer
        self.session_id = context.new_session_id(now_ms)
        self.mails = 0
        """Accepted so far."""
        self.events: list[TrackingEvent] = [
            SessionOpened(now_ms, context.policy.service, str(peer), peer.local)
        ]
        """About the connection, not yet recorded."""

    def note(self, event: TrackingEvent) -> None:
        """Keep an event of the connection for the next row."""
        if len(self.events) < _MAX_EVENTS:
            self.events.append(event)

    def refuse(self, command: str, reply: Reply) -> Reply:
        """Note a refusal that concerns no single recipient; return its reply."""
        self.note(CommandRefused(self.context.clock.now_ms(), command, str(reply)))
        return reply

    def refuse_message(self, transaction: Transaction, reply: Reply) -> None:
        """Record a mail whose message was read and refused."""
        record_refused_message(
            self.context,
            self.session_id,
            self.peer.host,
            transaction,
            str(reply),
            self._take_events(),
        )

    def drop(self, transaction: Transaction | None) -> None:
        """Record a mail that will not come; only refused recipients are worth a row."""
        if transaction is not None and transaction.refused:
            record_refused_mail(
                self.context,
                self.session_id,
                self.peer.host,
                transaction,
                NOT_SENT,
                self._take_events(),
            )

    def begin_anew(self, event: Xclient, claimed_name: str) -> None:
        """Become the session of the peer that a proxy speaks for.

        What happened before is recorded apart: it belongs to another session.
        """
        context, proxy = self.context, self.peer
        now_ms = context.clock.now_ms()
        before = (*self.events, *self._take_refusals(now_ms))
        if before:
            self._record((*before, SessionClosed(now_ms, "XCLIENT", self.mails)))
        self.session_id = context.new_session_id(now_ms)
        self.peer = reported_peer(proxy, event)
        self.mails = 0
        login = event.login if isinstance(event.login, str) else None
        service = context.policy.service
        self.events = [
            SessionOpened(now_ms, service, str(self.peer), self.peer.local),
            PeerReported(now_ms, str(proxy), claimed_name, login),
        ]

    def close(self, reason: str, unfinished: Sequence[TrackingEvent]) -> None:
        """Record a session that came to nothing, or in which something was refused.

        Args:
            reason: how it ended.
            unfinished: events of a mail that will not come.
        """
        now_ms, refusals = self.context.clock.now_ms(), self.context.refusals
        refused = self._take_refusals(now_ms)
        if self.mails and reason == "quit" and not (self.events or refused or unfinished):
            return
        closed = SessionClosed(now_ms, reason, self.mails)
        if self.mails or refusals is None or refusals.takes(self.peer.host, VAIN_SESSION):
            self._record((*self.events, *unfinished, *refused, closed))

    def _take_events(self) -> list[TrackingEvent]:
        taken, self.events = self.events, []
        return taken

    def _take_refusals(self, now_ms: int) -> list[TrackingEvent]:
        """Return what the engine has refused by itself, once."""
        taken, self._conn.refusals = self._conn.refusals, []
        return [CommandRefused(now_ms, command, str(reply)) for command, reply in taken]

    def _record(self, events: Sequence[TrackingEvent]) -> None:
        record_session(self.context, self.session_id, events)


def reported_peer(proxy: Peer, told: Xclient) -> Peer:
    """Return the peer that a proxy speaks for (Postfix, XCLIENT_README). Pure.

    What it does not say stays the proxy's. Security: limits, log-ins and Received rest on it; only
    peers in ``net.xclient_peers`` get this far (``smtp.extensions.Capabilities.xclient``).
    """
    host, port, local = proxy.host, proxy.port, proxy.local
    if told.address is not None and not isinstance(told.address, UnknownCommand):
        mapped = told.address.ipv4_mapped if told.address.version == 6 else None
        host, port = str(mapped or told.address), 0
    if isinstance(told.port, int):
        port = told.port
    if told.local_address is not None and not isinstance(told.local_address, UnknownCommand):
        port_of_ours = 0 if local.startswith("unix:") else split_host_port(local)[1]
        if isinstance(told.local_port, int):
            port_of_ours = told.local_port
        local = join_host_port(str(told.local_address), port_of_ours)
    return Peer(host, port, local)
