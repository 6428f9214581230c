"""What is counted for DMARC reports, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from zajil.reports.dmarc.report import (
    DkimResult,
    PolicyOverride,
    PublishedPolicy,
    ReportRow,
    SpfResult,
)


def encode_row(row: ReportRow) -> str:
    """Write a row; the same row gives the same text."""
    return json.dumps(asdict(row), ensure_ascii=False, separators=(",", ":"))


def decode_row(text: str, count: int) -> ReportRow:
    """Read a row, with a count of its own."""
    value = json.loads(text)
    value["count"] = count
    value["overrides"] = tuple([PolicyOverride(**one) for one in value["overrides"]])
    value["dkim_results"] = tuple([DkimResult(**one) for one in value["dkim_results"]])
    value["spf_results"] = tuple([SpfResult(**one) for one in value["spf_results"]])
    return ReportRow(**value)


def encode_details(policy: PublishedPolicy, report_to: Sequence[str]) -> str:
    """Write what the record of a domain says, and the URIs that it names for reports."""
    details = {"policy": asdict(policy), "report_to": list(report_to)}
    return json.dumps(details, ensure_ascii=False, separators=(",", ":"))


def decode_details(text: str) -> tuple[PublishedPolicy, tuple[str, ...]]:
    """Read what ``encode_details`` wrote."""
    value = json.loads(text)
    return PublishedPolicy(**value["policy"]), tuple(value["report_to"])
