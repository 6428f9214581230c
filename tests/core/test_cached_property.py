"""A cached property: computed once for each instance, and anew after a failure."""

from __future__ import annotations

import pytest

from zajil.core.cached_property import cached_property


class Counted:
    """Counts how often its property is computed."""

    def __init__(self, *, fails: bool = False) -> None:
        self.count = 0
        self.fails = fails

    @cached_property
    def double(self) -> int:
        """Twice the count."""
        self.count += 1
        if self.fails:
            raise ValueError("not yet")
        return 2 * self.count


def test_it_is_computed_once_for_each_instance() -> None:
    one, other = Counted(), Counted()
    assert [one.double, one.double] == [2, 2]
    assert one.count == 1
    assert other.count == 0
    assert other.double == 2


def test_a_failure_is_not_kept() -> None:
    one = Counted(fails=True)
    with pytest.raises(ValueError, match="not yet"):
        _ = one.double
    one.fails = False
    assert one.double == 4


def test_the_class_gives_the_property_with_its_text() -> None:
    assert Counted.double.__doc__ == "Twice the count."
