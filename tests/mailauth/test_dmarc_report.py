"""The values of an aggregate report."""

from __future__ import annotations

from kit.reports import BAD_ROW, REPORT, ROW


def test_mails_are_counted_and_one_method_suffices() -> None:
    assert (ROW.is_pass, BAD_ROW.is_pass) == (True, False)
    assert (REPORT.messages, REPORT.passed) == (5, 3)
