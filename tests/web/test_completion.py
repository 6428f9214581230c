"""Whom somebody means by the first letters."""

from __future__ import annotations

import pytest

from zajil.store.people.contacts import Contact
from zajil.store.people.written_to import PastRecipient
from zajil.web.webmail.completion import MOST, Suggestion, is_whole_name, suggest, suggest_groups

DAY = 86_400_000
NOW = 1000 * DAY
CONTACTS = [
    Contact(contact_id=1, uid="1", name="Noor Saleh", emails=("noor@south.test", "ns@x.test")),
    Contact(contact_id=2, uid="2", name="Sara Noori", emails=("sara@south.test",)),
    Contact(contact_id=3, uid="3", name="سلمى الخطيب", emails=("salma@z.test",)),
]
HISTORY = [
    PastRecipient("norman@x.test", "Norman", 9, NOW - DAY),
    PastRecipient("noor@south.test", "Noor S.", 1, NOW - 400 * DAY),
    PastRecipient("nora@x.test", "Nora", 9, NOW - 400 * DAY),
]


def found(text: str) -> list[str]:
    return [one.address for one in suggest(CONTACTS, HISTORY, text, NOW)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("no", ["norman@x.test", "noor@south.test", "ns@x.test", "nora@x.test", "sara@south.test"]),
        ("noor", ["noor@south.test", "ns@x.test", "sara@south.test"]),
        ("noor@", ["noor@south.test"]),
        ("ns", ["ns@x.test"]),
        ("خطيب", ["salma@z.test"]),
        ("الخَطيب", ["salma@z.test"]),
        ("south", ["noor@south.test", "sara@south.test"]),
        ("zzz", []),
    ],
)
def test_who_is_meant(text: str, wanted: list[str]) -> None:
    assert found(text) == wanted


def test_an_address_is_suggested_once_by_the_name_of_the_contact() -> None:
    (first, *_) = suggest(CONTACTS, HISTORY, "noor", NOW)
    assert (first.name, first.contact_id) == ("Noor Saleh", 1)


def test_suggestions_are_few() -> None:
    many = [PastRecipient(f"no{n}@x.test", "", 1, NOW) for n in range(50)]
    assert len(suggest([], many, "no", NOW)) == MOST


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "a@x.test"),
        ("a@x.test", "a@x.test"),
        ("Noor Saleh", "Noor Saleh <a@x.test>"),
        ("نور", "نور <a@x.test>"),
        ('Saleh, "N"', '"Saleh, \\"N\\"" <a@x.test>'),
        ("back\\slash", '"back\\\\slash" <a@x.test>'),
    ],
)
def test_how_a_recipient_is_written(name: str, text: str) -> None:
    assert Suggestion(name, "a@x.test").text == text


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("fam", ["Family", "Old family"]),
        ("FAMILY", ["Family", "Old family"]),
        ("عائ", ["العائلة"]),
        ("العَائلة", ["العائلة"]),
        ("amily", []),
        ("", []),
        (" ", []),
    ],
)
def test_which_groups_are_meant(typed: str, wanted: list[str]) -> None:
    assert suggest_groups(["Old family", "Family", "العائلة", "Work"], typed) == wanted


def test_a_name_is_typed_whole() -> None:
    assert is_whole_name("العائلة", " العَائلة ")
    assert not is_whole_name("Family", "fam")
