"""Back-off of name servers and of zones (RFC 9520 section 3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.resolver.back_off import (
    FIRST_REST_MS,
    REST_MS,
    ServerBackOff,
    ZoneBackOffs,
    zone_of,
)


def fail(zones: ZoneBackOffs, name: str, now_ms: int, times: int = 1) -> None:
    """Ask and fail, one time after the other."""
    for _ in range(times):
        zones.failed(name, zones.moment(name), now_ms)


def test_a_server_rests_for_a_moment() -> None:
    server = ServerBackOff()
    assert (server.is_down, server.is_due(0)) == (False, False)
    server.failed(1000)
    assert [server.is_due(1000 + after) for after in (0, FIRST_REST_MS - 1, FIRST_REST_MS)] == [
        False,
        False,
        True,
    ]
    server.failed(5000)
    assert [server.is_due(5000 + after) for after in (0, REST_MS - 1, REST_MS)] == [
        False,
        False,
        True,
    ]
    server.answered()
    assert (server.is_down, server.is_due(99_999)) == (False, False)


def test_an_outage_is_counted_from_its_beginning() -> None:
    server = ServerBackOff()
    for now_ms in range(0, 10_000, 1400):
        server.failed(now_ms)
    assert not server.is_down_for(10_000, 9_999)
    assert server.is_down_for(10_000, 10_000)
    server.answered()
    assert not server.is_down_for(10_000, 20_000)
    server.failed(20_000)
    assert not server.is_down_for(10_000, 20_001)
    assert server.is_down_for(0, 20_000)


def test_a_clock_that_is_set_back_makes_no_rest_long() -> None:
    server, zones = ServerBackOff(), ZoneBackOffs()
    server.failed(10_000_000)
    fail(zones, "slow.test", 10_000_000, 2)
    assert server.is_due(0)
    assert zones.may_ask("slow.test", 0)


def test_one_lost_answer_says_nothing_about_a_zone() -> None:
    zones = ZoneBackOffs()
    fail(zones, "slow.test", 0)
    assert zones.may_ask("slow.test", 0)
    zones.answered("slow.test")
    fail(zones, "slow.test", 0)
    assert zones.may_ask("slow.test", 0)
    fail(zones, "slow.test", 0)
    assert not zones.may_ask("slow.test", 0)


def test_failures_of_one_moment_count_once() -> None:
    zones = ZoneBackOffs()
    together = [zones.moment("slow.test") for _ in range(100)]
    for moment in together:
        zones.failed("slow.test", moment, 0)
    assert zones.may_ask("slow.test", 0)
    for moment in together:
        zones.failed("slow.test", moment, 0)
    assert zones.may_ask("slow.test", 0)
    fail(zones, "slow.test", 0)
    assert not zones.may_ask("slow.test", 0)


def test_one_question_is_asked_after_each_rest() -> None:
    zones = ZoneBackOffs()
    fail(zones, "slow.test", 0, 2)
    assert not zones.may_ask("slow.test", FIRST_REST_MS - 1)
    at = FIRST_REST_MS
    for _ in range(20):
        assert [zones.may_ask("slow.test", at) for _ in range(3)] == [True, False, False]
        fail(zones, "slow.test", at)
        assert not zones.may_ask("slow.test", at + REST_MS - 1)
        at += REST_MS
    zones.answered("slow.test")
    assert [zones.may_ask("slow.test", at) for _ in range(3)] == [True, True, True]


def test_others_are_asked_meanwhile() -> None:
    zones = ZoneBackOffs()
    fail(zones, "a.slow.test", 0, 9)
    for name in ("b.slow.test", "slow.test", "bank.test", "test", "_dmarc.bank.test"):
        assert zones.may_ask(name, 0), name
    assert not zones.may_ask("x.y.a.slow.test", 0)


def test_of_a_domain_with_many_silent_parts_all_rests() -> None:
    zones = ZoneBackOffs()
    for number in range(2):
        fail(zones, f"r{number}.slow.test", 0, 2)
    assert zones.may_ask("fresh.slow.test", 0)
    fail(zones, "r2.slow.test", 0, 2)
    assert not zones.may_ask("fresh.slow.test", 0)
    assert not zones.may_ask("slow.test", 0)
    assert zones.may_ask("slower.test", 0)
    zones.answered("fresh.slow.test")
    assert zones.may_ask("slow.test", 0)
    assert not zones.may_ask("r1.slow.test", 0)


def test_what_is_remembered_has_an_end() -> None:
    zones = ZoneBackOffs()
    for number in range(10_000):
        fail(zones, f"a.slow{number}.test", 0, 2)
    assert len(zones) <= 4096


@pytest.mark.parametrize(
    ("name", "domain", "zone"),
    [
        ("bank.test", "bank.test", "bank.test"),
        ("_dmarc.Bank.test", "bank.test", "_dmarc.bank.test"),
        ("s._domainkey.bank.test", "bank.test", "_domainkey.bank.test"),
        ("a.b.bank.co.uk", "bank.co.uk", "b.bank.co.uk"),
        ("a.b.c.github.io", "c.github.io", "b.c.github.io"),
        ("test", "test", "test"),
        ("4.3.2.192.in-addr.arpa", "3.2.192.in-addr.arpa", "3.2.192.in-addr.arpa"),
        (
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.c.b.a.0.8.b.d.0.1.0.0.2.ip6.arpa",
            "c.b.a.0.8.b.d.0.1.0.0.2.ip6.arpa",
            "c.b.a.0.8.b.d.0.1.0.0.2.ip6.arpa",
        ),
    ],
)
def test_zones(name: str, domain: str, zone: str) -> None:
    assert zone_of(name) == (domain, zone)


@given(st.text("ab.-_\u0628\x00", max_size=40))
def test_every_name_has_a_zone(name: str) -> None:
    domain, zone = zone_of(name)
    assert zone == domain or zone.endswith("." + domain)
