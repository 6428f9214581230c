"""What is due for the keys of a domain: states and times in, acts out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.config.options_keys import KeyOptions
from zajil.keys.rotation import Due, find_due, next_look_ms
from zajil.store.people.dkim_keys import Algorithm, DkimKeyRow, KeyState

DAY = 86_400_000
OPTIONS = KeyOptions()
BOTH: tuple[Algorithm, Algorithm] = ("rsa-sha256", "ed25519-sha256")


def key(
    selector: str,
    state: KeyState,
    at: int = 0,
    *,
    found: int | None = None,
    algorithm: Algorithm = "rsa-sha256",
) -> DkimKeyRow:
    """Make a key that came into its state on a day."""
    at_ms = at * DAY
    row = DkimKeyRow(
        domain="north.test",
        selector=selector,
        algorithm=algorithm,
        state=state,
        public_key=b"",
        created_ms=at_ms,
    )
    found_ms = None if found is None else found * DAY
    match state:
        case KeyState.PUBLISHED:
            return replace(row, found_ms=found_ms)
        case KeyState.ACTIVE:
            return replace(row, activated_ms=at_ms)
        case KeyState.RETIRED:
            return replace(row, retired_ms=at_ms)
        case KeyState.REVOKED:
            return replace(row, revoked_ms=at_ms)


def pair(mark: str, state: KeyState, at: int = 0, *, found: int | None = None) -> list[DkimKeyRow]:
    return [
        key(f"rsa-{mark}", state, at, found=found),
        key(f"ed-{mark}", state, at, found=found, algorithm="ed25519-sha256"),
    ]


def due(rows: list[DkimKeyRow], day: float, options: KeyOptions = OPTIONS) -> Due:
    return find_due(rows, options, int(day * DAY))


def test_a_domain_without_keys_gets_a_pair() -> None:
    assert due([], 0) == Due(make=BOTH)


def test_keys_of_the_future_are_discarded() -> None:
    """A clock that was ahead made them. What is published stays, and so does the only pair."""
    old = pair("1", KeyState.ACTIVE, 0)
    assert due([*old, *pair("2", KeyState.PUBLISHED, 400)], 10) == Due(discard=("rsa-2", "ed-2"))
    assert due([*old, *pair("2", KeyState.PUBLISHED, 11)], 10) == Due()
    assert due([*old, *pair("2", KeyState.PUBLISHED, 400, found=400)], 10).discard == ()
    assert due(pair("2", KeyState.PUBLISHED, 400), 10) == Due()


def test_a_pair_signs_at_once_where_nothing_signs_and_its_record_is_there() -> None:
    assert due(pair("1", KeyState.PUBLISHED), 99) == Due()
    assert due(pair("1", KeyState.PUBLISHED, found=7), 7) == Due(activate=("rsa-1", "ed-1"))


def test_one_of_the_two_records_is_enough_for_its_key() -> None:
    """An operator's form may take the short one alone."""
    rows = pair("1", KeyState.PUBLISHED)
    rows[1] = replace(rows[1], found_ms=DAY)
    assert due(rows, 2) == Due(activate=("ed-1",))


@pytest.mark.parametrize(("day", "made"), [(177.9, ()), (178, BOTH), (400, BOTH)])
def test_a_new_pair_is_made_before_the_old_one_is_too_old(
    day: float, made: tuple[Algorithm, ...]
) -> None:
    assert due(pair("1", KeyState.ACTIVE), day) == Due(make=made)


@pytest.mark.parametrize(("found", "day", "ready"), [(None, 500, False), (179, 180.9, False),
                                                     (179, 181, True)])  # fmt: skip
def test_the_new_pair_signs_when_all_the_world_can_find_it(
    found: int | None, day: float, ready: bool
) -> None:
    """Never sign with a key that nobody can find: the old one goes on meanwhile."""
    rows = [*pair("1", KeyState.ACTIVE), *pair("2", KeyState.PUBLISHED, 178, found=found)]
    assert due(rows, day).activate == (("rsa-2", "ed-2") if ready else ())
    assert not due(rows, day).make


@pytest.mark.parametrize(("day", "revoked"), [(13.9, False), (14, True)])
def test_a_retired_key_is_revoked_when_its_mail_has_arrived(day: float, revoked: bool) -> None:
    rows = [*pair("1", KeyState.RETIRED), *pair("2", KeyState.ACTIVE)]
    assert due(rows, day) == Due(revoke=("rsa-1", "ed-1") if revoked else ())


