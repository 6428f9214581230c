"""Journeys in the store, on both databases."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from kit.store import NOW_MS, make_account, make_intake
from zajil.core.address import parse_address
from zajil.core.ids import (
    ID_RANDOM_SIZE,
    AccountId,
    MailId,
    SessionId,
    new_mail_id,
    new_session_id,
)
from zajil.store.engine.open import Store
from zajil.store.mail import tracking
from zajil.store.mail.intake import Intake, RemoteCopy, write_intakes
from zajil.store.mail.tracking import (
    JUNK,
    EventBatch,
    FoundMail,
    MailQuery,
    delete_events,
    delete_mails,
    find_mails,
    load_journey,
    record_events,
)
from zajil.tracking import events as tracked
from zajil.tracking.events import TrackingEvent
from zajil.tracking.journey import Journey

SESSION = new_session_id(NOW_MS, bytes(ID_RANDOM_SIZE))


def put(store: Store, **changes: object) -> Intake:
    amal = make_account(store, f"amal{os.urandom(4).hex()}@north.test")
    item = make_intake(store.blobs.stage([b"a: b\r\n\r\nc\r\n"]), local=[amal])
    item = replace(item, **changes)  # type: ignore[arg-type]
    store.write_now(write_intakes, item)
    return item


def journey_of(store: Store, mail_id: MailId) -> Journey:
    journey = store.read_now(lambda conn: load_journey(conn, mail_id))
    assert journey is not None
    return journey


def find(store: Store, query: MailQuery) -> list[FoundMail]:
    return store.read_now(lambda conn: find_mails(conn, query))


def record(
    store: Store, *events: TrackingEvent, session: SessionId | None, mail: MailId | None
) -> None:
    store.write_now(record_events, EventBatch(session, mail, events[0].at_ms, events))


def test_an_unknown_mail_has_no_journey(store: Store) -> None:
    assert store.read_now(lambda conn: load_journey(conn, MailId("nothing"))) is None


def test_a_journey_holds_what_was_recorded(store: Store) -> None:
    """Events of the intake and of what came later, in the order they happened."""
    item = put(store)
    delivered = tracked.RecipientDelivered(NOW_MS + 5, "a@b.test", "mx.b.test", "250 ok")
    record(store, delivered, session=None, mail=item.mail_id)
    journey = journey_of(store, item.mail_id)
    assert journey.message_id == item.message_id
    assert journey.received_at_ms == item.received_at_ms
    assert [recorded.event for recorded in journey.events] == [*item.events, delivered]
    (copy,) = journey.recipients
    assert copy.state == "delivered"
    assert copy.account_id == item.local[0].account_id


def test_each_mail_of_a_session_shows_how_it_began(store: Store) -> None:
    """The connection stands in the row of its first mail, and in rows without a mail.

    All mails have the same time, so the first one may have any of the three ids.
    """
    opened = tracked.SessionOpened(NOW_MS, "smtp", "192.0.2.1:9", "127.0.0.1:25")
    named = tracked.RecipientNamed(NOW_MS + 1, "secret@north.test", "local")
    put(store, session_id=SESSION, events=(opened, named))
    accepted = tracked.MailAccepted(NOW_MS + 8, 1)
    second = put(store, session_id=SESSION, events=(accepted,))
    third = tracked.RecipientNamed(NOW_MS + 9, "other@north.test", "local")
    put(store, session_id=SESSION, events=(third,))
    closed = tracked.SessionClosed(NOW_MS + 20, "quit", 3)
    record(store, closed, session=SESSION, mail=None)
    journey = journey_of(store, second.mail_id)
    # Security: of the other mails nothing but the connection itself is here.
    assert [recorded.event for recorded in journey.events] == [opened, accepted, closed]


def test_a_refused_mail_is_told_from_its_events(store: Store) -> None:
    """It has no row; the reply to its sender named it."""
    refused = new_mail_id(NOW_MS + 1, os.urandom(ID_RANDOM_SIZE))
    opened = tracked.SessionOpened(NOW_MS, "smtp", "192.0.2.1:9", "127.0.0.1:25")
    other = tracked.RecipientNamed(NOW_MS, "secret@north.test", "local")
    put(store, session_id=SESSION, events=(opened, other))
    reply = "550 5.6.0 a NUL byte"
    events = (
        tracked.SenderNamed(NOW_MS + 1, "sender@elsewhere.test", ""),
        tracked.RecipientNamed(NOW_MS + 2, "amal@north.test", "local"),
        tracked.RecipientRefused(NOW_MS + 3, "nobody@north.test", "550 5.1.1 nobody"),
        tracked.MessageReceived(NOW_MS + 4, 3, "Sender <s@elsewhere.test>", "<1@elsewhere.test>"),
        tracked.MailRefused(NOW_MS + 5, reply),
    )
    record(store, *events, session=SESSION, mail=refused)
    record(store, tracked.SessionClosed(NOW_MS + 9, "quit", 1), session=SESSION, mail=None)
    journey = journey_of(store, refused)
    assert journey.received_at_ms == NOW_MS + 5
    assert journey.header_from == "Sender <s@elsewhere.test>"
    assert journey.message_id == "<1@elsewhere.test>"
    assert [(copy.address, copy.state, copy.reason) for copy in journey.recipients] == [
        ("amal@north.test", "refused", reply),
        ("nobody@north.test", "refused", "550 5.1.1 nobody"),
    ]
    names = [recorded.event.name for recorded in journey.events]
    assert names == ["session.opened", *(event.name for event in events), "session.closed"]
    assert (
        store.write_now(delete_events, NOW_MS + 60_000) == 3
    )  # one of them in the row of the other mail
    assert store.read_now(lambda conn: load_journey(conn, refused)) is None


def test_a_mail_without_row_that_was_not_refused_is_unknown(store: Store) -> None:
    named = tracked.RecipientNamed(NOW_MS, "amal@north.test", "local")
    record(store, named, session=SESSION, mail=MailId("01m8nothing"))
    assert store.read_now(lambda conn: load_journey(conn, MailId("01m8nothing"))) is None


def test_an_empty_batch_writes_nothing(store: Store) -> None:
    item = put(store, events=())
    store.write_now(record_events, EventBatch(None, item.mail_id, NOW_MS, ()))
    assert journey_of(store, item.mail_id).events == ()


def test_old_events_are_forgotten_and_the_mail_is_not(store: Store) -> None:
    item = put(store)
    assert store.write_now(delete_events, NOW_MS + 1) == 1
    journey = journey_of(store, item.mail_id)
    assert journey.events == ()
    assert len(journey.recipients) == 1


def test_old_mails_are_forgotten_but_for_what_waits(store: Store) -> None:
    """Who wrote to whom is kept as long as the events; a queued mail as long as it waits."""
    done, waiting = (
        put(store),
        put(
            store,
            remote=(
                RemoteCopy(
                    recipient=parse_address("x@far.test"),
                    next_hop="far.test",
                    next_try_ms=NOW_MS,
                    expires_ms=NOW_MS,
                ),
            ),
        ),
    )
    assert store.write_now(delete_mails, NOW_MS - 1) == 0
    assert store.write_now(delete_mails, NOW_MS + 60_000) == 1
    found = store.read_now(lambda conn: find_mails(conn, MailQuery()))
    assert [one.mail_id for one in found] == [waiting.mail_id]
    assert store.read_now(lambda conn: load_journey(conn, done.mail_id)) is None


def test_many_old_mails_are_forgotten_in_several_commits(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New mail does not wait until all are gone; the oldest go first."""
    monkeypatch.setattr(tracking, "PRUNED_AT_ONCE", 2)
    for _ in range(2):
        put(store)
    last = put(store, mail_id=new_mail_id(NOW_MS + 1, bytes(ID_RANDOM_SIZE)))
    assert store.write_now(delete_mails, NOW_MS + 60_000) == 2
    found = store.read_now(lambda conn: find_mails(conn, MailQuery()))
    assert [one.mail_id for one in found] == [last.mail_id]
    assert store.write_now(delete_mails, NOW_MS + 60_000) == 1


