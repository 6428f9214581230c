from __future__ import annotations

from dataclasses import replace

import pytest

from kit.zone import run_flow_on_zone
from zajil.mailauth.bimi import BimiRecord, look_up_bimi, parse_bimi_record
from zajil.mailauth.dmarc import DmarcFound
from zajil.mailauth.dmarc_record import parse_dmarc_record

RECORD = parse_dmarc_record("v=DMARC1; p=reject")
PASSED = DmarcFound(
    result="pass",
    domain="a.south.test",
    reason="",
    policy="reject",
    organizational_domain="south.test",
    record_domain="south.test",
    record=RECORD,
)
LOGO = "https://south.test/logo.svg"


def test_the_logo_of_the_author_then_of_its_organization() -> None:
    zone = {"default._bimi.south.test": {"TXT": [f"v=BIMI1; l={LOGO}; a=https://south.test/c.pem"]}}
    found = run_flow_on_zone(look_up_bimi(PASSED), zone)
    assert (found.result, found.domain) == ("pass", "south.test")
    assert found.record == BimiRecord(LOGO, "https://south.test/c.pem")
    assert len(found.inputs) == 2


@pytest.mark.parametrize(
    "dmarc",
    [
        replace(PASSED, result="fail"),
        replace(PASSED, policy="none"),
        replace(PASSED, record=parse_dmarc_record("v=DMARC1; p=reject; sp=none")),
        replace(PASSED, record=parse_dmarc_record("v=DMARC1; p=reject; t=y")),
        replace(PASSED, record=None),
    ],
)
def test_only_a_pass_under_a_policy_with_teeth(dmarc: DmarcFound) -> None:
    assert run_flow_on_zone(look_up_bimi(dmarc), {}).result == "skipped"


def test_what_dns_says() -> None:
    name = "default._bimi.a.south.test"
    assert run_flow_on_zone(look_up_bimi(PASSED), {}).result == "none"
    assert run_flow_on_zone(look_up_bimi(PASSED), {name: None}).result == "temperror"
    wish = {name: {"TXT": ["v=BIMI1; l=; a="]}}
    assert run_flow_on_zone(look_up_bimi(PASSED), wish).result == "declined"
    two = {name: {"TXT": [f"v=BIMI1; l={LOGO}"] * 2}}
    assert run_flow_on_zone(look_up_bimi(PASSED), two).result == "none"


@pytest.mark.parametrize(
    "url", ["http://a.test/x", "javascript:alert(1)", "https://[", "https:///x", "https://a b/"]
)
def test_only_https(url: str) -> None:
    assert parse_bimi_record(f"v=BIMI1; l={url}") == BimiRecord(None, None)
    assert parse_bimi_record("v=BIMI2; l=https://a.test") is None
