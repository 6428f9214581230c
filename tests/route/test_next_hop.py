"""RFC 5321 section 5, RFC 7505: where mail goes next, as a table over zones."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.clock import CountingRandom
from kit.zone import Zone, run_flow_on_answers, run_flow_on_zone
from zajil.dns.flow import Answer, Outcome, Question
from zajil.route.next_hop import MAX_ADDRESSES, MAX_HOSTS, Hosts, NoRoute, find_hosts

ZONE: Zone = {
    "south.test": {"MX": ["20 mx2.south.test", "10 mx1.south.test"]},
    "mx1.south.test": {"A": ["192.0.2.1", "192.0.2.2"], "AAAA": ["2001:db8::1"]},
    "mx2.south.test": {"A": ["192.0.2.3"]},
    "bare.test": {"A": ["192.0.2.9"]},
    "bare6.test": {"AAAA": ["2001:db8::9"]},
    "text-only.test": {"TXT": ["hello"]},
    "null.test": {"MX": ["0 ."]},
    "ill.test": None,
    "half.test": {"MX": ["10 gone.test", "20 mx2.south.test"]},
    "dead.test": {"MX": ["10 gone.test"]},
    "ill-mx.test": {"MX": ["10 ill.test"]},
    "ill-and-well.test": {"MX": ["10 ill.test", "20 mx2.south.test"]},
    "ours.test": {"MX": ["10 mx1.south.test", "20 here.test", "20 mx2.south.test", "30 a.test"]},
    "only-ours.test": {"MX": ["10 Here.TEST"]},
    "here.test": {"A": ["192.0.2.77"]},
    "odd.test": {
        "MX": ["x mx1.south.test", "", "5", "5 .", "7 mx2.south.test", "9 mx2.south.test"]
    },
    "nowhere.test": {"MX": ["1 zero.test"]},
    "zero.test": {"A": [str(IPv4Address(0)), "224.0.0.1", "rubbish"], "AAAA": ["::"]},
    "xn--mgbkq8e.test": {"MX": ["1 mx2.south.test"]},
}


def route(domain: str, zone: Zone = ZONE) -> Hosts | NoRoute:
    return run_flow_on_zone(
        find_hosts(domain, own_hostname="here.test", random=CountingRandom()), zone
    )


@pytest.mark.parametrize(
    ("domain", "hosts"),
    [
        (
            "south.test",
            [
                "10 mx1.south.test [192.0.2.1, 192.0.2.2, 2001:db8::1]",
                "20 mx2.south.test [192.0.2.3]",
            ],
        ),
        ("South.TEST.", ["10 mx1.south.test", "20 mx2.south.test"]),
        ("bare.test", ["0 bare.test [192.0.2.9]"]),
        ("bare6.test", ["0 bare6.test [2001:db8::9]"]),
        ("half.test", ["20 mx2.south.test"]),
        ("ill-and-well.test", ["20 mx2.south.test"]),
        ("ours.test", ["10 mx1.south.test"]),
        ("odd.test", ["7 mx2.south.test"]),
        ("زاجل.test", ["1 mx2.south.test"]),
        ("[192.0.2.55]", ["0 [192.0.2.55] [192.0.2.55]"]),
        ("[IPv6:2001:db8::5]", ["0 [IPv6:2001:db8::5] [2001:db8::5]"]),
    ],
)
def test_there_is_a_way(domain: str, hosts: list[str]) -> None:
    found = route(domain)
    assert isinstance(found, Hosts), found
    assert len(found.hosts) == len(hosts)
    assert all(str(host).startswith(want) for host, want in zip(found.hosts, hosts, strict=True))


@pytest.mark.parametrize(
    ("domain", "temporary", "status"),
    [
        ("unheard-of.test", False, "5.1.2"),
        ("null.test", False, "5.1.10"),
        ("text-only.test", False, "5.4.4"),
        ("dead.test", False, "5.4.4"),
        ("nowhere.test", False, "5.4.4"),
        ("ill.test", True, "4.4.3"),
        ("ill-mx.test", True, "4.4.3"),
        ("only-ours.test", False, "5.4.6"),
        ("here.test", False, "5.4.6"),
        ("no such name", False, "5.1.2"),
        ("[192.0.2.999]", False, "5.1.2"),
        ("[0.0.0.0]", False, "5.1.2"),
        ("[IPv6:::]", False, "5.1.2"),
        ("[IPv6:::ffff:0.0.0.0]", False, "5.1.2"),
        ("[IPv6:::ffff:224.0.0.1]", False, "5.1.2"),
        ("[x-tag:whatever]", False, "5.1.2"),
    ],
)
def test_there_is_no_way(domain: str, temporary: bool, status: str) -> None:
    found = route(domain)
    assert isinstance(found, NoRoute), found
    assert (found.temporary, found.status) == (temporary, status)
    assert found.reason


def test_the_journey_is_told_every_answer() -> None:
    assert route("bare.test").inputs == (
        "MX bare.test -> no records",
        "A bare.test -> 192.0.2.9 (ttl 300)",
        "AAAA bare.test -> no records",
    )


def test_equal_preferences_are_shuffled() -> None:
    """RFC 5321 section 5.1: the sender must spread the load over equal hosts."""
    zone: Zone = {"many.test": {"MX": [f"10 mx{n}.test" for n in range(4)]}} | {
        f"mx{n}.test": {"A": ["192.0.2.1"]} for n in range(4)
    }
    orders = set()
    for start in range(12):
        draws = iter([bytes([(start * 7 + n * 5) % 11, n]) for n in range(4)])
        found = run_flow_on_zone(
            find_hosts("many.test", own_hostname="here.test", random=lambda _, d=draws: next(d)),
            zone,
        )
        assert isinstance(found, Hosts)
        orders.add(tuple(host.name for host in found.hosts))
    assert len(orders) > 1


def test_a_huge_domain_costs_a_bounded_number_of_questions() -> None:
    names = [f"mx{n}.test" for n in range(500)]
    zone: Zone = {"huge.test": {"MX": [f"{n} {name}" for n, name in enumerate(names)]}} | {
        name: {"A": [f"192.0.2.{n}" for n in range(1, 200)]} for name in names
    }
    found = route("huge.test", zone)
    assert isinstance(found, Hosts)
    assert len(found.hosts) == MAX_HOSTS
    assert len(found.inputs) == 1 + 2 * MAX_HOSTS
    assert {len(host.addresses) for host in found.hosts} == {MAX_ADDRESSES}


@given(st.lists(st.text(max_size=30), max_size=5), st.sampled_from(Outcome), st.text(max_size=40))
def test_nothing_in_dns_makes_it_raise(values: list[str], outcome: Outcome, domain: str) -> None:
    """Style C8: flows never raise on what DNS holds."""

    def answer(question: Question) -> Answer:
        found = outcome if values else Outcome.NO_RECORDS
        return Answer(
            question=question, outcome=found, values=tuple(values) if found is Outcome.FOUND else ()
        )

    flow = find_hosts(domain, own_hostname="here.test", random=CountingRandom())
    assert isinstance(run_flow_on_answers(flow, answer), Hosts | NoRoute)
