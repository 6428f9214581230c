"""Operations on DKIM keys, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kit.mail import NOON_MS
from kit.operations import runner
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


def run(store: Store, operation: Any, *args: Any, **kwargs: Any) -> Any:
    return runner(store, NOON_MS).run(operation, *args, **kwargs)


def states(store: Store) -> list[str]:
    return [row.state.value for row in store.read_now(lambda conn: show_keys(conn, NORTH))]


def test_first_keys_sign_at_once_and_are_made_once(north: Store) -> None:
    (key,) = run(north, make_first_keys, NORTH, OPTIONS)
    assert (key.state.value, key.activated_ms) == ("active", NOON_MS)
    assert run(north, make_first_keys, NORTH, OPTIONS) == []
    assert run(north, make_missing_keys, OPTIONS) == []


def test_who_does_not_sign_has_no_keys(north: Store) -> None:
    assert run(north, make_missing_keys, KeyOptions(sign=False)) == []
    assert len(run(north, make_missing_keys, OPTIONS)) == 1


def test_new_keys_wait_unless_there_is_no_time(north: Store) -> None:
    run(north, make_first_keys, NORTH, OPTIONS)
    (new,) = run(north, rotate_keys, NORTH, OPTIONS, at_once=False)
    assert states(north) == ["active", "published"]
    with pytest.raises(KeysAreWaiting, match=new.selector):
        run(north, rotate_keys, NORTH, OPTIONS, at_once=False)
    (same,) = run(north, rotate_keys, NORTH, OPTIONS, at_once=True)
    assert same.selector == new.selector
    assert states(north) == ["retired", "active"]
    run(north, rotate_keys, NORTH, OPTIONS, at_once=True)
    assert states(north) == ["retired", "retired", "active"]


def test_a_revoked_key_signs_no_more_and_its_record_says_so(north: Store) -> None:
    (key,) = run(north, make_first_keys, NORTH, OPTIONS)
    with pytest.raises(NoSuchKey):
        run(north, revoke_keys, NORTH, [key.selector, "other"])
    assert states(north) == ["active"]
    gone = run(north, revoke_keys, NORTH, [key.selector])
    assert states(north) == ["revoked"]
    assert north.read_now(load_active_keys) == []
    (record,) = key_records(gone)
    assert record.value == '"v=DKIM1; h=sha256; k=ed25519; p="'


def test_a_domain_that_is_not_ours_has_no_keys(north: Store) -> None:
    acts: list[Callable[[], object]] = [
        lambda: north.read_now(lambda conn: show_keys(conn, "south.test")),
        lambda: run(north, make_first_keys, "south.test", OPTIONS),
        lambda: run(north, rotate_keys, "south.test", OPTIONS, at_once=True),
        lambda: run(north, revoke_keys, "south.test", ["x"]),
    ]
    for act in acts:
        with pytest.raises(NoSuchDomain):
            act()
