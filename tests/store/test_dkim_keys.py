"""Signing keys in the store, on both databases."""

from __future__ import annotations

import pytest

from kit.store import NOW_MS
from zajil.core.errors import AlreadyExists
from zajil.store.engine.open import Store
from zajil.store.people.dkim_keys import (
    KeysOf,
    KeyState,
    NewDkimKey,
    NewDkimKeys,
    NoSuchKey,
    activate_dkim_keys,
    add_dkim_keys,
    domains_without_keys,
    forget_dkim_keys,
    get_dkim_key,
    list_dkim_keys,
    load_active_keys,
    note_found,
    note_missing,
    revoke_dkim_keys,
)
from zajil.store.people.domains import (
    DomainRow,
    NoSuchDomain,
    create_domain,
    delete_domain,
)

NORTH = "north.test"


@pytest.fixture
def north(store: Store) -> Store:
    """A store with one domain."""
    store.write_now(create_domain, DomainRow(NORTH, NOW_MS))
    return store


def pair(mark: str, state: KeyState, *replaces: KeyState, at_ms: int = NOW_MS) -> NewDkimKeys:
    keys = (
        NewDkimKey(f"rsa-{mark}", "rsa-sha256", b"secret rsa", b"public rsa"),
        NewDkimKey(f"ed-{mark}", "ed25519-sha256", b"secret ed", b"public ed"),
    )
    return NewDkimKeys(NORTH, keys, at_ms, state, frozenset(replaces))


def both(mark: str, at_ms: int) -> KeysOf:
    return KeysOf(NORTH, (f"rsa-{mark}", f"ed-{mark}"), at_ms)


def states(store: Store) -> dict[str, str]:
    return {row.selector: row.state.value for row in store.read_now(list_dkim_keys)}


def test_a_key_goes_its_way_and_times_are_kept(north: Store) -> None:
    assert north.write_now(add_dkim_keys, pair("1", KeyState.PUBLISHED))
    north.write_now(note_found, both("1", 5))
    north.write_now(note_found, both("1", 6))
    activated: tuple[str, ...] = north.write_now(activate_dkim_keys, both("1", 7))
    revoked: tuple[str, ...] = north.write_now(revoke_dkim_keys, both("1", 9))
    assert set(activated) == set(revoked) == {"ed-1", "rsa-1"}
    row = north.read_now(lambda conn: get_dkim_key(conn, NORTH, "ed-1"))
    assert (row.created_ms, row.found_ms, row.activated_ms, row.revoked_ms) == (NOW_MS, 5, 7, 9)
    north.write_now(forget_dkim_keys, both("1", 10))
    assert states(north) == {}


def test_only_active_keys_are_signed_with(north: Store) -> None:
    north.write_now(add_dkim_keys, pair("1", KeyState.ACTIVE))
    north.write_now(add_dkim_keys, pair("2", KeyState.PUBLISHED, KeyState.ACTIVE))
    active = north.read_now(load_active_keys)
    assert [(key.selector, key.private_key) for key in active] == [
        ("ed-1", b"secret ed"),
        ("rsa-1", b"secret rsa"),
    ]


def test_there_is_one_active_key_of_each_algorithm(north: Store) -> None:
    north.write_now(add_dkim_keys, pair("1", KeyState.ACTIVE))
    north.write_now(add_dkim_keys, pair("2", KeyState.PUBLISHED, KeyState.ACTIVE))
    north.write_now(activate_dkim_keys, KeysOf(NORTH, ("rsa-2",), 7))
    assert states(north) == {
        "rsa-1": "retired",
        "rsa-2": "active",
        "ed-1": "active",
        "ed-2": "published",
    }
    north.write_now(add_dkim_keys, pair("3", KeyState.ACTIVE, *KeyState))
    assert [key.selector for key in north.read_now(load_active_keys)] == ["ed-3", "rsa-3"]


def test_two_nodes_that_rotate_at_once_make_one_pair(north: Store) -> None:
    north.write_now(add_dkim_keys, pair("1", KeyState.ACTIVE))
    assert north.write_now(add_dkim_keys, pair("2", KeyState.PUBLISHED, KeyState.ACTIVE))
    assert not north.write_now(add_dkim_keys, pair("3", KeyState.PUBLISHED, KeyState.ACTIVE))
    assert not north.write_now(add_dkim_keys, pair("4", KeyState.ACTIVE))
    north.write_now(activate_dkim_keys, both("2", 7))
    assert north.write_now(activate_dkim_keys, both("2", 8)) == ()
    row = north.read_now(lambda conn: get_dkim_key(conn, NORTH, "rsa-2"))
    assert row.activated_ms == 7


def test_a_revoked_key_holds_no_secret(north: Store) -> None:
    north.write_now(add_dkim_keys, pair("1", KeyState.ACTIVE))
    north.write_now(revoke_dkim_keys, KeysOf(NORTH, ("ed-1",), 7))
    assert [key.selector for key in north.read_now(load_active_keys)] == ["rsa-1"]
    assert north.write_now(revoke_dkim_keys, KeysOf(NORTH, ("ed-1",), 8)) == ()
    north.write_now(activate_dkim_keys, both("1", 9))
    assert states(north) == {"rsa-1": "active", "ed-1": "revoked"}


def test_only_revoked_keys_are_forgotten(north: Store) -> None:
    north.write_now(add_dkim_keys, pair("1", KeyState.ACTIVE))
    north.write_now(forget_dkim_keys, both("1", 9))
    assert len(states(north)) == 2


def test_a_record_that_went_missing_waits_anew_unless_it_signs(north: Store) -> None:
    north.write_now(add_dkim_keys, pair("1", KeyState.PUBLISHED))
    north.write_now(note_found, both("1", 5))
    north.write_now(activate_dkim_keys, KeysOf(NORTH, ("ed-1",), 6))
    north.write_now(note_missing, both("1", 7))
    found = {row.selector: row.found_ms for row in north.read_now(list_dkim_keys)}
    assert found == {"rsa-1": None, "ed-1": 5}


def test_keys_belong_to_a_domain_of_ours_and_go_with_it(north: Store) -> None:
    assert north.read_now(domains_without_keys) == [NORTH]
    north.write_now(add_dkim_keys, pair("1", KeyState.ACTIVE))
    assert north.read_now(domains_without_keys) == []
    with pytest.raises(AlreadyExists):
        north.write_now(add_dkim_keys, pair("1", KeyState.PUBLISHED, KeyState.ACTIVE))
    north.write_now(delete_domain, NORTH)
    assert states(north) == {}
    with pytest.raises(NoSuchDomain):
        north.write_now(add_dkim_keys, pair("2", KeyState.ACTIVE))
    with pytest.raises(NoSuchKey):
        north.read_now(lambda conn: get_dkim_key(conn, NORTH, "rsa-1"))
