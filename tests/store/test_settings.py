"""Settings of accounts in the store, on both databases."""

from __future__ import annotations

import pytest

from kit.store import make_account
from zajil.core.errors import NotFound
from zajil.core.ids import AccountId
from zajil.store.engine.open import Store
from zajil.store.people.accounts import delete_account, find_by_login
from zajil.store.people.settings import (
    LONGEST_VALUE,
    MOST_OF_ONE_ACCOUNT,
    BadSetting,
    NewSettings,
    TooManySettings,
    get_setting,
    get_settings,
    set_settings,
)


def make(store: Store, login: str) -> AccountId:
    make_account(store, f"{login}@south.test")
    row = store.read_now(lambda conn: find_by_login(conn, login))
    assert row is not None
    return row.account_id


def settings(store: Store, account_id: AccountId) -> dict[str, str]:
    return store.read_now(lambda conn: get_settings(conn, account_id))


def test_settings_are_kept_changed_and_removed(store: Store) -> None:
    amal, noor = make(store, "amal"), make(store, "noor")
    values = {"zone": "Asia/Aden", "signature": "أمل\n"}
    assert store.write_now(set_settings, NewSettings(amal, values)) == ("signature", "zone")
    assert settings(store, amal) == values
    assert settings(store, noor) == {}
    again = NewSettings(amal, {"zone": None, "signature": "أمل\n", "never": None})
    assert store.write_now(set_settings, again) == ("zone",)
    assert settings(store, amal) == {"signature": "أمل\n"}
    assert store.read_now(lambda conn: get_setting(conn, amal, "signature")) == "أمل\n"
    assert store.read_now(lambda conn: get_setting(conn, amal, "zone")) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("Zone", "x"),
        ("a" * 65, "x"),
        ("zone\n", "x"),
        ("zone", "\0"),
        ("zone", "\ud800"),
        ("zone", "x" * (LONGEST_VALUE + 1)),
    ],
)
def test_what_cannot_be_stored_changes_nothing(store: Store, name: str, value: str) -> None:
    amal = make(store, "amal")
    with pytest.raises(BadSetting):
        store.write_now(set_settings, NewSettings(amal, {"good": "x", name: value}))
    assert settings(store, amal) == {}


def test_an_account_has_a_bounded_number_of_settings(store: Store) -> None:
    amal = make(store, "amal")
    many: dict[str, str | None] = {f"n{number}": "" for number in range(MOST_OF_ONE_ACCOUNT)}
    store.write_now(set_settings, NewSettings(amal, many))
    with pytest.raises(TooManySettings):
        store.write_now(set_settings, NewSettings(amal, {"one-more": ""}))
    store.write_now(set_settings, NewSettings(amal, {"one-more": "", "n0": None}))
    assert len(settings(store, amal)) == MOST_OF_ONE_ACCOUNT


def test_settings_go_with_the_account(store: Store) -> None:
    amal = make(store, "amal")
    store.write_now(set_settings, NewSettings(amal, {"zone": "UTC"}))
    store.write_now(delete_account, amal)
    assert settings(store, amal) == {}
    with pytest.raises(NotFound):
        store.write_now(set_settings, NewSettings(amal, {"zone": "UTC"}))
