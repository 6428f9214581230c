"""The lab's name server answers as RFC 1034 section 4.3.2 says."""

from __future__ import annotations

from ipaddress import IPv4Address

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.lab.dns_answer import UDP_SIZE, Zones, answer_wire
from zajil.lab.zones import MailHost, Record, Zone, lab_zones
from zajil.store.engine.errors import StoreUnavailable

HOSTS = (
    MailHost("north.test", "mx.north.test", IPv4Address("127.1.0.1")),
    MailHost("xn--mgbx2a0b.test", "mx.xn--mgbx2a0b.test", IPv4Address("127.1.0.3")),
)
ZONES = Zones(lab_zones(HOSTS, IPv4Address("127.0.0.1")))
MANY = Zone(
    "many.test",
    (
        Record("many.test", "SOA", "ns.many.test. postmaster.many.test. 1 1 1 1 5"),
        Record("many.test", "NS", "ns.many.test."),
        *(
            Record("many.test", "A", f"127.2.{high}.{low}")
            for high in range(4)
            for low in range(60)
        ),
        Record("here.many.test", "CNAME", "there.many.test."),
        Record("there.many.test", "A", "127.2.0.1"),
        Record("round.many.test", "CNAME", "about.many.test."),
        Record("about.many.test", "CNAME", "round.many.test."),
    ),
)


def ask(name: str, rdata_type: str, zones: Zones = ZONES) -> dns.message.Message:
    wire = answer_wire(zones, dns.message.make_query(name, rdata_type).to_wire(), udp=True)
    assert wire is not None
    return dns.message.from_wire(wire)


def values(name: str, rdata_type: str) -> list[str]:
    return [str(rdata).lower() for rrset in ask(name, rdata_type).answer for rdata in rrset]


@pytest.mark.parametrize(
    ("name", "rdata_type", "want"),
    [
        ("north.test", "MX", ["10 mx.north.test."]),
        ("NORTH.test", "MX", ["10 mx.north.test."]),
        ("xn--mgbx2a0b.test", "MX", ["10 mx.xn--mgbx2a0b.test."]),
        ("mx.north.test", "A", ["127.1.0.1"]),
        ("1.0.1.127.in-addr.arpa", "PTR", ["mx.north.test."]),
        ("north.test", "TXT", ['"v=spf1 ip4:127.1.0.1 -all"']),
        (
            "_dmarc.north.test",
            "TXT",
            ['"v=dmarc1; p=reject; rua=mailto:dmarc-reports@north.test"'],
        ),
        ("north.test", "NS", ["ns.north.test."]),
    ],
)
def test_found(name: str, rdata_type: str, want: list[str]) -> None:
    assert values(name, rdata_type) == want


@pytest.mark.parametrize(
    ("name", "rdata_type", "rcode"),
    [
        ("mx.north.test", "AAAA", dns.rcode.NOERROR),
        ("north.test", "A", dns.rcode.NOERROR),
        ("test", "MX", dns.rcode.NOERROR),
        ("nobody.north.test", "A", dns.rcode.NXDOMAIN),
        ("example.com", "MX", dns.rcode.NXDOMAIN),
        ("9.9.9.127.in-addr.arpa", "PTR", dns.rcode.NXDOMAIN),
    ],
)
def test_a_negative_answer_carries_the_soa(name: str, rdata_type: str, rcode: int) -> None:
    """RFC 2308 section 3: the SOA says how long the answer may be kept."""
    response = ask(name, rdata_type)
    assert (response.rcode(), response.answer) == (rcode, [])
    assert [str(rrset).split()[3] for rrset in response.authority] == ["SOA"]
    assert response.flags & dns.flags.AA


def test_an_answer_too_large_for_udp_says_so() -> None:
    query = dns.message.make_query("many.test", "A", use_edns=0, payload=4096).to_wire()
    zones = Zones([MANY])
    short = answer_wire(zones, query, udp=True)
    whole = answer_wire(zones, query, udp=False)
    assert short is not None
    assert whole is not None
    assert len(short) <= UDP_SIZE < len(whole)
    assert dns.message.from_wire(short, ignore_trailing=True).flags & dns.flags.TC
    assert len(dns.message.from_wire(whole).answer[0]) == 240


def test_aliases_are_followed_and_their_loops_end() -> None:
    zones = Zones([MANY])
    assert [str(rrset).split()[3:] for rrset in ask("here.many.test", "A", zones).answer] == [
        ["CNAME", "there.many.test."],
        ["A", "127.2.0.1"],
    ]
    assert ask("round.many.test", "A", zones).rcode() == dns.rcode.NOERROR


def test_names_outside_all_zones_are_refused() -> None:
    assert ask("north.test", "MX", Zones([MANY])).rcode() == dns.rcode.REFUSED


def test_other_operations_are_not_implemented() -> None:
    query = dns.message.make_query("north.test", "SOA")
    query.set_opcode(dns.opcode.NOTIFY)
    wire = answer_wire(ZONES, query.to_wire(), udp=True)
    assert wire is not None
    assert dns.message.from_wire(wire).rcode() == dns.rcode.NOTIMP


def test_an_answer_gets_no_answer() -> None:
    assert answer_wire(ZONES, ask("north.test", "MX").to_wire(), udp=True) is None


@given(st.binary(max_size=80))
def test_no_packet_makes_it_raise(tail: bytes) -> None:
    """Whatever comes, the name server goes on."""
    header = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    for wire in (tail, header + tail):
        answer_wire(ZONES, wire, udp=True)
        answer_wire(ZONES, wire, udp=False)


def test_records_of_keys_are_read_anew_at_each_question() -> None:
    """A rotated key is found at once, and nobody remembers a missing one for long."""
    keys = {"ed-1._domainkey.north.test": '"v=DKIM1; k=ed25519; p=" "AAAA"'}
    zones = Zones(lab_zones(HOSTS, IPv4Address("127.0.0.1")), keys.get)
    answer = ask("ED-1._domainkey.North.test", "TXT", zones).answer[0]
    assert str(answer[0]) == '"v=DKIM1; k=ed25519; p=" "AAAA"'
    assert answer.ttl == 1
    assert ask("ed-1._domainkey.north.test", "A", zones).rcode() == dns.rcode.NOERROR
    assert ask("ed-2._domainkey.north.test", "TXT", zones).rcode() == dns.rcode.NXDOMAIN
    keys["ed-2._domainkey.north.test"] = '"v=DKIM1; p="'
    assert ask("ed-2._domainkey.north.test", "TXT", zones).answer
    assert ask("ed-1._domainkey.else.test", "TXT", zones).rcode() == dns.rcode.NXDOMAIN


def test_a_store_that_is_away_is_a_failure_of_the_server() -> None:
    """Whoever verifies asks again; a missing key would be a fact about the mail."""

    def fail(name: str) -> str | None:
        raise StoreUnavailable(name)

    zones = Zones(lab_zones(HOSTS, IPv4Address("127.0.0.1")), fail)
    assert ask("x._domainkey.north.test", "TXT", zones).rcode() == dns.rcode.SERVFAIL
    assert ask("north.test", "MX", zones).answer
