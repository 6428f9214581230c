"""Log-ins of browsers in the store, on both databases."""

from __future__ import annotations

import pytest

from zajil.core.ids import AccountId
from zajil.store.engine.open import Store
from zajil.store.people.sessions import (
    WebSession,
    create_web_session,
    delete_web_session,
    delete_web_sessions_of,
    find_web_session,
    hash_token,
)

AMAL, BASIM = AccountId(1), AccountId(2)


def session(token: str, account_id: AccountId = AMAL, begin: int = 0, end: int = 100) -> WebSession:
    return WebSession(
        token_hash=hash_token(token),
        account_id=account_id,
        csrf="csrf",
        created_ms=begin,
        expires_ms=end,
    )


def find(store: Store, token: str, now_ms: int = 50) -> WebSession | None:
    return store.read_now(lambda conn: find_web_session(conn, hash_token(token), now_ms))


def test_a_session_is_found_by_its_token(store: Store) -> None:
    store.write_now(create_web_session, session("a"))
    assert find(store, "a") == session("a")
    assert find(store, "b") is None


@pytest.mark.parametrize(("now_ms", "there"), [(99, True), (100, False), (101, False)])
def test_a_session_ends_in_time(store: Store, now_ms: int, there: bool) -> None:
    store.write_now(create_web_session, session("a"))
    assert (find(store, "a", now_ms) is not None) is there


def test_a_new_session_sweeps_those_that_ended(store: Store) -> None:
    store.write_now(create_web_session, session("a"))
    store.write_now(create_web_session, session("b", begin=200, end=300))
    assert find(store, "a", now_ms=0) is None
    assert find(store, "b", now_ms=250) is not None


def test_log_out_ends_one_session(store: Store) -> None:
    for token in ("a", "b"):
        store.write_now(create_web_session, session(token))
    store.write_now(delete_web_session, hash_token("a"))
    store.write_now(delete_web_session, hash_token("a"))
    assert find(store, "a") is None
    assert find(store, "b") is not None


def test_a_changed_password_ends_all_sessions_of_the_account(store: Store) -> None:
    store.write_now(create_web_session, session("a"))
    store.write_now(create_web_session, session("b", BASIM))
    store.write_now(delete_web_sessions_of, AMAL)
    assert find(store, "a") is None
    assert find(store, "b") is not None


def test_the_token_itself_is_not_stored() -> None:
    """Who reads the database cannot log in with what it holds."""
    assert hash_token("a" * 64) != "a" * 64
    assert len(hash_token("\ud800")) == 64
