"""A value class: equal, hashed and built as a frozen dataclass, and made without its setter."""

from __future__ import annotations

import copy
from dataclasses import field, fields, replace

import pytest

from zajil.core.value_class import value_class


@value_class(frozen=True, slots=True)
class Point:
    """A value with a default and with one that is made anew."""

    x: int
    y: int = 0
    names: tuple[str, ...] = field(default_factory=tuple)


@value_class(frozen=True, slots=True, kw_only=True)
class Named:
    """A value that is built by keyword only."""

    name: str


@value_class(frozen=True, slots=True, eq=False)
class Token:
    """A value that is equal to itself alone."""

    text: str


def test_equal_values_have_one_hash() -> None:
    assert Point(1) == Point(1, 0)
    assert Point(1) != Point(2)
    assert len({Point(1), Point(1, 0), Point(1, 2)}) == 2
    assert Token("a") != Token("a")


def test_it_is_a_dataclass_with_slots() -> None:
    assert [one.name for one in fields(Point)] == ["x", "y", "names"]
    assert replace(Point(1, 2), y=3) == Point(1, 3)
    assert not hasattr(Point(1), "__dict__")
    with pytest.raises(TypeError):
        Named("north")  # type: ignore[call-arg]


def test_copies_are_equal() -> None:
    assert copy.deepcopy(Point(1, 2)) == Point(1, 2)


def test_a_class_that_is_not_frozen_or_has_no_slots_is_refused() -> None:
    with pytest.raises(TypeError, match="frozen and has slots"):
        value_class(frozen=False, slots=True)
    with pytest.raises(TypeError, match="frozen and has slots"):
        value_class(frozen=True, slots=False)
