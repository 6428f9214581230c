"""Events become figures of a minute."""

from __future__ import annotations

from zajil.check.verdict.verdict import Action
from zajil.tracking import events as tracked
from zajil.tracking.events import TrackingEvent
from zajil.tracking.traffic import MINUTE_MS, Figure, count_events

AT_MS = 7 * MINUTE_MS + 59_999


def figures(*events: TrackingEvent) -> dict[str, int]:
    return {figure.value: count for (_, figure), count in count_events(events).items()}


def test_an_incoming_mail() -> None:
    events = (
        tracked.SessionOpened(AT_MS, "smtp", "192.0.2.1:25", ":25"),
        tracked.TlsStarted(AT_MS, "TLSv1.3", "x", None),
        tracked.VerdictReached(AT_MS, None, "junk", 5.0, ()),
        tracked.VerdictReached(AT_MS, "a@north.test", "accept", 0.0, ()),
        tracked.MailboxFiled(AT_MS, "a@north.test", "a", "Junk", ""),
        tracked.MailAccepted(AT_MS, 1),
    )
    assert figures(*events) == {
        "tls.in": 1, "verdict.junk": 1, "mail.filed": 1, "mail.received": 1,
    }  # fmt: skip
    assert {minute for minute, _ in count_events(events)} == {7}


def test_deliveries() -> None:
    attempt = tracked.AttemptMade(AT_MS, "mx", "192.0.2.1:25", "TLSv1.3", (), "")
    nobody = tracked.AttemptMade(AT_MS, "mx", "", None, (), "no host responded")
    assert figures(
        attempt,
        nobody,
        tracked.AttemptMade(AT_MS, "mx", "192.0.2.1:25", None, (), ""),
        tracked.RecipientDelivered(AT_MS, "a@b.test", "mx", "250 ok"),
        tracked.DeliveryDeferred(AT_MS, "c@b.test", "mx", "450", 1),
        tracked.RecipientFailed(AT_MS, "d@b.test", "mx", "5.1.1", "550", expired=False),
    ) == {"tls.out": 1, "plain.out": 1, "mail.sent": 1, "mail.deferred": 1, "mail.failed": 1}


def test_sessions_of_users_are_no_connections_of_servers() -> None:
    opened = tracked.SessionOpened(AT_MS, "submissions", "192.0.2.1:1", ":465")
    plain = tracked.SessionOpened(AT_MS, "smtp", "192.0.2.1:1", ":25")
    assert figures(opened) == {}
    assert figures(plain) == {"plain.in": 1}


def test_verdicts_have_the_names_that_the_checks_give() -> None:

    counted = [
        figures(tracked.VerdictReached(AT_MS, None, action.value, 0.0, ())) for action in Action
    ]
    assert len({name for one in counted for name in one}) == len(Action)
    assert all(name in set(Figure) for one in counted for name in one)


def test_refusals_are_counted_one_by_one() -> None:
    """An event may stand for many; its minute is that in which it was recorded."""
    assert figures(
        tracked.ConnectionsRefused(AT_MS, "smtp", "192.0.2.1", "too many sessions in all", 40, 1),
        tracked.ConnectionsRefused(AT_MS, "imaps", "others", "TLS handshake failed", 2, 1),
        tracked.RecipientRefused(AT_MS, "a@b.test", "550 5.1.1 no such address here"),
        tracked.CommandRefused(AT_MS, "MAIL FROM:<>", "503"),
        tracked.MailRefused(AT_MS, "550"),
        tracked.RefusalsMerged(AT_MS, "192.0.2.1", "refused mails", 7, 1),
        tracked.RefusalsMerged(AT_MS, "192.0.2.1", "failed log-ins", 5, 1),
        tracked.RefusalsMerged(AT_MS, "192.0.2.1", "sessions without a mail", 3, 1),
    ) == {"connections.refused": 42, "refused": 10, "login.failed": 5}
