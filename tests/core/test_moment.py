"""Every number is a time: those that no calendar has become the nearest one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.core.moment import EARLIEST_MS, LATEST_MS, local_datetime, utc_datetime

ZONES = [UTC, None, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12)),
         ZoneInfo("Asia/Riyadh"), ZoneInfo("America/New_York")]  # fmt: skip


@given(st.integers(EARLIEST_MS, LATEST_MS))
def test_a_time_inside_the_calendar_is_exact(at_ms: int) -> None:
    at = utc_datetime(at_ms)
    assert (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == at_ms


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.sampled_from(ZONES))
def test_no_stored_number_raises(at_ms: int, zone: timezone) -> None:
    """All that a 64-bit column can hold."""
    assert local_datetime(at_ms, zone).tzinfo is not None


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at_ms", [EARLIEST_MS - 1, EARLIEST_MS, LATEST_MS, LATEST_MS + 1])
def test_the_ends_of_the_calendar(at_ms: int, zone: timezone) -> None:
    inside = min(max(at_ms, EARLIEST_MS), LATEST_MS)
    assert local_datetime(at_ms, zone) == utc_datetime(inside)
