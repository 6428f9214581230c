"""Large changes are divided by the time that a part of them takes."""

from __future__ import annotations

import pytest

from zajil.read.imap.context import PORTION
from zajil.read.imap.portions import MOST, portions


@pytest.mark.parametrize(
    ("seconds_each", "sizes"),
    [
        (0.0, [PORTION, 2 * PORTION, *[MOST] * 4, 1007]),
        (1 / 131_072, [PORTION, *[1966] * 9, 1313]),
        (1e-3, [PORTION] * 20 + [7]),
    ],
)
def test_a_portion_is_as_large_as_the_one_before_was_quick(
    seconds_each: float, sizes: list[int]
) -> None:
    clock = [0.0]
    uids = range(1, 20 * PORTION + 8)
    taken: list[tuple[int, ...]] = []
    for some in portions(uids, lambda: clock[0]):
        taken.append(some)
        clock[0] += len(some) * seconds_each
    assert [len(some) for some in taken] == sizes
    assert [uid for some in taken for uid in some] == list(uids)


def test_a_slow_portion_makes_the_next_small_again() -> None:
    clock = [0.0]
    sizes = []
    for some in portions(range(1, 12 * PORTION + 1), lambda: clock[0]):
        sizes.append(len(some))
        clock[0] += 0.001 if len(sizes) < 3 else 1.0
    assert sizes[:4] == [PORTION, 2 * PORTION, MOST, PORTION]


def test_few_and_no_messages() -> None:
    assert list(portions([])) == []
    assert list(portions([7, 9])) == [(7, 9)]
