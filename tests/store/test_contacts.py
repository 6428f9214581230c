"""Contacts in the store, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

import zajil.store.people.contacts
import zajil.store.people.written_to
from kit.store import make_account
from zajil.core.errors import NotFound
from zajil.core.ids import AccountId
from zajil.store.engine.open import Store
from zajil.store.people.accounts import delete_account
from zajil.store.people.contacts import (
    KEPT_MS,
    Contact,
    ContactsOf,
    DeletedAt,
    Photo,
    SavedContact,
    TooManyContacts,
    delete_contacts,
    find_by_address,
    find_contacts_with,
    get_contact,
    get_photo,
    list_contacts,
    restore_contacts,
    save_contacts,
)
from zajil.store.people.written_to import (
    WrittenTo,
    find_written_to,
    forget_written_to,
    get_written_to,
    note_written_to,
)

NOOR = Contact(
    uid="1",
    name="Noor Saleh",
    emails=("noor.saleh@south.test", "n@x.test"),
    phones=("+967 1",),
    organisation="The 50% Company",
    note="one\ntwo",
    groups=("Family", "عمل"),
)
SALMA = Contact(uid="2", name="سلمى الخَطيب", emails=("سلمى@زاجل.test",))


def make(store: Store, login: str) -> AccountId:
    return make_account(store, f"{login}@south.test").account_id


def save(store: Store, owner: AccountId, contact: Contact, photo: Photo | None = None) -> int:
    item = SavedContact(account_id=owner, contact=contact, photo=photo, now_ms=1)
    return store.write_now(save_contacts, item)


def names(store: Store, owner: AccountId, text: str = "", group: str = "") -> list[str]:
    return [one.name for one in store.read_now(lambda c: list_contacts(c, owner, text, group))]


def test_a_contact_is_kept_changed_and_found(store: Store) -> None:
    amal, basim = make(store, "amal"), make(store, "basim")
    first = save(store, amal, NOOR, Photo("image/png", b"\x89PNG"))
    save(store, amal, SALMA)
    wanted = replace(NOOR, contact_id=first, has_photo=True)
    assert store.read_now(lambda c: get_contact(c, amal, first)) == wanted
    assert store.read_now(lambda c: get_photo(c, amal, first)) == Photo("image/png", b"\x89PNG")
    assert store.read_now(lambda c: get_contact(c, basim, first)) is None
    assert store.read_now(lambda c: get_photo(c, basim, first)) is None
    assert names(store, basim) == []
    for text, found in [
        ("", ["Noor Saleh", "سلمى الخَطيب"]),
        ("noo", ["Noor Saleh"]),
        ("SALEH noor", ["Noor Saleh"]),
        ("oor", []),
        ("50%", ["Noor Saleh"]),
        ("%", []),
        ("_", []),
        ("خطيب", ["سلمى الخَطيب"]),
        ("الخطيب", ["سلمى الخَطيب"]),
    ]:
        assert (text, names(store, amal, text)) == (text, found)
    assert names(store, amal, group="عمل") == ["Noor Saleh"]
    # The picture stays until it is dropped.
    save(store, amal, replace(wanted, name="Nour"))
    assert names(store, amal, "nour") == ["Nour"]
    assert store.read_now(lambda c: get_photo(c, amal, first)) is not None
    item = SavedContact(account_id=amal, contact=wanted, drops_photo=True, now_ms=1)
    store.write_now(save_contacts, item)
    assert store.read_now(lambda c: get_photo(c, amal, first)) is None


def test_one_uid_is_one_contact(store: Store) -> None:
    amal, basim = make(store, "amal"), make(store, "basim")
    first = save(store, amal, NOOR)
    assert save(store, amal, replace(NOOR, name="Nour")) == first
    assert save(store, basim, NOOR) != first
    assert names(store, amal) == ["Nour"]
    with pytest.raises(NotFound):
        save(store, basim, replace(NOOR, contact_id=first))


def test_what_is_deleted_comes_back_for_some_days(store: Store) -> None:
    amal, basim = make(store, "amal"), make(store, "basim")
    ids = (save(store, amal, NOOR), save(store, amal, SALMA))
    assert store.write_now(delete_contacts, ContactsOf(basim, ids, 10)) == 0
    assert store.write_now(delete_contacts, ContactsOf(amal, ids, 10)) == 2
    assert names(store, amal) == []
    assert store.read_now(lambda c: find_by_address(c, amal, "n@x.test")) is None
    assert store.write_now(restore_contacts, DeletedAt(basim, 10)) == 0
    assert store.write_now(restore_contacts, DeletedAt(amal, 10)) == 2
    assert len(names(store, amal)) == 2
    store.write_now(delete_contacts, ContactsOf(amal, ids, 20))
    store.write_now(delete_contacts, ContactsOf(amal, (), 21 + KEPT_MS))
    assert store.write_now(restore_contacts, DeletedAt(amal, 20)) == 0


def test_an_account_has_so_many_contacts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zajil.store.people.contacts, "MOST_CONTACTS", 1)
    amal = make(store, "amal")
    save(store, amal, NOOR)
    with pytest.raises(TooManyContacts):
        save(store, amal, SALMA)
    save(store, amal, NOOR)


def test_whom_an_account_wrote_to(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zajil.store.people.written_to, "MOST_WRITTEN_TO", 2)
    amal = make(store, "amal")
    for address, name, at_ms in [
        ("noor@south.test", "Noor", 1),
        ("NOOR@south.test", "", 3),
        ("basim@north.test", "Basim", 2),
    ]:
        store.write_now(note_written_to, (WrittenTo(amal, address, name, at_ms),))
    (noor,) = store.read_now(lambda c: find_written_to(c, amal, "noo", 9))
    assert (noor.name, noor.times, noor.last_ms) == ("Noor", 2, 3)
    assert store.read_now(lambda c: get_written_to(c, amal, ["Noor@South.test"])) == [noor]
    store.write_now(note_written_to, (WrittenTo(amal, "last@x.test", "", 4),))
    found = store.read_now(lambda c: find_written_to(c, amal, "", 9))
    assert [one.address for one in found] == ["last@x.test", "NOOR@south.test"]
    store.write_now(forget_written_to, (amal, "last@X.test"))
    assert len(store.read_now(lambda c: find_written_to(c, amal, "", 9))) == 1


def test_contacts_go_with_their_account(store: Store) -> None:
    amal = make(store, "amal")
    save(store, amal, NOOR)
    store.write_now(note_written_to, (WrittenTo(amal, "noor@south.test", "", 1),))
    store.write_now(delete_account, amal)
    assert names(store, amal) == []
    assert store.read_now(lambda c: find_written_to(c, amal, "", 9)) == []
    # A page that is still open writes nothing for an account that is gone.
    store.write_now(note_written_to, (WrittenTo(amal, "noor@south.test", "", 1),))
    assert store.read_now(lambda c: find_written_to(c, amal, "", 9)) == []
    with pytest.raises(NotFound):
        save(store, amal, NOOR)


def test_completion_looks_at_contacts_with_addresses(store: Store) -> None:
    amal = make(store, "amal")
    save(store, amal, NOOR)
    save(store, amal, Contact(uid="3", name="Noor without address"))
    found = store.read_now(lambda c: find_contacts_with(c, amal, "noor", 9))
    assert [one.name for one in found] == ["Noor Saleh"]
    by_address = store.read_now(lambda c: find_by_address(c, amal, "N@X.test"))
    assert by_address is not None
    assert by_address.name == "Noor Saleh"
