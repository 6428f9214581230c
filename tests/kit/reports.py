"""Reports of DMARC for tests, drawn and made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from zajil.reports.dmarc.codec import decode_row, encode_details, encode_row
from zajil.reports.dmarc.report import (
    DMARC,
    AggregateReport,
    DkimResult,
    PolicyOverride,
    PublishedPolicy,
    ReportRow,
    SpfResult,
)
from zajil.reports.tls.report import FailureDetails, PolicyResult, TlsReport
from zajil.store.reports.intervals import CountedInterval, CountedRow, LoadedInterval

BEGIN_S = 1_700_006_400
"""A midnight."""

ROW = ReportRow(
    source_ip="192.0.2.7",
    count=3,
    disposition="none",
    dkim="pass",
    spf="fail",
    header_from="north.test",
    envelope_from="list.example",
    envelope_to="south.test",
    dkim_results=(DkimResult("north.test", "s1", "pass"),),
    spf_results=(SpfResult("list.example", "pass"),),
)
BAD_ROW = replace(
    ROW,
    source_ip="2001:db8::66",
    count=2,
    disposition="quarantine",
    dkim="fail",
    dkim_results=(),
    overrides=(PolicyOverride("local_policy", "it was only suspicious"),),
)
POLICY = PublishedPolicy(
    domain="north.test",
    policy="reject",
    subdomain_policy="reject",
    absent_policy="reject",
    dkim_alignment="r",
    spf_alignment="s",
    failure_options="0",
    testing="n",
    discovery_method="treewalk",
)
REPORT = AggregateReport(
    organization="mx.south.test",
    email="dmarc-reports@south.test",
    report_id="r1@mx.south.test",
    begin_s=BEGIN_S,
    end_s=BEGIN_S + 86_399,
    policy=POLICY,
    rows=(ROW, BAD_ROW),
    generator="Zajil",
)


def counted(
    *rows: ReportRow,
    begin_ms: int,
    end_ms: int,
    policy: PublishedPolicy = POLICY,
    report_to: Sequence[str] = (),
) -> CountedInterval:
    """Make what one worker counted for a domain."""
    return CountedInterval(
        kind=DMARC,
        domain=policy.domain,
        begin_ms=begin_ms,
        end_ms=end_ms,
        details=encode_details(policy, report_to),
        rows=tuple([CountedRow(encode_row(replace(row, count=0)), row.count) for row in rows]),
    )


def counted_rows(counted: CountedInterval | LoadedInterval) -> tuple[ReportRow, ...]:
    """Return the rows of a report on what was counted."""
    return tuple([decode_row(row.content, row.count) for row in counted.rows])


_LETTERS = st.characters(
    codec="utf-8", exclude_categories=("Cc", "Cs", "Cn"), exclude_characters="\ufffe\uffff"
)
_TEXTS = st.text(_LETTERS, max_size=30).map(str.strip)
_SOME_TEXT = st.text(_LETTERS, min_size=1, max_size=30).map(str.strip).filter(bool)
_DOMAINS = st.sampled_from(["north.test", "xn--mgbcd4a2b0d2b.test", "a.b.c.example"])
_PASSES = st.sampled_from(["pass", "fail"])
_POLICIES = st.sampled_from(["none", "quarantine", "reject"])
_RESULTS = st.sampled_from(["none", "pass", "fail", "neutral", "temperror", "permerror"])

_ROWS = st.builds(
    ReportRow,
    source_ip=st.ip_addresses().map(str),
    count=st.integers(0, 10**12),
    disposition=st.sampled_from(["none", "pass", "quarantine", "reject"]),
    dkim=_PASSES,
    spf=_PASSES,
    header_from=_DOMAINS,
    envelope_from=st.none() | st.just("") | _DOMAINS,
    envelope_to=st.none() | _DOMAINS,
    overrides=st.lists(
        st.builds(PolicyOverride, st.sampled_from(["local_policy", "other"]), _TEXTS), max_size=2
    ).map(tuple),
    dkim_results=st.lists(
        st.builds(DkimResult, _DOMAINS, _SOME_TEXT, _RESULTS, _TEXTS), max_size=3
    ).map(tuple),
    spf_results=st.lists(
        st.builds(SpfResult, _DOMAINS, _RESULTS, st.just("mfrom"), _TEXTS), max_size=1
    ).map(tuple),
)

REPORTS = st.builds(
    AggregateReport,
    organization=_SOME_TEXT,
    email=_TEXTS,
    report_id=_SOME_TEXT.map(lambda text: text.strip("<>")).filter(str.strip).map(str.strip),
    begin_s=st.integers(0, 10**10),
    end_s=st.integers(0, 10**10),
    policy=st.builds(
        PublishedPolicy,
        domain=_DOMAINS,
        policy=_POLICIES,
        subdomain_policy=st.just("") | _POLICIES,
        absent_policy=st.just("") | _POLICIES,
        dkim_alignment=st.sampled_from(["", "r", "s"]),
        testing=st.sampled_from(["", "y", "n"]),
        discovery_method=st.sampled_from(["", "treewalk", "psl"]),
    ),
    rows=st.lists(_ROWS, min_size=1, max_size=4).map(tuple),
    contact=_TEXTS,
    errors=st.lists(_SOME_TEXT, max_size=2).map(tuple),
    generator=_TEXTS,
)
"""Whatever a report may say."""

OLD_REPORT = b"""<?xml version="1.0" encoding="UTF-8" ?>
<feedback>
  <report_metadata>
    <org_name>old.example</org_name>
    <email>noreply@old.example</email>
    <report_id>12345</report_id>
    <date_range><begin>1700006400</begin><end>1700092799</end></date_range>
  </report_metadata>
  <policy_published>
    <domain>North.Test</domain><adkim>r</adkim><aspf>r</aspf>
    <p>none</p><sp>none</sp><pct>100</pct>
  </policy_published>
  <record>
    <row>
      <source_ip>192.0.2.9</source_ip><count>1</count>
      <policy_evaluated>
        <disposition>none</disposition><dkim>fail</dkim><spf>pass</spf>
        <reason><type>forwarded</type><comment/></reason>
      </policy_evaluated>
    </row>
    <identifiers><header_from>north.test</header_from></identifiers>
    <auth_results>
      <spf><domain>north.test</domain><scope>helo</scope><result>unknown</result></spf>
      <spf><domain>north.test</domain><result>hardfail</result></spf>
    </auth_results>
  </record>
</feedback>
"""
"""As RFC 7489 had it: no namespace, a sampling rate, two words of before."""


TLS_REPORT = TlsReport(
    organization="mx.south.test",
    contact="tls-reports@south.test",
    report_id="t1@mx.south.test",
    begin_s=BEGIN_S,
    end_s=BEGIN_S + 86_399,
    policies=(
        PolicyResult(
            type="sts",
            domain="north.test",
            text=("version: STSv1", "mode: testing", "mx: *.north.test"),
            hosts=("*.north.test",),
            succeeded=7,
            failed=3,
            failures=(
                FailureDetails(
                    result_type="certificate-expired",
                    count=3,
                    mx_host="mx.north.test",
                    receiving_ip="192.0.2.25",
                    reason="certificate has expired",
                ),
            ),
        ),
        PolicyResult(type="no-policy-found", domain="north.test", succeeded=2),
    ),
)
