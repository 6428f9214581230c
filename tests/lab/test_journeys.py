"""Halves of one mail in several stores are put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zajil.core.ids import MailId
from zajil.lab.journeys import LabJourneys
from zajil.tracking.events import DsnSent, RecipientDelivered, TrackingEvent
from zajil.tracking.journey import Journey, Recorded

SENT, ARRIVED, REPORT = (MailId(letter * 28) for letter in "abc")


def journey(mail_id: MailId, *events: TrackingEvent) -> Journey:
    recorded = tuple(Recorded(None, event) for event in events)
    return Journey(
        mail_id=mail_id,
        parent_mail_id=None,
        message_id="<1@north.test>",
        header_from="a@north.test",
        received_at_ms=0,
        account_id=None,
        recipients=(),
        events=recorded,
    )


def delivered(mail_id: str) -> RecipientDelivered:
    reply = f"250 2.0.0 queued as {mail_id}"
    return RecipientDelivered(0, "b@south.test", "mx.south.test", reply)


class Stores(LabJourneys):
    """Journeys from memory instead of from stores."""

    def __init__(self, **stores: list[Journey]) -> None:
        nothing: Callable[[Callable[[Any], Any]], Any] = lambda query: None  # noqa: E731
        super().__init__(dict.fromkeys(stores, nothing))
        self._stores = stores

    def _load(self, domain: str, mail_id: MailId) -> Journey | None:
        found = (one for one in self._stores[domain] if one.mail_id == mail_id)
        return next(found, None)


def ids(journeys: LabJourneys, mail_id: MailId) -> list[tuple[str, str]]:
    return [(half.domain, half.journey.mail_id) for half in journeys.halves(mail_id)]


def test_both_ends_in_their_order() -> None:
    stores = Stores(south=[journey(ARRIVED)], north=[journey(SENT, delivered(ARRIVED))])
    assert ids(stores, SENT) == [("north", SENT), ("south", ARRIVED)]


def test_a_report_follows_the_mail_it_is_about() -> None:
    stores = Stores(north=[journey(SENT, DsnSent(0, REPORT, ("x@y.test",))), journey(REPORT)])
    assert ids(stores, SENT) == [("north", SENT), ("north", REPORT)]


def test_servers_that_name_each_other_end() -> None:
    stores = Stores(
        north=[journey(SENT, delivered(ARRIVED))], south=[journey(ARRIVED, delivered(SENT))]
    )
    assert ids(stores, SENT) == [("north", SENT), ("south", ARRIVED)]


def test_an_unknown_mail_has_no_halves() -> None:
    assert ids(Stores(north=[]), SENT) == []
