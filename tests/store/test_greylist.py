"""Who came once and was asked to come again."""

from __future__ import annotations

from kit.store import NOW_MS
from zajil.store.engine.open import Store
from zajil.store.feedback.greylist import Knock, Pruning, knock, prune

MINUTE_MS, DAY_MS = 60_000, 86_400_000


def come(store: Store, at_ms: int, *keys: str) -> bool:
    item = Knock(keys or ("a",), NOW_MS + at_ms, 5 * MINUTE_MS, 2 * DAY_MS, 35 * DAY_MS)
    return store.write_now(knock, item)


def test_the_second_try_after_the_delay_is_let_in(store: Store) -> None:
    assert not come(store, 0)
    assert not come(store, 4 * MINUTE_MS)
    assert come(store, 5 * MINUTE_MS)
    assert come(store, 6 * MINUTE_MS)
    assert not come(store, 6 * MINUTE_MS, "b")


def test_who_comes_too_late_begins_anew(store: Store) -> None:
    assert not come(store, 0)
    assert not come(store, 3 * DAY_MS)
    assert come(store, 3 * DAY_MS + 5 * MINUTE_MS)


def test_who_is_known_stays_so_while_it_comes(store: Store) -> None:
    come(store, 0)
    assert come(store, 5 * MINUTE_MS)
    assert come(store, 30 * DAY_MS)
    assert come(store, 60 * DAY_MS)
    assert not come(store, 96 * DAY_MS)
    assert come(store, 96 * DAY_MS + 5 * MINUTE_MS)


def test_one_open_way_opens_the_others_of_the_same_mail(store: Store) -> None:
    come(store, 0, "a")
    assert come(store, 6 * MINUTE_MS, "a", "b")
    assert come(store, 7 * MINUTE_MS, "b")


def test_a_clock_that_went_back_locks_nobody_out(store: Store) -> None:
    come(store, 10 * DAY_MS)
    assert not come(store, 0)
    assert come(store, 6 * MINUTE_MS)


def test_mails_of_one_commit_each_get_their_answer(store: Store) -> None:
    def both(tx: object, items: object) -> list[list[bool]]:
        args = (5 * MINUTE_MS, 2 * DAY_MS, 35 * DAY_MS)
        first, second = Knock(("a",), NOW_MS + DAY_MS, *args), Knock(("b",), NOW_MS + DAY_MS, *args)
        return [knock(tx, [first, second])]  # type: ignore[arg-type]

    come(store, 0, "a")
    assert store.write_now(both, None) == [True, False]


def test_a_flood_of_ways_is_bounded(store: Store) -> None:
    """Attack: made-up senders without end; who came again stays known."""
    come(store, 0, "honest")
    come(store, 6 * MINUTE_MS, "honest")
    for number in range(8):
        come(store, 7 * MINUTE_MS + number, f"flood {number}")
    item = Pruning(NOW_MS + 8 * MINUTE_MS, 2 * DAY_MS, 35 * DAY_MS, most=3)
    assert store.write_now(prune, item) == 6
    assert come(store, 8 * MINUTE_MS, "honest")
    assert store.write_now(prune, Pruning(NOW_MS + 3 * DAY_MS, 2 * DAY_MS, 35 * DAY_MS)) == 2
    assert store.write_now(prune, Pruning(NOW_MS + 60 * DAY_MS, 2 * DAY_MS, 35 * DAY_MS)) == 1
