"""What ``zajil journey`` prints."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kit.store import NOW_MS, make_account, make_intake
from zajil.core.ids import MailId
from zajil.operations.journey import NoSuchMail, find_mails, show_journey
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes


def test_an_unknown_mail(store: Store) -> None:
    with pytest.raises(NoSuchMail):
        store.read_now(lambda conn: show_journey(conn, MailId("0" * 28)))


def test_the_whole_journey_and_the_list(store: Store) -> None:
    """Design section 6: the keys that other programs rely on."""
    salma = make_account(store, "سلمى@زاجل.test", "salma")
    item = make_intake(store.blobs.stage([b"x"]), local=[salma], remote=["noor@south.test"])
    item = replace(item, header_from="Sender <sender@elsewhere.test>")
    store.write_now(write_intakes, item)
    shown = store.read_now(lambda conn: show_journey(conn, item.mail_id))
    assert [copy["address"] for copy in shown["recipients"]] == [
        "سلمى@زاجل.test",
        "noor@south.test",
    ]
    assert [event["name"] for event in shown["events"]] == ["mail.accepted"]
    found = store.read_now(lambda conn: find_mails(conn, to="سلمى@زاجل.test"))
    assert found == {
        "mails": [
            {
                "mail_id": item.mail_id,
                "from": "sender@elsewhere.test",
                "message_id": item.message_id,
                "at_ms": NOW_MS,
                "size": 1,
                "recipients": ["سلمى@زاجل.test", "noor@south.test"],
                "states": {"delivered": 1, "waiting": 1},
            }
        ]
    }
