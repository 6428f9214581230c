from __future__ import annotations

import email.utils
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.date import format_date, parse_date, parse_day

NOON_MS = 1_795_435_200_000


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 23 Nov 2026 12:00:00 +0000",
        "Mon, 23 Nov 2026 15:00:00 +0300",
        "23 Nov 2026 12:00 GMT",
        "Mon, 23 Nov 26 07:00:00 EST",
        "Mon,23 Nov 2026 12:00:00 -0000 (comment)",
        "Monday, 23-Nov-26 12:00:00 UTC",
        "Mon, 23\r\n Nov 2026\r\n\t12:00:00 +0000",
        "Mon, 23 Nov 2026 12 : 00 : 00 +0000",
        "Mon, 23 November 2026 12:00:00 Z",
        "Mon, 23 Nov 2026 12:00:00 XYZ",
        "Mon, 23 Nov 2026 12:00:00",
        "Mon,  23\t Nov  2026   12:00:00  +0000",
        "(a (nested) \\) one) 23 Nov 2026 12:00:00 +0000",
        "Mon(a),(b)23(c)Nov(d)2026(e)12(f):(g)00(h):(i)00(j)+0000(k)",
        "Mon, 23 Nov 2026 ((x) y) 12:00:00 +0000",
        "Mon , 23 Nov 2026 12:00:00+0000 (never closed",
        "Mon, 23 Nov 126 12:00:00 UT",
        "23 Nov 2026 15:00:00 GMT+0300",
        "23 Nov 2026 15:00:00 +03:00",
    ],
)
def test_dates_of_rfc_5322_and_older(text: str) -> None:
    """RFC 5322 section 3.3 and the obsolete forms of RFC 5322 section 4.3."""
    assert parse_date(text.encode()) == NOON_MS


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("31 Dec 9999 23:59:59 +0000", 253_402_300_799_000),
        ("31 Dec 9999 23:59:59 -0001", None),
        ("1 Jan 0001 00:00:00 +0000", -62_135_596_800_000),
        ("1 Jan 0001 00:00:00 +0001", None),
        ("1 Jan 0001 00:00:00 +9999", None),
        ("1 Jan 0000 00:00:00 +0000", None),
        ("30 Feb 2026 00:00:00 +0000", None),
    ],
)
def test_years_that_there_are(text: str, at_ms: int | None) -> None:
    """What is given can be written again: its year in UTC is 1 to 9999."""
    assert parse_date(text) == at_ms
    if at_ms is not None:
        assert parse_date(format_date(at_ms)) == at_ms


def test_old_years() -> None:
    """RFC 5322 section 4.3: 00 to 49 is 2000 and on; 50 to 99, and three digits, 1900."""
    assert parse_date("1 Jan 70 00:00:00 +0000") == 0
    assert parse_date("1 Jan 070 00:00:00 +0000") == 0


@pytest.mark.parametrize(
    "text", ["", "yesterday", "32 Nov 2026 12:00:00 +0000", "1 Foo 2026 12:00", "1 Jan 2026 25:00",
             "1 Jan 0000 00:00:00 +0000", "x" * 100_000, "(" * 150],
)  # fmt: skip
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


@pytest.mark.parametrize(
    "text",
    ["Tue,  1  Apr 2025 23:00:00 -1200", "(x) 1 Apr 2025", "1 Apr 25 99:99", "1\tApr\t125 10:00",
     "Tue, 1 Apr 2025 ((a) b) 10:00:00 +0000", "Tue, 01-Apr-2025 10:00"],
)  # fmt: skip
def test_the_day_is_the_one_that_is_written(text: str) -> None:
    """RFC 3501 section 6.4.4, SENTON: disregarding time and time zone."""
    assert parse_day(text.encode()) == date(2025, 4, 1)


def test_no_date_is_no_day() -> None:
    for text in ("", "31 Feb 2025 10:00", "1 Apr 0000", "1 Apr 20251 10:00", "1 Foo 2025"):
        assert parse_day(text) is None


def test_a_leap_second_is_the_second_before() -> None:
    assert parse_date("31 Dec 2016 23:59:60 +0000") == parse_date("31 Dec 2016 23:59:59 +0000")


@given(st.integers(0, 4_000_000_000), st.integers(-12 * 60, 14 * 60))
def test_what_was_written_reads_back(seconds: int, offset: int) -> None:
    text = format_date(seconds * 1000, offset)
    assert parse_date(text) == seconds * 1000
    assert email.utils.parsedate_to_datetime(text).timestamp() == seconds


@given(st.binary(max_size=80) | st.text(alphabet="0123456789 :+-,JanMon()", max_size=60))
def test_nothing_makes_it_raise(value: bytes | str) -> None:
    at_ms, day = parse_date(value), parse_day(value)
    assert at_ms is None or day is not None
