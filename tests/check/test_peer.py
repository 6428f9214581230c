"""What can be said of a peer: its names, and lists of it."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest

from kit.zone import Zone, ZoneResolver, run_flow_on_zone
from zajil.check.flows import Deadline
from zajil.check.sender.dns_lists import DnsLists, list_name
from zajil.check.sender.peer import PeerFindings, check_iprev, check_peer, helo_reasons
from zajil.config.options_check import PeerOptions
from zajil.dns.flow import Answer, Outcome, Question

IP = ip_address("192.0.2.1")
NAMED: dict[str, dict[str, list[str]] | None] = {
    "1.2.0.192.in-addr.arpa": {"PTR": ["mx.south.test"]},
    "mx.south.test": {"A": ["192.0.2.1"]},
}
OURS = {"mx.north.test"}
LIST = "bad.test"
WORKING: dict[str, dict[str, list[str]] | None] = {"2.0.0.127.bad.test": {"A": ["127.0.0.2"]}}


def look(
    zone: Zone, weights: dict[str, float] | None = None, helo: str = "mx.south.test"
) -> PeerFindings:
    points = {f"2.0.0.127.{name.split()[0]}": {"A": ["127.0.0.2"]} for name in weights or {}}
    resolver = ZoneResolver({**points, **zone})
    lists = DnsLists(weights or {}, resolver.resolve)
    return asyncio.run(check_peer(IP, helo, resolver.resolve, lists, OURS.__contains__, 0))


def test_a_name_that_leads_back() -> None:
    found = look(NAMED)
    assert (found.iprev.result, found.name, found.reasons) == ("pass", "mx.south.test", ())
    assert found.results[0].properties == (("policy.iprev", "192.0.2.1"),)
    assert [event.check for event in found.events] == ["iprev"]


@pytest.mark.parametrize(
    ("zone", "result", "signals"),
    [
        ({}, "permerror", ["peer.no-name"]),
        ({**NAMED, "mx.south.test": {"A": ["192.0.2.2"]}}, "fail", ["peer.unconfirmed-name"]),
        ({**NAMED, "mx.south.test": None}, "temperror", []),
        ({"1.2.0.192.in-addr.arpa": None}, "temperror", []),
    ],
)
def test_names_that_do_not(zone: Zone, result: str, signals: list[str]) -> None:
    """What DNS does not answer is never held against anybody."""
    found = look(zone)
    assert found.iprev.result == result
    assert [reason.signal for reason in found.reasons] == signals


def test_a_program_of_this_machine_needs_no_name() -> None:
    resolver = ZoneResolver({})
    lists = DnsLists({}, resolver.resolve)
    here = ip_address("127.0.0.1")
    found = asyncio.run(
        check_peer(here, "mx.south.test", resolver.resolve, lists, OURS.__contains__, 0)
    )
    assert (found.iprev.result, found.reasons) == ("permerror", ())


def test_an_address_with_a_thousand_names_costs_a_few_questions() -> None:
    zone: Zone = {"1.2.0.192.in-addr.arpa": {"PTR": [f"n{n}.test" for n in range(1000)]}}
    assert len(run_flow_on_zone(check_iprev(IP), zone).inputs) < 10


@pytest.mark.parametrize(
    ("helo", "signal"),
    [
        ("mx.south.test", None),
        ("[192.0.2.1]", None),
        ("[192.0.2.2]", "peer.helo-other-address"),
        ("[IPv6:2001:db8::1]", "peer.helo-other-address"),
        ("192.0.2.1", "peer.helo-bare-address"),
        ("localhost", "peer.helo-no-domain"),
        ("MX.north.test", "peer.helo-ours"),
    ],
)
def test_the_name_in_ehlo(helo: str, signal: str | None) -> None:
    found = [reason.signal for reason in helo_reasons(IP, helo, OURS.__contains__, None)]
    assert found == ([signal] if signal else [])


def test_a_reason_shows_no_control_of_the_name_in_ehlo() -> None:
    (reason,) = helo_reasons(IP, "a\u202eb\rc" + "d" * 300, OURS.__contains__, None)
    assert reason.text.isprintable()
    assert len(reason.text) < 200


def test_a_listed_peer_weighs_what_the_operator_says() -> None:
    zone = {**NAMED, "1.2.0.192.bad.test": {"A": ["127.0.0.10", "127.0.0.2"]}}
    (reason,) = look(zone, {LIST: 4.0, f"{LIST} 127.0.0.10": 1.0}).reasons
    assert (reason.signal, reason.weight, reason.is_proof) == ("peer.listed", 4.0, True)
    zone["1.2.0.192.bad.test"] = {"A": ["127.0.0.10"]}
    (reason,) = look(zone, {LIST: 4.0, f"{LIST} 127.0.0.10": 1.0}).reasons
    assert reason.weight == 1.0
    assert reason.text == "The sending server 192.0.2.1 is on the blocklist bad.test."


@pytest.mark.parametrize("value", ["127.255.255.254", "192.0.2.7", "nonsense"])
def test_what_is_no_listing(value: str) -> None:
    """127.255.255.0/24 is how a list says that it does not answer us."""
    assert look({**NAMED, "1.2.0.192.bad.test": {"A": [value]}}, {LIST: 4.0}).listed == ()


def test_the_name_of_an_ipv6_address_in_a_list() -> None:
    """RFC 5782 section 2.4."""
    name = list_name(ip_address("2001:db8:1:2:3:4:567:89ab"), "ugly.example.com")
    assert (
        name == "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ugly.example.com"
    )


@pytest.mark.parametrize(
    ("zone", "why"),
    [
        ({}, "does not contain its test entry 127.0.0.2"),
        ({"2.0.0.127.bad.test": None}, "does not respond"),
        ({"2.0.0.127.bad.test": {"A": ["127.255.255.254"]}}, "refuses our queries"),
        ({**WORKING, "1.0.0.127.bad.test": {"A": ["127.0.0.2"]}}, "every address"),
    ],
)
def test_a_list_that_fails_its_test_points_counts_for_nothing(zone: Zone, why: str) -> None:
    """RFC 5782 section 5: a list that was shut down may list the whole world."""

    async def main() -> None:
        resolver = ZoneResolver({**zone, "1.2.0.192.bad.test": {"A": ["127.0.0.2"]}})
        lists = DnsLists({LIST: 4.0}, resolver.resolve)
        await lists.test(LIST)
        assert why in lists.broken[LIST]
        assert (await lists.find(IP)).listed == ()
        resolver.zone = {**WORKING, "1.2.0.192.bad.test": {"A": ["127.0.0.2"]}}
        await lists.test(LIST)
        assert [one.zone for one in (await lists.find(IP)).listed] == [LIST]

    asyncio.run(main())


def test_a_list_of_good_addresses_proves_nothing() -> None:
    zone = {**NAMED, "1.2.0.192.good.test": {"A": ["127.0.9.2"]}}
    (reason,) = look(zone, {"good.test": -2.0}).reasons
    assert (reason.signal, reason.weight, reason.is_proof) == ("peer.vouched", -2.0, False)
    assert look(zone, {"good.test": 0.0}).reasons == ()


@pytest.mark.parametrize(
    ("ip", "confirmed"), [("192.0.2.1", "mx.north.test"), ("127.0.0.1", None), ("::1", None)]
)
def test_a_name_of_ours_is_no_lie_where_it_is_true(ip: str, confirmed: str | None) -> None:
    """Another host of ours, or a program on this one."""
    assert helo_reasons(ip_address(ip), "mx.north.test", OURS.__contains__, confirmed) == []


def test_name_servers_that_never_answer_hold_no_mail_up() -> None:
    """RFC 7208 section 4.6.4; the answer that comes late is for those who still wait."""

    async def main() -> tuple[Answer, Answer, bool]:
        never: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        zone = ZoneResolver(NAMED)

        async def resolve(question: Question) -> Answer:
            if question.type == "PTR":
                return await asyncio.shield(never)
            return await zone.resolve(question)

        deadline = Deadline(resolve, seconds=0.01)
        slow = await deadline.resolve(Question("1.2.0.192.in-addr.arpa", "PTR"))
        known = await deadline.resolve(Question("mx.south.test", "A"))
        return slow, known, never.cancelled()

    slow, known, cancelled = asyncio.run(main())
    assert (slow.outcome, slow.detail) == (Outcome.FAILED, "no time left")
    assert known.values == ("192.0.2.1",)
    assert not cancelled


def test_an_answer_that_comes_in_time_is_taken() -> None:
    async def main() -> Answer:
        soon: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        question = Question("a.test", "A")

        async def resolve(asked: Question) -> Answer:
            return await soon

        asyncio.get_running_loop().call_soon(
            soon.set_result, Answer(question=question, outcome=Outcome.NO_NAME)
        )
        return await Deadline(resolve).resolve(question)

    assert asyncio.run(main()).outcome is Outcome.NO_NAME


@pytest.mark.parametrize(
    "name", ["", " 127.0.0.2", "a.test 10.0.0.1", "a test", "a.test 127.0.0.2 x"]
)
def test_lists_are_named_by_zone_and_code(name: str) -> None:
    with pytest.raises(ValueError, match="is not ZONE"):
        PeerOptions(lists={name: 1.0})
    assert PeerOptions(lists={"a.test": 1.0, "a.test 127.0.0.2": 2.0}).lists


@pytest.mark.parametrize(
    ("records", "result", "reason"),
    [
        ({}, "pass", "192.0.2.1 is not listed"),
        ({"1.2.0.192.bad.test": {"A": ["127.0.0.2"]}}, "fail", "192.0.2.1 is listed in bad.test"),
        (
            {"1.2.0.192.bad.test": None},
            "temperror",
            "192.0.2.1 is not listed, but some lists did not respond",
        ),
        (
            {"1.2.0.192.bad.test": {"A": ["127.0.0.2"]}, "1.2.0.192.other.test": None},
            "fail",
            "192.0.2.1 is listed in bad.test, but some lists did not respond",
        ),
    ],
)
def test_the_journey_knows_what_every_list_said(records: Zone, result: str, reason: str) -> None:
    """Also of a peer that none of them lists; silence is not a clean record."""
    (_, event) = look({**NAMED, **records}, {LIST: 4.0, "other.test": 1.0}).events
    assert (event.check, event.result, event.reason) == ("dns lists", result, reason)
    assert [line.partition(" -> ")[0] for line in event.inputs] == [
        "A 1.2.0.192.bad.test",
        "A 1.2.0.192.other.test",
    ]


def test_a_list_of_good_addresses_fails_nobody() -> None:
    zone = {**NAMED, "1.2.0.192.good.test": {"A": ["127.0.9.2"]}}
    (_, event) = look(zone, {"good.test": -1.0}).events
    assert event.result == "pass"
