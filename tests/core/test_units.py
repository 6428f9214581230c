from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.core.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "value"),
    [("90s", 90_000), ("5m", 300_000), ("4h", 14_400_000), ("5d", 432_000_000),
     ("2w", 1_209_600_000), ("250ms", 250), ("0s", 0), (" 5 d ", 432_000_000)],
)  # fmt: skip
def test_durations(text: str, value: int) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("512B", 512), ("256KiB", 262_144), ("25MiB", 26_214_400), ("1 GiB", 2**30)]
)
def test_sizes(text: str, value: int) -> None:
    assert parse_size(text) == value


@pytest.mark.parametrize(
    "text", ["5", "", "d", "-5d", "5x", "5D", "1.5h", "5d5h", "٥d", "1" * 13 + "s", "5\nd"]
)
def test_a_duration_without_its_unit_is_refused(text: str) -> None:
    """Style C9: a bare number is refused, so nobody guesses."""
    with pytest.raises(ValueError, match="a duration is a number with a unit"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["5", "5MB", "5kib", "5 M", "MiB"])
def test_a_size_without_its_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a size is a number with a unit"):
        parse_size(text)


@given(st.integers(0, 10**11))
def test_what_was_written_reads_back(value: int) -> None:
    assert parse_duration(format_duration(value)) == value
    assert parse_size(format_size(value)) == value
