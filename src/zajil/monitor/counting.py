"""Tracking events become counts: after the commit, in the event loop of each worker.

Events of what nobody waits for are counted also when they could not be written, as in the log.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from zajil.core.service import Service
from zajil.monitor import meters
from zajil.monitor.meter_table import MeterRow
from zajil.net.admission import HANDSHAKE_FAILED, NO_HEADER
from zajil.net.floods import FAILED_LOGIN, REFUSED_MAIL
from zajil.net.limits import ADDRESS_TAKEN, ALL_TAKEN, NETWORK_TAKEN
from zajil.net.log import LogBatch
from zajil.tracking import events as tracked
from zajil.tracking.events import TrackingEvent

_MOST_SESSIONS = 10_000
"""Connections remembered, so that their later mails count for their service."""
_ID_TIME_SIZE = 12
"""Characters at the start of a mail id that are its time, in hexadecimal (``core.ids``)."""
_REASONS = {
    ALL_TAKEN: "too many",
    ADDRESS_TAKEN: "too many of one address",
    NETWORK_TAKEN: "too many of one address",
    HANDSHAKE_FAILED: "tls",
    NO_HEADER: "no proxy header",
}


class EventCounter:
    """Counts the events of one worker."""

    def __init__(self, row: MeterRow) -> None:
        self._sessions: OrderedDict[str, str] = OrderedDict()
        self._size = 0
        """Of the message that was received last."""
        self._logins = row.counter(meters.LOGINS)
        self._mails_accepted = row.counter(meters.MAILS_ACCEPTED)
        self._mails_refused = row.counter(meters.MAILS_REFUSED)
        self._sizes = row.histogram(meters.MESSAGE_SIZE)
        self._deliveries = row.counter(meters.DELIVERIES)
        self._delivery_seconds = row.histogram(meters.DELIVERY_SECONDS)
        self._count: dict[type[TrackingEvent], Callable[[LogBatch, Any], None]] = {
            tracked.SessionOpened: self._opened,
            tracked.SessionClosed: self._closed,
            tracked.LoggedIn: self._login,
            tracked.LoginFailed: lambda _, event: self._logins((event.service, "failed")),
            tracked.RefusalsMerged: self._merged,
            tracked.MessageReceived: self._received,
            tracked.MailAccepted: self._accepted,
            tracked.MailRefused: lambda _, event: self._mails_refused((status_of(event.reply),)),
            tracked.RecipientDelivered: self._delivered,
            tracked.DeliveryDeferred: lambda _, event: self._deliveries(("deferred",)),
            tracked.RecipientFailed: self._given_up,
            **_simple_counts(row),
        }

    def count(self, batches: Sequence[LogBatch]) -> None:
        """Count events; called with all that this process records."""
        handlers = self._count
        for batch in batches:
            for event in batch.events:
                handler = handlers.get(type(event))
                if handler is not None:
                    handler(batch, event)

    def _opened(self, batch: LogBatch, event: tracked.SessionOpened) -> None:
        if batch.session_id is not None:
            self._sessions[batch.session_id] = event.service
            if len(self._sessions) > _MOST_SESSIONS:
                self._sessions.popitem(last=False)

    def _closed(self, batch: LogBatch, _event: tracked.SessionClosed) -> None:
        if batch.session_id is not None:
            self._sessions.pop(batch.session_id, None)

    def _login(self, _batch: LogBatch, event: tracked.LoggedIn) -> None:
        if event.mechanism != Service.WEB:  # that is a mail of a browser that logged in before
            self._logins((event.service, "ok"))

    def _merged(self, _batch: LogBatch, event: tracked.RefusalsMerged) -> None:
        if event.what == FAILED_LOGIN:
            self._logins((meters.OTHER, "failed"), event.count)
        elif event.what == REFUSED_MAIL:
            self._mails_refused((meters.OTHER,), event.count)

    def _received(self, _batch: LogBatch, event: tracked.MessageReceived) -> None:
        self._size = event.size

    def _accepted(self, batch: LogBatch, _event: tracked.MailAccepted) -> None:
        service = self._sessions.get(batch.session_id or "", meters.OTHER)
        self._mails_accepted((service,))
        self._sizes(self._size)

    def _delivered(self, batch: LogBatch, event: tracked.RecipientDelivered) -> None:
        self._deliveries(("delivered",))
        if batch.mail_id is not None:
            began_ms = int(batch.mail_id[:_ID_TIME_SIZE], 16)
            self._delivery_seconds(max(0, event.at_ms - began_ms) / 1000)

    def _given_up(self, _batch: LogBatch, event: tracked.RecipientFailed) -> None:
        self._deliveries(("expired" if event.expired else "failed",))


def _simple_counts(row: MeterRow) -> dict[type[TrackingEvent], Callable[[LogBatch, Any], None]]:
    """Return what counts the events that need no memory of others."""
    tls, checks = row.counter(meters.TLS_SESSIONS), row.counter(meters.CHECK_RESULTS)
    refused = row.counter(meters.CONNECTIONS_REFUSED)
    recipients, verdicts = row.counter(meters.RECIPIENTS_REFUSED), row.counter(meters.VERDICTS)
    attempts, filed = row.counter(meters.ATTEMPTS), row.counter(meters.COPIES_FILED)
    dsns, faults = row.counter(meters.DSNS), row.counter(meters.FAULTS)

    def verdict(_batch: LogBatch, event: tracked.VerdictReached) -> None:
        if event.recipient is None:
            verdicts((event.verdict,))

    def attempt(_batch: LogBatch, event: tracked.AttemptMade) -> None:
        if event.address:
            attempts(((event.tls or "none").partition(" ")[0],))

    def refuse(_batch: LogBatch, event: tracked.ConnectionsRefused) -> None:
        refused((event.service, _REASONS.get(event.reason, meters.OTHER)), event.count)

    return {
        tracked.TlsStarted: lambda _, event: tls((event.version,)),
        tracked.ConnectionsRefused: refuse,
        tracked.RecipientRefused: lambda _, event: recipients((status_of(event.reply),)),
        tracked.VerdictReached: verdict,
        tracked.CheckDone: lambda _, event: checks((event.check, event.result)),
        tracked.MailboxFiled: lambda _, event: filed(),
        tracked.AttemptMade: attempt,
        tracked.DsnSent: lambda _, event: dsns(),
        tracked.FaultHappened: lambda _, event: faults(),
    }


def status_of(reply: str) -> str:
    """Return the enhanced status code of a reply, ``""`` if it has none."""
    words = reply.split(maxsplit=2)
    return words[1] if len(words) > 1 else ""
