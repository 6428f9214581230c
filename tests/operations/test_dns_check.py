"""The records of a domain are compared with those that stand in DNS."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from kit.zone import Zone, ZoneResolver
from zajil.config.options import Configuration
from zajil.config.options_server import ListenOptions, ServerOptions
from zajil.dns.flow import Answer, Question
from zajil.operations.dns_advice import records_for
from zajil.operations.dns_check import check_dns, is_good
from zajil.operations.dns_compare import unquote
from zajil.operations.dns_record import DnsRecord

HOST = "mx.north.test"
CONFIGURATION = Configuration(server=ServerOptions(hostname=HOST, data_dir=Path("data")))
SPF = "v=spf1 mx -all"
GOOD: Zone = {
    "north.test": {"MX": ["10 MX.north.test"], "TXT": ["other text", SPF]},
    HOST: {"A": ["192.0.2.1"], "TXT": ["v=spf1 a -all"]},
    "1.2.0.192.in-addr.arpa": {"PTR": [HOST]},
    "_dmarc.north.test": {"TXT": ["v=DMARC1; p=reject; rua=mailto:elsewhere@south.test"]},
    "_smtp._tls.north.test": {"TXT": ["v=TLSRPTv1; rua=https://reports.south.test/"]},
    "autoconfig.north.test": {"A": ["192.0.2.1"]},
    "autodiscover.north.test": {"A": ["192.0.2.1"]},
}


def states(zone: Zone) -> dict[str, str]:
    records = records_for("north.test", CONFIGURATION, [])
    checked = asyncio.run(check_dns(records, ZoneResolver(zone).resolve))
    assert [one.record for one in checked] == records
    return {f"{one.record.type} {one.record.name}": one.state for one in checked}


def test_a_domain_that_is_published_whole() -> None:
    found = states(GOOD)
    assert found.pop("AAAA mx.north.test") == "optional"
    services = {name: found.pop(name) for name in list(found) if name.startswith("SRV")}
    assert {name.split("_")[1].split(".")[0]: state for name, state in services.items()} == {
        "submissions": "missing",
        "imaps": "missing",
        "pop3s": "missing",
        "submission": "optional",
        "imap": "optional",
        "pop3": "optional",
    }
    assert found.pop("CNAME autoconfig.north.test", "found") == "found"
    assert found.pop("CNAME autodiscover.north.test", "found") == "found"
    assert set(found.values()) == {"found"}
    assert len(found) == 7


@pytest.mark.parametrize(
    ("name", "records", "key", "state"),
    [
        ("north.test", {"MX": ["10 mx.other.test"], "TXT": [SPF]}, "MX north.test", "other"),
        ("north.test", {"TXT": [SPF]}, "MX north.test", "missing"),
        ("north.test", {"TXT": ["v=spf1 +all"]}, "TXT north.test", "other"),
        # Two policies are none (RFC 7208 section 4.5).
        ("north.test", {"TXT": [SPF, SPF]}, "TXT north.test", "other"),
        ("north.test", {"TXT": ["other text"]}, "TXT north.test", "missing"),
        ("north.test", None, "TXT north.test", "unknown"),
        ("_dmarc.north.test", {"TXT": ["v=DMARC1; p=no"]}, "TXT _dmarc.north.test", "other"),
        (HOST, {}, "A mx.north.test", "missing"),
        ("1.2.0.192.in-addr.arpa", {"PTR": ["host.isp.test"]}, "PTR <the address of this server>",
         "other"),
        ("1.2.0.192.in-addr.arpa", {}, "PTR <the address of this server>", "missing"),
        ("1.2.0.192.in-addr.arpa", None, "PTR <the address of this server>", "unknown"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    name: str, records: dict[str, list[str]] | None, key: str, state: str
) -> None:
    assert states({**GOOD, name: records})[key] == state


@pytest.mark.parametrize(
    ("values", "state"),
    [
        (["0 1 993 mx.north.test"], "found"),
        (["10 5 993 MX.North.Test"], "found"),
        (["0 1 993 mx.other.test", "5 1 993 mx.north.test"], "found"),
        (["0 1 143 mx.north.test"], "other"),
        (["0 1 993 mx.other.test"], "other"),
        (["0 0 0 ."], "other"),
        (["odd"], "other"),
        ([], "missing"),
    ],
)
def test_services_are_looked_up(values: list[str], state: str) -> None:
    name = "_imaps._tcp.north.test"
    assert states({**GOOD, name: {"SRV": values}})[f"SRV {name}"] == state


def test_a_service_that_is_not_offered() -> None:
    record = DnsRecord("_pop3._tcp.north.test", "SRV", "0 0 0 .", "", is_optional=True)

    def state(*values: str) -> str:
        zone: Zone = {record.name: {"SRV": list(values)}}
        (checked,) = asyncio.run(check_dns([record], ZoneResolver(zone).resolve))
        return checked.state

    assert state("0 0 0 .") == "found"
    assert state("0 1 110 mx.north.test") == "other"
    assert state() == "optional"


def test_the_key_of_a_dkim_record_counts_and_nothing_else() -> None:
    long = "A" * 300
    record = DnsRecord(
        "s1._domainkey.north.test", "TXT", f'"v=DKIM1; k=rsa; p={long[:200]}" "{long[200:]}"', ""
    )

    def state(*values: str) -> str:
        zone: Zone = {record.name: {"TXT": list(values)}}
        (checked,) = asyncio.run(check_dns([record], ZoneResolver(zone).resolve))
        return checked.state

    assert unquote(record.value).endswith(f"p={long}")
    assert state(f"k=rsa; p={long}") == "found"
    assert state(f"v=DKIM1; p={long[:150]} {long[150:]}; t=s") == "found"
    assert state("v=DKIM1; p=B" + long) == "other"
    assert state() == "missing"


def test_public_addresses_of_the_configuration_are_compared() -> None:
    configuration = Configuration(
        server=ServerOptions(hostname=HOST, data_dir=Path("data")),
        listen=ListenOptions(smtp=("1.1.1.1:25",)),
    )
    records = records_for("north.test", configuration, [])
    zone = {**GOOD, "1.1.1.1.in-addr.arpa": {"PTR": ["one.one.test"]}}
    checked = asyncio.run(check_dns(records, ZoneResolver(zone).resolve))
    found = {f"{one.record.type} {one.record.name}": one.state for one in checked}
    assert found["A mx.north.test"] == "other"
    assert found["PTR 1.1.1.1"] == "other"


@pytest.mark.parametrize(
    ("policy", "state"),
    [
        ("v=spf1 a:mx.north.test include:relay.test -all", "found"),
        ("v=spf1 ip4:192.0.2.0/24 ~all", "other"),  # everybody's address of the test too
        ("v=spf1 ip4:198.51.100.1 -all", "other"),
        ("v=spf1 +all", "other"),
        ("v=spf1 redirect=loop.test", "other"),
    ],
)
def test_a_policy_of_the_operators_own_that_permits_the_server(policy: str, state: str) -> None:
    """A company that sends by others too has another record, which is right."""
    zone: Zone = {
        "north.test": {"MX": [f"10 {HOST}"], "TXT": [policy]},
        HOST: {"A": ["203.0.113.9"]},
        "relay.test": {"TXT": ["v=spf1 ip4:203.0.113.77 -all"]},
        "loop.test": {"TXT": ["v=spf1 redirect=north.test"]},
    }
    assert states(zone)["TXT north.test"] == state


@pytest.mark.parametrize(
    ("types", "state"),
    [
        ({"A": ["192.0.2.1"]}, "found"),
        ({"A": ["192.0.2.1", "198.51.100.1"]}, "found"),
        ({"A": ["198.51.100.1"]}, "other"),
        ({}, "missing"),
        (None, "unknown"),
    ],
)
def test_a_name_that_leads_to_the_server(types: dict[str, list[str]] | None, state: str) -> None:
    record = DnsRecord("autoconfig.north.test", "CNAME", f"{HOST}.", "")
    zone: Zone = {**GOOD, "autoconfig.north.test": types}
    (checked,) = asyncio.run(check_dns([record], ZoneResolver(zone).resolve))
    assert checked.state == state


def test_keys_of_dane_count_only_with_dnssec() -> None:
    digest = "ab" * 32
    record = DnsRecord(f"_25._tcp.{HOST}", "TLSA", f"3 1 1 {digest}", "", is_optional=True)
    resolver = ZoneResolver({record.name: {"TLSA": [f"3 1 1 {digest.upper()}"]}})

    async def signed(question: Question) -> Answer:
        return replace(await resolver.resolve(question), authentic=True)

    (plain,) = asyncio.run(check_dns([record], resolver.resolve))
    (secure,) = asyncio.run(check_dns([record], signed))
    assert (plain.state, is_good(plain)) == ("unsigned", True)
    assert secure.state == "found"
    (other,) = asyncio.run(check_dns([replace(record, value=f"3 1 1 {'cd' * 32}")], signed))
    assert other.state == "other"


def test_a_zone_that_has_what_the_resolver_does_not_know_yet() -> None:
    record = DnsRecord("north.test", "MX", f"10 {HOST}.", "")
    old = ZoneResolver({"north.test": {"MX": ["10 old.test"]}})
    new = ZoneResolver({"north.test": {"MX": [f"10 {HOST}"]}})
    (checked,) = asyncio.run(check_dns([record], old.resolve, new.resolve))
    assert (checked.state, checked.found, checked.ttl_seconds) == ("cached", ("10 old.test",), 300)
    (checked,) = asyncio.run(check_dns([record], old.resolve, old.resolve))
    assert checked.state == "other"