def test_mails_are_found_by_what_people_know(store: Store) -> None:
    item = put(
        store,
        reverse_path=parse_address("Noor@South.test"),
        header_from="noor@south.test",
        message_id="<rose@south.test>",
        account_id=AccountId(7),
    )
    other = put(store, reverse_path=None, header_from="", message_id="<b@west.test>")
    to = str(item.local[0].recipient)
    for query in (
        MailQuery(to=to),
        MailQuery(to=to.upper()),
        MailQuery(to=to[:9]),
        MailQuery(sender="noor@south.test"),
        MailQuery(sender="NOOR@SOUTH.TEST"),
        MailQuery(sender="south"),
        MailQuery(message_id="<rose@south.test>"),
        MailQuery(message_id="rose@south.test"),
        MailQuery(account_id=AccountId(7)),
        MailQuery(to=to, sender="noor@south.test", since_ms=NOW_MS),
    ):
        assert [found.mail_id for found in find(store, query)] == [item.mail_id], query
    assert {found.mail_id for found in find(store, MailQuery())} == {item.mail_id, other.mail_id}


def test_what_is_not_there_is_not_found(store: Store) -> None:
    put(store, header_from="noor@south.test")
    for query in (
        MailQuery(since_ms=NOW_MS + 1),
        MailQuery(to="nobody@north.test"),
        MailQuery(sender="%"),
        MailQuery(sender="_"),
        MailQuery(message_id="%"),
        MailQuery(sender="'; DROP TABLE mail; --"),
    ):
        assert find(store, query) == [], query


