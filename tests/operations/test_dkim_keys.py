"""Signing keys from the operator's hand, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kit.mail import NOON_MS
from zajil.config.options_keys import KeyOptions
from zajil.operations.dkim_keys import (
    KeysAreWaiting,
    make_first_keys,
    make_missing_keys,
    revoke_keys,
    rotate_keys,
    show_keys,
)
from zajil.operations.dns_advice import key_records
from zajil.store.engine.open import Store
from zajil.store.people.dkim_keys import NoSuchKey, load_active_keys
from zajil.store.people.domains import DomainRow, NoSuchDomain, create_domain

NORTH = "north.test"
OPTIONS = KeyOptions(algorithms=("ed25519-sha256",))


@pytest.fixture
def north(store: Store) -> Store:
    """A store with one domain."""
    store.write_now(create_domain, DomainRow(NORTH, NOON_MS))
    return store


def states(store: Store) -> list[str]:
    return [row.state.value for row in show_keys(store, NORTH)]


def test_first_keys_sign_at_once_and_are_made_once(north: Store) -> None:
    (key,) = make_first_keys(north, NORTH, OPTIONS, NOON_MS)
    assert (key.state.value, key.activated_ms) == ("active", NOON_MS)
    assert make_first_keys(north, NORTH, OPTIONS, NOON_MS) == []
    assert make_missing_keys(north, OPTIONS, NOON_MS) == []


def test_who_does_not_sign_has_no_keys(north: Store) -> None:
    assert make_missing_keys(north, KeyOptions(sign=False), NOON_MS) == []
    assert len(make_missing_keys(north, OPTIONS, NOON_MS)) == 1


def test_new_keys_wait_unless_there_is_no_time(north: Store) -> None:
    make_first_keys(north, NORTH, OPTIONS, NOON_MS)
    (new,) = rotate_keys(north, NORTH, OPTIONS, NOON_MS, at_once=False)
    assert states(north) == ["active", "published"]
    with pytest.raises(KeysAreWaiting, match=new.selector):
        rotate_keys(north, NORTH, OPTIONS, NOON_MS, at_once=False)
    (same,) = rotate_keys(north, NORTH, OPTIONS, NOON_MS + 1, at_once=True)
    assert same.selector == new.selector
    assert states(north) == ["retired", "active"]
    rotate_keys(north, NORTH, OPTIONS, NOON_MS + 2, at_once=True)
    assert states(north) == ["retired", "retired", "active"]


def test_a_revoked_key_signs_no_more_and_its_record_says_so(north: Store) -> None:
    (key,) = make_first_keys(north, NORTH, OPTIONS, NOON_MS)
    with pytest.raises(NoSuchKey):
        revoke_keys(north, NORTH, [key.selector, "other"], NOON_MS)
    assert states(north) == ["active"]
    gone = revoke_keys(north, NORTH, [key.selector], NOON_MS)
    assert states(north) == ["revoked"]
    assert north.read_now(load_active_keys) == []
    (record,) = key_records(gone)
    assert record.value == '"v=DKIM1; h=sha256; k=ed25519; p="'


def test_a_domain_that_is_not_ours_has_no_keys(north: Store) -> None:
    acts: list[Callable[[], object]] = [
        lambda: show_keys(north, "south.test"),
        lambda: make_first_keys(north, "south.test", OPTIONS, NOON_MS),
        lambda: rotate_keys(north, "south.test", OPTIONS, NOON_MS, at_once=True),
        lambda: revoke_keys(north, "south.test", ["x"], NOON_MS),
    ]
    for act in acts:
        with pytest.raises(NoSuchDomain):
            act()
