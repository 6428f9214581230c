"""Reports from XML: new ones, old ones, and what is none."""

from __future__ import annotations

import pytest

from kit.reports import OLD_REPORT, REPORT
from zajil.reports.dmarc.read_xml import MAX_TEXT, read_report
from zajil.reports.dmarc.write_xml import write_report
from zajil.reports.packing import BadReport

GOOD = write_report(REPORT)


def test_an_old_report_without_a_namespace_reads() -> None:
    report = read_report(OLD_REPORT)
    (row,) = report.rows
    assert report.policy.domain == "north.test"
    assert [override.type for override in row.overrides] == ["forwarded"]
    assert [(one.scope, one.result) for one in row.spf_results] == [
        ("helo", "temperror"),
        ("mfrom", "fail"),
    ]
    assert (row.envelope_from, row.dkim_results) == (None, ())


def test_another_namespace_reads_too() -> None:
    old = OLD_REPORT.replace(b"<feedback>", b'<feedback xmlns="http://dmarc.org/dmarc-xml/0.1">')
    assert read_report(old).report_id == "12345"


def test_extensions_are_stepped_over() -> None:
    ours = GOOD.replace(b"<feedback ", b'<feedback xmlns:x="urn:x" ')
    ours = ours.replace(b"<record>", b"<extension><x:a><x:record/>t</x:a></extension><record>", 1)
    ours = ours.replace(b"</record>", b"<x:p>1</x:p><unknown><p>none</p></unknown></record>")
    ours = ours.replace(b"<p>", b"<x:p>none</x:p><p>")
    assert read_report(ours) == REPORT


def test_an_element_inside_of_a_text_changes_nothing() -> None:
    ours = GOOD.replace(b"<email>", b"<email><email>evil@x.test</email>")
    assert read_report(ours).email == "dmarc-reports@south.test"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"</feedback", b"</nothing", "not XML"),
        (b"<count>3", b"<count>-3", "count"),
        (b"<count>3", b"<count>9999999999999999", "count"),
        (b"<begin>1700006400", b"<begin>yesterday", "begin"),
        (b"192.0.2.7", b"999.0.2.7", "source_ip"),
        (b"<report_id>r1@mx.south.test</report_id>", b"", "report_id"),
        (b"<header_from>north.test</header_from>", b"", "header_from"),
        (b"<org_name>", b"<org_name>" + b"x" * (MAX_TEXT + 1), "too long"),
        (b'encoding="UTF-8"', b'encoding="none-such"', "encoding"),
        (b'encoding="UTF-8"', b'encoding="base64"', "encoding|XML"),
    ],
)
def test_what_cannot_be_is_refused(old: bytes, new: bytes, reason: str) -> None:
    assert old in GOOD
    with pytest.raises(BadReport, match=reason):
        read_report(GOOD.replace(old, new))


@pytest.mark.parametrize("data", [b"", b"<html/>", b"\x00\x01", b"<feedback/>", GOOD[:-20]])
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(BadReport):
        read_report(data)
