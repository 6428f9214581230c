"""Tracking events as figures: what is counted of each minute for the administration pages. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum

from zajil.core.service import Service
from zajil.tracking import events as tracked
from zajil.tracking.events import TrackingEvent

MINUTE_MS = 60_000


class Figure(StrEnum):
    """What is counted; the values are stored and never change."""

    RECEIVED = "mail.received"
    """Mails that this server accepted, from other servers and from its users."""
    SENT = "mail.sent"
    """Recipients elsewhere whose server accepted the mail."""
    FILED = "mail.filed"
    """Copies that were put into mailboxes here."""
    DEFERRED = "mail.deferred"
    """Delivery attempts for one recipient that failed for now."""
    FAILED = "mail.failed"
    """Recipients that were given up."""
    ACCEPTED = "verdict.accept"
    JUNK = "verdict.junk"
    POSTPONED = "verdict.defer"
    REJECTED = "verdict.reject"
    IN_TLS = "tls.in"
    """Connections of other servers, with TLS, that brought a mail or were refused."""
    IN_PLAIN = "plain.in"
    OUT_TLS = "tls.out"
    """Delivery attempts with TLS."""
    OUT_PLAIN = "plain.out"
    LOGIN_FAILED = "login.failed"
    CONNECTIONS_REFUSED = "connections.refused"
    """Connections that did not become sessions: too many, or without TLS."""
    REFUSED = "refused"
    """Answers 4yz and 5yz to recipients, messages and other commands."""
    FAULTS = "faults"
    """Internal errors."""


_PLAIN: dict[type[TrackingEvent], Figure] = {
    tracked.MailAccepted: Figure.RECEIVED,
    tracked.RecipientDelivered: Figure.SENT,
    tracked.MailboxFiled: Figure.FILED,
    tracked.DeliveryDeferred: Figure.DEFERRED,
    tracked.RecipientFailed: Figure.FAILED,
    tracked.LoginFailed: Figure.LOGIN_FAILED,
    tracked.FaultHappened: Figure.FAULTS,
    tracked.RecipientRefused: Figure.REFUSED,
    tracked.MailRefused: Figure.REFUSED,
    tracked.CommandRefused: Figure.REFUSED,
    tracked.ConnectionsRefused: Figure.CONNECTIONS_REFUSED,
}
"""Events that are counted whatever they say."""
_VERDICTS = {
    "accept": Figure.ACCEPTED,
    "junk": Figure.JUNK,
    "defer": Figure.POSTPONED,
    "reject": Figure.REJECTED,
}


def count_events(events: Sequence[TrackingEvent]) -> Counter[tuple[int, Figure]]:
    """Count the events of one mail or connection, by minute since 1970 UTC."""
    counts: Counter[tuple[int, Figure]] = Counter()
    for event in events:
        figure = _PLAIN.get(type(event)) or _figure_of(event, events)
        if figure is not None:
            counts[event.at_ms // MINUTE_MS, figure] += _number(event)
    return counts


def _number(event: TrackingEvent) -> int:
    """Return how often something happened: one event may stand for many."""
    if isinstance(event, tracked.ConnectionsRefused | tracked.RefusalsMerged):
        return event.count
    return 1


def _figure_of(event: TrackingEvent, others: Iterable[TrackingEvent]) -> Figure | None:
    match event:
        case tracked.VerdictReached(recipient=None, verdict=verdict):
            return _VERDICTS.get(verdict)
        case tracked.RefusalsMerged(what="failed log-ins"):
            return Figure.LOGIN_FAILED
        case tracked.RefusalsMerged(what="refused mails"):
            return Figure.REFUSED
        case tracked.SessionOpened(service=Service.SMTP):
            has_tls = any(isinstance(one, tracked.TlsStarted) for one in others)
            return Figure.IN_TLS if has_tls else Figure.IN_PLAIN
        case tracked.AttemptMade(address=address, tls=tls) if address:
            return Figure.OUT_TLS if tls else Figure.OUT_PLAIN
        case _:
            return None
