"""Contacts from vCard files, and back into one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from kit.operations import runner
from kit.store import make_account, open_test_store
from zajil.core.ids import AccountId
from zajil.operations.moving.cards import export_contacts, import_contacts
from zajil.store.people.contacts import list_contacts

CARDS = "".join(
    f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:ليلى {number}\r\nEMAIL:layla{number}@far.test\r\n"
    f"NOTE:{'tea ' * 300}\r\nEND:VCARD\r\n"
    for number in range(300)
)


def test_many_cards_and_back(tmp_path: Path) -> None:
    """More than one portion; twice the same file makes no second contact; what is none is told."""
    store = open_test_store("sqlite", tmp_path / "data")
    for name in ("amal", "basim"):
        make_account(store, f"{name}@north.test")
    operations = runner(store)
    text = CARDS + "BEGIN:VCARD\r\nVERSION:3.0\r\nNOTE:nobody\r\nEND:VCARD\r\n"
    for _ in range(2):
        done = operations.run(import_contacts, "amal", [text])
        assert (done.saved, done.left_out) == (300, 1)
    cards = store.read_now(lambda conn: list(export_contacts(conn, "amal", "4.0")))
    assert len(cards) == 300
    operations.run(import_contacts, "basim", ["".join(cards)])
    names = []
    for who in (1, 2):
        found = store.read_now(partial(list_contacts, account_id=AccountId(who)))
        names.append([(one.name, one.emails) for one in found])
    assert names[0] == names[1]
    assert len(names[0]) == 300
    store.close_now()