@pytest.mark.parametrize(("day", "forgotten"), [(29.9, False), (30, True)])
def test_a_revoked_key_is_forgotten_in_the_end(day: float, forgotten: bool) -> None:
    rows = [*pair("1", KeyState.REVOKED), *pair("2", KeyState.ACTIVE)]
    assert due(rows, day) == Due(forget=("rsa-1", "ed-1") if forgotten else ())


def test_an_operator_may_rotate_by_hand_alone() -> None:
    options = KeyOptions.model_validate({"rotate_every": "0s"})
    assert due(pair("1", KeyState.ACTIVE), 10_000, options) == Due()
    assert due([], 0, options) == Due(make=BOTH)


def test_a_revoked_pair_is_replaced() -> None:
    """A key that was stolen is revoked in the night; the new one waits for its record."""
    assert due(pair("1", KeyState.REVOKED), 0) == Due(make=BOTH)


def test_an_algorithm_that_is_new_in_the_options_gets_its_key() -> None:
    assert due([key("rsa-1", KeyState.ACTIVE)], 1) == Due(make=("ed25519-sha256",))


def test_an_algorithm_that_left_the_options_signs_until_it_is_old() -> None:
    options = KeyOptions(algorithms=("rsa-sha256",))
    assert due(pair("1", KeyState.ACTIVE), 1, options) == Due()
    assert due(pair("1", KeyState.ACTIVE), 178, options) == Due(make=("rsa-sha256",))


rows_of_any_kind = st.lists(
    st.builds(
        DkimKeyRow,
        domain=st.just("north.test"),
        selector=st.text("ab12", min_size=1, max_size=4),
        algorithm=st.sampled_from(BOTH),
        state=st.sampled_from(KeyState),
        public_key=st.just(b""),
        created_ms=st.integers(0, 400 * DAY),
        found_ms=st.none() | st.integers(0, 400 * DAY),
        activated_ms=st.none() | st.integers(0, 400 * DAY),
        retired_ms=st.none() | st.integers(0, 400 * DAY),
        revoked_ms=st.none() | st.integers(0, 400 * DAY),
    ),
    max_size=6,
)


@given(rows_of_any_kind, st.integers(0, 800 * DAY))
def test_nothing_signs_that_was_not_found(rows: list[DkimKeyRow], now_ms: int) -> None:
    found = {row.selector for row in rows if row.found_ms is not None}
    assert set(find_due(rows, OPTIONS, now_ms).activate) <= found


@given(rows_of_any_kind, st.integers(0, 800 * DAY))
def test_the_next_look_is_between_a_minute_and_an_hour(rows: list[DkimKeyRow], now: int) -> None:
    assert 60_000 <= next_look_ms(rows, now) <= 3_600_000


def test_who_has_just_made_a_key_is_not_kept_waiting() -> None:
    rows = pair("1", KeyState.PUBLISHED)
    assert [next_look_ms(rows, age) for age in (0, 600_000, DAY)] == [60_000, 600_000, 3_600_000]
    assert next_look_ms(pair("1", KeyState.ACTIVE), 0) == 3_600_000


def test_a_year_goes_by() -> None:
    """Always something signs, never two of an algorithm, and all that was used is revoked."""
    rows: list[DkimKeyRow] = []
    signed: list[tuple[str, ...]] = []
    number = 0
    for day in range(400):
        now = find_due(rows, OPTIONS, day * DAY)
        if now.make:
            number += 1
            rows += pair(str(number), KeyState.PUBLISHED, day, found=day)
        for selector in now.activate:
            new = next(row for row in rows if row.selector == selector)
            for index, row in enumerate(rows):
                if row.state is KeyState.ACTIVE and row.algorithm == new.algorithm:
                    rows[index] = replace(row, state=KeyState.RETIRED, retired_ms=day * DAY)
            rows[rows.index(new)] = replace(new, state=KeyState.ACTIVE, activated_ms=day * DAY)
        rows = [
            replace(row, state=KeyState.REVOKED, revoked_ms=day * DAY)
            if row.selector in now.revoke
            else row
            for row in rows
            if row.selector not in now.forget
        ]
        active = tuple([row.selector for row in rows if row.state is KeyState.ACTIVE])
        if active not in signed:
            signed.append(active)
    assert signed == [
        (),
        ("rsa-1", "ed-1"),
        ("rsa-2", "ed-2"),
        ("rsa-3", "ed-3"),
    ]
    assert {row.selector for row in rows} == {"rsa-2", "ed-2", "rsa-3", "ed-3"}
