"""Reports to XML (RFC 9990)."""

from __future__ import annotations

from dataclasses import replace
from xml.parsers import expat

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.reports import REPORT, REPORTS
from zajil.reports.dmarc.read_xml import read_report
from zajil.reports.dmarc.report import AggregateReport
from zajil.reports.dmarc.write_xml import write_report


@given(REPORTS)
@settings(max_examples=40)
def test_what_is_written_reads_back_the_same(report: AggregateReport) -> None:
    assert read_report(write_report(report)) == report


@given(st.text(max_size=60))
def test_any_text_gives_a_well_formed_document(text: str) -> None:
    expat.ParserCreate().Parse(write_report(replace(REPORT, organization=text, contact=text)), True)


def test_the_document_has_the_order_of_the_standard() -> None:
    names: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda name, _: names.append(name)
    parser.Parse(write_report(replace(REPORT, rows=REPORT.rows[:1])), True)
    assert {name.partition(" ")[0] for name in names} == {"urn:ietf:params:xml:ns:dmarc-2.0"}
    assert [name.partition(" ")[2] for name in names] == [
        *("feedback", "version", "report_metadata", "org_name", "email", "report_id"),
        *("date_range", "begin", "end", "generator", "policy_published", "domain"),
        *("discovery_method", "p", "sp", "np", "fo", "adkim", "aspf", "testing", "record", "row"),
        *("source_ip", "count", "policy_evaluated", "disposition", "dkim", "spf", "identifiers"),
        *("envelope_to", "envelope_from", "header_from", "auth_results", "dkim", "domain"),
        *("selector", "result", "spf", "domain", "scope", "result"),
    ]


def test_markup_in_a_value_stays_text() -> None:
    report = replace(REPORT, organization="</org_name><org_name>&amp;")
    assert read_report(write_report(report)).organization == "</org_name><org_name>&amp;"
