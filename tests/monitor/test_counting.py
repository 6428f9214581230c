"""Tracking events become counts."""

from __future__ import annotations

from collections.abc import Mapping

from zajil.core.ids import MailId, SessionId
from zajil.monitor import meters
from zajil.monitor.counting import EventCounter
from zajil.monitor.meter_table import MeterTable
from zajil.monitor.meters import Meter
from zajil.store.mail.tracking import EventBatch
from zajil.tracking import events as tracked
from zajil.tracking.events import TrackingEvent

SESSION, MAIL = SessionId("5" * 28), MailId(f"{1000:012x}{'0' * 16}")


def counted(*batches: tuple[TrackingEvent, ...]) -> MeterTable:
    """Count events of one connection and mail, a transaction each."""
    table = MeterTable(1)
    counter = EventCounter(table.worker(0))
    for events in batches:
        counter.count([EventBatch(SESSION, MAIL, 0, events)])
    return table


def found(table: MeterTable, meter: Meter) -> Mapping[tuple[str, ...], float]:
    """Give what is not zero."""
    return {labels: value for labels, value in table.values(meter).items() if value}


def test_a_mail_that_comes_in() -> None:
    table = counted(
        (
            tracked.SessionOpened(0, "smtp", "192.0.2.1:1", "192.0.2.2:25"),
            tracked.TlsStarted(0, "TLSv1.3", "TLS_AES_256_GCM_SHA384", None),
            tracked.RecipientRefused(0, "x@y.test", "550 5.1.1 unknown recipient address"),
            tracked.MessageReceived(0, 5000, "a@b.test", "<1@b.test>"),
            tracked.CheckDone(0, "dmarc", "pass", "", ()),
            tracked.VerdictReached(0, None, "junk", 5.0, ()),
            tracked.VerdictReached(0, "b@y.test", "junk", 5.0, ()),
            tracked.MailAccepted(0, 1),
            tracked.MailboxFiled(0, "b@y.test", "b", "Junk", ""),
        ),
        (tracked.MessageReceived(0, 9, "a@b.test", ""), tracked.MailAccepted(0, 1)),
        (tracked.SessionClosed(0, "quit", 2),),
        (tracked.MessageReceived(0, 1, "a@b.test", ""), tracked.MailAccepted(0, 1)),
    )
    assert found(table, meters.MAILS_ACCEPTED) == {("smtp",): 2, ("other",): 1}
    assert found(table, meters.TLS_SESSIONS) == {("TLSv1.3",): 1}
    assert found(table, meters.RECIPIENTS_REFUSED) == {("5.1.1",): 1}
    assert found(table, meters.CHECK_RESULTS) == {("dmarc", "pass"): 1}
    assert found(table, meters.VERDICTS) == {("junk",): 1}
    assert found(table, meters.COPIES_FILED) == {(): 1}
    assert table.histogram(meters.MESSAGE_SIZE).sum == 5010


def test_what_is_refused() -> None:
    table = counted(
        (
            tracked.MailRefused(0, "452 4.3.1 no space"),
            tracked.MailRefused(0, "554 no"),
            tracked.RefusalsMerged(0, "192.0.2.1", "refused mails", 40, 0),
            tracked.RefusalsMerged(0, "192.0.2.1", "failed log-ins", 30, 0),
            tracked.ConnectionsRefused(0, "imaps", "192.0.2.1", "TLS handshake failed", 7, 0),
            tracked.ConnectionsRefused(0, "smtp", "192.0.2.1", "too many sessions in all", 2, 0),
        )
    )
    assert found(table, meters.MAILS_REFUSED) == {("4.3.1",): 1, ("other",): 41}
    assert found(table, meters.LOGINS) == {("other", "failed"): 30}
    assert found(table, meters.CONNECTIONS_REFUSED) == {
        ("imaps", "tls"): 7,
        ("smtp", "too many"): 2,
    }


def test_log_ins() -> None:
    table = counted(
        (
            tracked.LoggedIn(0, "b", "PLAIN", "imaps", "192.0.2.1"),
            tracked.LoggedIn(0, "b", "web"),  # a mail of a browser that logged in before
            tracked.LoginFailed(0, "b", "PLAIN", "no", "submissions", "192.0.2.1"),
        )
    )
    assert found(table, meters.LOGINS) == {("imaps", "ok"): 1, ("submissions", "failed"): 1}


def test_what_goes_out() -> None:
    tls = "TLSv1.2 ECDHE, certificate verified"
    table = counted(
        (
            tracked.AttemptMade(0, "mx", "192.0.2.9:25", tls, (), ""),
            tracked.AttemptMade(0, "mx", "192.0.2.9:25", None, (), ""),
            tracked.AttemptMade(0, "mx", "", None, (), "no address"),
            tracked.DeliveryDeferred(0, "a@b.test", None, "", 0),
            tracked.RecipientDelivered(91_000, "a@b.test", "mx", "250 ok"),
            tracked.RecipientFailed(0, "c@b.test", "mx", "5.1.1", "", False),
            tracked.RecipientFailed(0, "d@b.test", "mx", "4.4.7", "", True),
            tracked.DsnSent(0, MAIL, ("c@b.test",)),
        )
    )
    assert found(table, meters.ATTEMPTS) == {("TLSv1.2",): 1, ("none",): 1}
    assert found(table, meters.DELIVERIES) == {
        (result,): 1 for result in ("deferred", "delivered", "failed", "expired")
    }
    assert table.histogram(meters.DELIVERY_SECONDS).sum == 90
    assert found(table, meters.DSNS) == {(): 1}
