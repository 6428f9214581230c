"""What accounts did with the mail of correspondents: the counts, the voices, what is forgotten."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy.engine import Connection

from kit.store import NOW_MS, make_account, show_counts
from zajil.check.learned.voices import learn
from zajil.core.ids import AccountId
from zajil.store.engine.open import Store
from zajil.store.feedback.reputation import (
    FORGET_MS,
    HALF_LIFE_MS,
    INSTALLATION,
    NOTHING,
    CorrespondentCounts,
    Did,
    Forgetting,
    HistoryChange,
    find_too_many,
    forget,
    is_anything_known,
    load_counts,
    load_written,
    note_written,
)
from zajil.store.people.accounts import delete_account

AMAL, BASIM, SALMA = (AccountId(number) for number in (1, 2, 3))
KEY = "address:noor@south.test"
DAY_MS = 86_400_000


def teach(store: Store, account: AccountId, did: Did, at_ms: int = NOW_MS, key: str = KEY) -> None:
    store.write_now(learn, HistoryChange(account, (key,), did, at_ms))


def counts(
    store: Store, account: AccountId, at_ms: int = NOW_MS, key: str = KEY
) -> CorrespondentCounts:
    found = store.read_now(lambda conn: load_counts(conn, [account], [key], at_ms))
    return found.get((account, key), NOTHING)


def test_nothing_is_known_at_first(store: Store) -> None:
    assert not store.read_now(is_anything_known)
    teach(store, AMAL, Did.SEEN)
    assert store.read_now(is_anything_known)
    assert counts(store, BASIM) == NOTHING


def test_deeds_of_an_account_add_up_and_it_has_one_voice(store: Store) -> None:
    """Attack: poisoning. One account, however busy, moves the counts of all by one at most."""
    for _ in range(50):
        teach(store, AMAL, Did.JUNKED)
    assert counts(store, AMAL) == CorrespondentCounts(junked=50.0)
    assert counts(store, INSTALLATION) == CorrespondentCounts(junked=1.0)
    teach(store, BASIM, Did.JUNKED)
    assert counts(store, INSTALLATION).junked == 2.0


def test_many_in_one_commit_are_what_they_are_one_by_one(store: Store) -> None:
    def unit_of_all(conn: object, items: object) -> list[None]:
        lessons = [
            HistoryChange(one, (KEY, "domain:south.test"), Did.JUNKED, NOW_MS) for one in whose
        ]
        return learn(conn, lessons)[:1]  # type: ignore[arg-type]

    whose = [AMAL, BASIM, AMAL, SALMA]
    store.write_now(unit_of_all, None)
    assert counts(store, AMAL).junked == 2.0
    assert counts(store, INSTALLATION).junked == 3.0
    assert counts(store, INSTALLATION, key="domain:south.test").junked == 3.0


def test_a_move_back_takes_the_voice_back(store: Store) -> None:
    teach(store, AMAL, Did.JUNKED)
    teach(store, AMAL, Did.KEPT)
    assert counts(store, AMAL) == CorrespondentCounts(kept=1.0)
    assert counts(store, INSTALLATION) == CorrespondentCounts(kept=1.0)
    teach(store, AMAL, Did.JUNKED)
    assert counts(store, INSTALLATION) == CorrespondentCounts(junked=1.0)


def test_counts_are_halved_every_90_days(store: Store) -> None:
    for _ in range(4):
        teach(store, AMAL, Did.JUNKED)
    later = NOW_MS + HALF_LIFE_MS
    assert counts(store, AMAL, later).junked == pytest.approx(2.0)
    teach(store, AMAL, Did.JUNKED, later)
    assert counts(store, AMAL, later).junked == pytest.approx(3.0)
    assert counts(store, INSTALLATION, later).junked == pytest.approx(1.0)  # as loud as before
    assert counts(store, AMAL, NOW_MS - DAY_MS).junked == pytest.approx(3.0)  # a clock went back


def test_a_voice_that_faded_takes_nothing_from_the_others(store: Store) -> None:
    """Attack: to take back a move to Junk of long ago must not silence others."""
    for _ in range(50):
        teach(store, AMAL, Did.JUNKED)
    later = NOW_MS + 3 * HALF_LIFE_MS
    teach(store, BASIM, Did.JUNKED, later)
    for _ in range(10):
        teach(store, AMAL, Did.KEPT, later)
    assert counts(store, INSTALLATION, later).junked >= 1.0


def test_who_was_written_to_is_known(store: Store) -> None:
    def unit(tx: Connection, times_ms: Sequence[int]) -> list[None]:
        for at_ms in times_ms:
            note_written(tx, AMAL, [KEY, "x", "x"], at_ms)
        return [None] * len(times_ms)

    def write(at_ms: int) -> None:
        store.write_now(unit, at_ms)

    write(NOW_MS)
    write(NOW_MS + HALF_LIFE_MS)
    known = store.read_now(lambda conn: load_written(conn, AMAL, [KEY, "unknown"]))
    assert known == {KEY: NOW_MS + HALF_LIFE_MS}
    assert counts(store, AMAL, NOW_MS + HALF_LIFE_MS).written == pytest.approx(1.5)
    assert counts(store, INSTALLATION) == NOTHING  # that is no voice
    assert store.read_now(lambda conn: load_written(conn, BASIM, [KEY])) == {}


def test_the_oldest_is_forgotten(store: Store) -> None:
    teach(store, AMAL, Did.JUNKED, key="old")
    teach(store, AMAL, Did.JUNKED, NOW_MS + FORGET_MS, key="new")
    store.write_now(forget, Forgetting(NOW_MS + FORGET_MS + 1))
    assert list(store.read_now(lambda conn: show_counts(conn, AMAL, NOW_MS))) == ["new"]


def test_a_flood_pushes_out_what_was_merely_seen(store: Store) -> None:
    """Attack: made-up senders without end. Whom the account knows stays known."""
    teach(store, AMAL, Did.WRITTEN, key="friend")
    for number in range(9):
        teach(store, AMAL, Did.SEEN, NOW_MS + 1 + number, key=f"made up {number}")
    too_many = store.read_now(lambda conn: find_too_many(conn, most=4))
    assert too_many == ((AMAL, 6),)
    store.write_now(forget, Forgetting(NOW_MS, too_many))
    left = store.read_now(lambda conn: show_counts(conn, AMAL, NOW_MS))
    assert sorted(left) == ["friend", "made up 6", "made up 7", "made up 8"]


def test_an_account_takes_its_rows_along(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    teach(store, amal.account_id, Did.JUNKED)
    store.write_now(delete_account, amal.account_id)
    assert counts(store, amal.account_id) == NOTHING
    assert counts(store, INSTALLATION).junked == 1.0  # a voice that names nobody