def test_the_newest_is_first_and_the_limit_holds(store: Store) -> None:
    items = [
        replace(make_intake(store.blobs.stage([b"x"]), at_ms=NOW_MS + at), remote=())
        for at in (0, 1000, 2000)
    ]
    for item in items:
        store.write_now(write_intakes, item)
    found = find(store, MailQuery(limit=2))
    assert [mail.mail_id for mail in found] == [items[2].mail_id, items[1].mail_id]


def test_states_are_told_for_every_recipient(store: Store) -> None:
    basim = make_account(store, "basim@north.test")
    item = make_intake(store.blobs.stage([b"x"]), local=[basim], remote=["noor@south.test"])
    store.write_now(write_intakes, item)
    (found,) = find(store, MailQuery(to="noor@south.test"))
    assert found.recipients == (("basim@north.test", "delivered"), ("noor@south.test", "waiting"))


def test_mails_are_found_by_subject_result_and_reason(store: Store) -> None:
    """A phish in Junk is told apart from what was delivered to its readers."""
    basim = make_account(store, "basim@north.test")
    ids: dict[str, MailId] = {}
    for number, (name, mailbox) in enumerate((("phish", "Junk"), ("news", "INBOX"))):
        item = make_intake(store.blobs.stage([b"x"]), local=[basim], at_ms=NOW_MS + number)
        place = replace(item.local[0].places[0], mailbox_name=mailbox)
        copy = replace(item.local[0], places=(place,))
        ids[name] = store.write_now(
            write_intakes, replace(item, subject=f"Your {name} رسالة\0", local=(copy,))
        )
    waiting = make_intake(store.blobs.stage([b"x"]), remote=["noor@south.test"])
    ids["queue"] = store.write_now(write_intakes, waiting)

    def names(**query: Any) -> set[str]:
        found = {one.mail_id for one in find(store, MailQuery(**query))}
        return {name for name, mail_id in ids.items() if mail_id in found}

    assert names(subject="YOUR PHISH") == {"phish"}
    assert names(subject="رسالة") == {"phish", "news"}
    assert names(subject="%") == set()
    assert names(outcome=JUNK) == {"phish"}
    assert names(outcome="delivered") == {"news"}
    assert names(outcome="waiting") == {"queue"}
    assert names(mail_id=ids["news"]) == {"news"}
    assert names(until_ms=NOW_MS + 1) == {"phish", "queue"}
    assert names(reason="greylisted") == set()
    (found,) = find(store, MailQuery(mail_id=ids["phish"]))
    assert (found.subject, found.outcomes) == ("Your phish رسالة", (JUNK,))
    older = {one.mail_id for one in find(store, MailQuery(before=ids["news"]))}
    assert older == {ids["phish"], ids["queue"]}
