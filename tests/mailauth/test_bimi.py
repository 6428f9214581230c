from __future__ import annotations

import pytest

from kit.zone import TTL_SECONDS, run_flow_on_zone
from zajil.mailauth.bimi import BimiRecord, look_up_bimi, parse_bimi_record, read_selector

LOGO = "https://south.test/logo.svg"
CERTIFICATE = "https://south.test/c.pem"
RECORD = {"TXT": [f"v=BIMI1; l={LOGO}; a={CERTIFICATE}"]}
REJECT = {"_dmarc.south.test": {"TXT": ["v=DMARC1; p=reject"]}}


def test_the_logo_of_the_author_then_of_its_organization() -> None:
    zone = {**REJECT, "default._bimi.south.test": RECORD}
    for author in ("south.test", "a.south.test"):
        found = run_flow_on_zone(look_up_bimi(author), zone)
        assert found.result == "pass"
        assert found.record == BimiRecord(LOGO, CERTIFICATE)
        assert found.ttl_seconds == TTL_SECONDS
        assert found.names == {
            *(author, "south.test", f"default._bimi.{author}", "default._bimi.south.test")
        }
    own = {"default._bimi.a.south.test": {"TXT": ["v=BIMI1; l=; a="]}}
    assert run_flow_on_zone(look_up_bimi("a.south.test"), {**zone, **own}).result == "declined"


def test_a_selector() -> None:
    zone = {**REJECT, "winter._bimi.south.test": RECORD}
    found = run_flow_on_zone(look_up_bimi("a.south.test", "winter"), zone)
    assert found.result == "pass"
    assert "winter._bimi.a.south.test" in found.names
    assert run_flow_on_zone(look_up_bimi("south.test"), zone).result == "none"
    assert run_flow_on_zone(look_up_bimi("south.test", "x." * 120 + "x"), zone).result == "none"


@pytest.mark.parametrize(
    "policy",
    [
        "p=none",
        "p=reject; sp=none",
        "p=quarantine; t=y",
        "p=quarantine; pct=99",
        "p=sometimes",
        "",
    ],
)
@pytest.mark.parametrize("author", ["south.test", "a.south.test"])
def test_only_under_an_enforced_policy(policy: str, author: str) -> None:
    zone = {"default._bimi.south.test": RECORD}
    if policy:
        zone["_dmarc.south.test"] = {"TXT": [f"v=DMARC1; {policy}"]}
    assert run_flow_on_zone(look_up_bimi(author), zone).result == "skipped"


def test_the_policies_of_author_and_organization_count() -> None:
    zone = {**REJECT, "default._bimi.south.test": RECORD}
    own = {"_dmarc.a.south.test": {"TXT": ["v=DMARC1; p=none"]}}
    assert run_flow_on_zone(look_up_bimi("a.south.test"), {**zone, **own}).result == "skipped"
    own = {"_dmarc.a.south.test": {"TXT": ["v=DMARC1; p=quarantine; pct=100"]}}
    assert run_flow_on_zone(look_up_bimi("a.south.test"), {**zone, **own}).result == "pass"
    own = {"_dmarc.a.south.test": {"TXT": ["v=DMARC1; p=reject; pct=20"]}}
    assert run_flow_on_zone(look_up_bimi("a.south.test"), {**zone, **own}).result == "pass"
    above = {**zone, "_dmarc.south.test": {"TXT": ["v=DMARC1; p=reject; sp=none"]}}
    assert run_flow_on_zone(look_up_bimi("a.south.test"), {**above, **own}).result == "skipped"


def test_what_dns_says() -> None:
    name = "default._bimi.south.test"
    assert run_flow_on_zone(look_up_bimi("south.test"), REJECT).result == "none"
    assert run_flow_on_zone(look_up_bimi("south.test"), {**REJECT, name: None}).result == (
        "temperror"
    )
    assert run_flow_on_zone(look_up_bimi("south.test"), {"_dmarc.south.test": None}).result == (
        "temperror"
    )
    two = {**REJECT, name: {"TXT": [*RECORD["TXT"], f"v=BIMI1; l={LOGO}"]}}
    assert run_flow_on_zone(look_up_bimi("south.test"), two).result == "none"


@pytest.mark.parametrize(
    "url", ["http://a.test/x", "javascript:alert(1)", "https://[", "https:///x", "https://a b/"]
)
def test_only_https(url: str) -> None:
    assert parse_bimi_record(f"v=BIMI1; l={url}") == BimiRecord(None, None)
    assert parse_bimi_record("v=BIMI2; l=https://a.test") is None


@pytest.mark.parametrize(
    ("value", "selector"),
    [
        (b" v=BIMI1; s=Winter", "winter"),
        (b" v=BIMI1;\r\n s=a-1.b;", "a-1.b"),
        (b" s=winter; v=BIMI1", None),
        (b" v=BIMI2; s=winter", None),
        (b" v=BIMI1", None),
        (b" v=BIMI1; s=", None),
        (b" v=BIMI1; s=../x", None),
        (b" v=BIMI1; s=-a", None),
        (b" v=BIMI1; s=a; s=b", None),
        (b" v=BIMI1; s=\xff", None),
        (b"", None),
    ],
)
def test_the_selector_of_a_message(value: bytes, selector: str | None) -> None:
    assert read_selector(value) == selector
