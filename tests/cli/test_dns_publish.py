"""``zajil dns publish`` writes into a real BIND by RFC 2136, and leaves what others own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import pytest

from kit.command_line import Run
from kit.name_servers import WritableZone, bind_with
from zajil.operations.dns_publish import merge_spf

pytestmark = pytest.mark.interop


def settings(zone: WritableZone) -> list[str]:
    options = ", ".join(f'{name} = "{value}"' for name, value in zone.options.items())
    return [
        "--set", 'dns_provider.name="rfc2136"',
        "--set", f"dns_provider.options={{{options}}}",
        "--set", f'dns.nameservers=["{zone.address}"]',
        "--set", 'listen.smtp=["1.1.1.1:25"]',
    ]  # fmt: skip


def test_an_empty_zone_is_filled(run: Run, tmp_path: Path) -> None:
    with bind_with(tmp_path, "north.test") as zone:
        options = settings(zone)
        status, plan, err = run(*options, "dns", "publish", "--dry-run")
        assert (status, err) == (0, "")
        assert "add      MX    north.test  10 mail.north.test." in plan
        assert "by hand  PTR   1.1.1.1  mail.north.test." in plan
        refused = run(*options, "dns", "publish")
        assert (refused[0], "--yes" in refused[2]) == (2, True)
        assert run(*options, "dns", "check")[0] == 1
        status, out, err = run(*options, "dns", "publish", "--yes")
        assert (status, err) == (0, "")
        assert re.search(r"Wrote \d+ records\.", out)
        checked = run(*options, "dns", "check", "--json")[1]
        again = run(*options, "dns", "publish", "--yes")[1]
    states = {one["type"]: one["state"] for one in json.loads(checked)["domains"]["north.test"]}
    assert states.pop("PTR") == "unknown"  # this server is asked for its own zone only
    assert states.pop("TLSA") == "unsigned"
    assert set(states.values()) <= {"found", "optional"}
    assert again.endswith("Nothing to write.\n")


def test_what_others_own_stays(run: Run, tmp_path: Path) -> None:
    there = (
        '@ MX 5 old.example.\n@ TXT "v=spf1 include:news.example ~all"\n@ TXT "other"\n'
        'autoconfig A 192.0.2.9\n_dmarc TXT "v=DMARC1; p=reject"\n'
        "_imaps._tcp SRV 0 1 993 imap.old.example."
    )
    with bind_with(tmp_path, "north.test", there) as zone:
        options = settings(zone)
        status, out, err = run(*options, "dns", "publish", "north.test", "--yes")
        assert (status, err) == (0, "")
        plan = run(*options, "dns", "publish", "--dry-run", "--json")[1]
    assert "leave    MX    north.test" in out
    assert "is now: 5 old.example." in out
    assert "leave    SRV   _imaps._tcp.north.test" in out
    assert "leave    CNAME autoconfig.north.test" in out
    assert "replace  TXT   north.test  v=spf1 mx include:news.example ~all" in out
    assert "_dmarc" not in out
    left = {(one["step"], one["type"]) for one in json.loads(plan)["changes"]}
    assert left == {("leave", "MX"), ("leave", "SRV"), ("leave", "CNAME"), ("by hand", "PTR")} | {
        ("by hand", "AAAA")
    }


def test_a_wrong_key_changes_nothing(run: Run, tmp_path: Path) -> None:
    with bind_with(tmp_path, "north.test") as zone:
        zone.options["secret"] = "AAAA"
        status, _, err = run(*settings(zone), "dns", "publish", "--yes")
    assert status == 1
    assert "refused" in err


def test_without_a_provider_it_says_what_is_missing(run: Run) -> None:
    status, _, err = run("dns", "publish", "--dry-run")
    assert (status, "dns_provider.name is not set" in err) == (2, True)


@pytest.mark.parametrize(
    ("theirs", "merged"),
    [
        ("v=spf1 -all", "v=spf1 mx -all"),
        ("v=spf1 include:x.test ~all", "v=spf1 mx include:x.test ~all"),
        ("v=spf1 MX a:y.test ?all", "v=spf1 MX a:y.test ?all"),
    ],
)
def test_an_spf_record_keeps_what_it_permits(theirs: str, merged: str) -> None:
    assert merge_spf("v=spf1 mx -all", theirs) == merged


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        # An alias where the host should have an address; BIND leaves out what stands beside it.
        (
            "mail CNAME other\nother A 192.0.2.7",
            ["leave    A     mail", "is now: CNAME other.north.test.", "Nothing can stand beside"],
        ),
        # Aliases that lead to zones of others, which do not answer here.
        (
            "_dmarc CNAME dmarc.provider.example.\n* CNAME web.example.",
            ["leave    TXT   _dmarc", "add      A     mail.north.test", "add      MX"],
        ),
        # A wildcard answers for names that are not there.
        (
            '* MX 5 old\n* TXT "v=spf1 -all"\n* A 192.0.2.9\nold A 192.0.2.9',
            ["add      A     mail.north.test", "add      TXT   mail.north.test  v=spf1 a -all"],
        ),
        ('* A 1.1.1.1\nmail A 1.1.1.1', ["add      MX"]),
        ('@ TXT "v=spf1 a -all"\n@ TXT "v=spf1 mx ~all"', ["Only one may stand there"]),
        # Strings that are split anywhere, and tags in capitals (RFC 7489 section 6.4).
        (
            '@ TXT "v=spf" "1 include:ne" "ws.example ~all"\n_dmarc TXT "V=DMARC1; P=REJECT"',
            ["replace  TXT   north.test  v=spf1 mx include:news.example ~all"],
        ),
        ("_domainkey NS ns.other.example.", ["DNS does not say which zone this name is in"]),
    ],
)  # fmt: skip
def test_an_odd_zone_is_not_made_worse(
    there: str, expected: list[str], run: Run, tmp_path: Path
) -> None:
    """What was written is there, and a second time there is nothing to do."""
    with bind_with(tmp_path, "north.test", there) as zone:
        options = settings(zone)
        status, out, err = run(*options, "dns", "publish", "--yes")
        assert (status, err) == (0, "")
        again = run(*options, "dns", "publish", "--dry-run")[1]
        spf = ask(zone, "north.test")
        dmarc = ask(zone, "_dmarc.north.test")
    for text in expected:
        assert text in out
    assert again.endswith("Nothing to write.\n")
    if "Only one" not in out:
        assert len([one for one in spf if one.startswith("v=spf1")]) == 1
    if "REJECT" in there:
        assert dmarc == ["V=DMARC1; P=REJECT"]


def test_the_host_of_an_mx_record_is_no_alias(run: Run, tmp_path: Path) -> None:
    there = "@ MX 10 mail\nmail CNAME other\nother A 1.1.1.1"
    with bind_with(tmp_path, "north.test", there) as zone:
        checked = run(*settings(zone), "dns", "check", "--json")[1]
    records = json.loads(checked)["domains"]["north.test"]
    (host,) = [one for one in records if one["type"] == "A"]
    assert (host["state"], host["found"]) == ("other", ["CNAME other.north.test"])


def test_an_mx_record_waits_for_the_address_of_its_host(run: Run, tmp_path: Path) -> None:
    """BIND refuses an update with an MX record whose host has no address, as a whole."""
    with bind_with(tmp_path, "north.test") as zone:
        unknown = [*settings(zone), "--set", 'listen.smtp=["127.0.0.1:25"]']
        status, out, err = run(*unknown, "dns", "publish", "--yes")
        assert (status, err) == (0, "")
        assert "by hand  MX" in out
        assert "publish its A or AAAA record first" in out
        assert "add      MX" in run(*settings(zone), "dns", "publish", "--yes")[1]


def test_the_likely_reason_of_a_refusal(run: Run, tmp_path: Path) -> None:
    with bind_with(tmp_path, "north.test") as zone:
        zone.options["algorithm"] = "hmac-sha512"
        status, _, err = run(*settings(zone), "dns", "publish", "--yes")
    assert status == 1
    assert "Compare name, algorithm and secret" in err


def ask(zone: WritableZone, name: str) -> list[str]:
    """Return the texts of a name as the server has them."""
    host, _, port = zone.address.partition(":")
    answer = dns.query.udp(dns.message.make_query(name, "TXT"), host, 60, int(port))
    return [
        b"".join(rdata.strings).decode()
        for rrset in answer.answer
        for rdata in rrset
        if rdata.rdtype == dns.rdatatype.TXT
    ]
