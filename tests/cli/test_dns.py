"""``zajil dns records``: for people, for programs, for a name server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kit.command_line import Run, as_json
from kit.foreign import need_program
from zajil.core.domain import to_ascii

SOA = (
    "@ 3600 IN SOA ns.far.test. hostmaster.far.test. 1 7200 3600 1209600 3600\n@ NS ns.far.test.\n"
)


def load_zone(name: str, file: Path) -> str:
    """Let BIND load a zone; gives what it says."""
    program = need_program("named-checkzone")
    done = subprocess.run(
        [program, "-i", "local", name, file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_records_for_people_and_programs(run: Run) -> None:
    records = as_json(run, "dns", "records", "north.test")["records"]
    assert records[0]["value"] == "10 mail.north.test."
    values = {record["name"]: record["value"] for record in records if record["type"] == "SRV"}
    assert values["_imaps._tcp.north.test"] == "0 1 993 mail.north.test."
    assert values["_pop3s._tcp.north.test"] == "20 1 995 mail.north.test."
    # RFC 8314 section 3: TLS from the first byte comes first.
    assert values["_imap._tcp.north.test"] == "10 1 143 mail.north.test."
    assert '"v=spf1 mx -all"' in run("dns", "records", "north.test")[1]


def test_a_service_that_is_off_is_said_to_be(run: Run) -> None:
    records = as_json(run, "--set", "listen.imap=[]", "dns", "records", "north.test")["records"]
    assert ("_imap._tcp.north.test", "0 0 0 .") in [(one["name"], one["value"]) for one in records]


def test_pop3_is_denied_where_it_is_off(run: Run) -> None:
    option = ("--set", "listen.pop3s=[]", "--set", "listen.pop3=[]")
    records = as_json(run, *option, "dns", "records", "north.test")["records"]
    values = {record["name"]: record["value"] for record in records if record["type"] == "SRV"}
    assert values["_pop3._tcp.north.test"] == "0 0 0 ."
    assert values["_pop3s._tcp.north.test"] == "0 0 0 ."


def test_a_server_named_like_its_domain_has_one_policy(run: Run) -> None:
    """RFC 7208 section 4.5: two SPF records of one name are a permanent error."""
    override = ("--set", "server.hostname=north.test")
    records = as_json(run, *override, "dns", "records", "north.test")["records"]
    assert sum("v=spf1" in one["value"] for one in records) == 1


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("nroth.test", "north.test"),
        ("mail.north.test", "north.test"),
        ("زاجلل.test", "زاجل.test"),
        ("nothing.like.it.example", "north.test"),
    ],
)
def test_a_domain_of_others_is_an_error(run: Run, typed: str, near: str) -> None:
    run("domain", "add", "زاجل.test")
    for command in (
        ["dns", "records", typed],
        ["dkim", "keys", typed],
        ["domain", "remove", typed],
    ):
        status, out, err = run(*command)
        assert (status, out) == (1, "")
        assert (
            err == f"zajil: {typed} is not a domain of this server; the nearest that is: {near}\n"
        )
    status, _, err = run("account", "add", f"x@{typed}")
    assert (status, err.strip().endswith(near)) == (1, True)


@pytest.mark.parametrize("arguments", [["--without-soa"], ["--zone", "--json"]])
def test_options_that_do_not_fit(run: Run, arguments: list[str]) -> None:
    assert run("dns", "records", "north.test", *arguments)[0] == 2


@pytest.mark.parametrize("domain", ["north.test", "زاجل.test", "sub.north.test"])
@pytest.mark.parametrize(
    "hostname", ["mail.north.test", "north.test", "mail.xn--mgbkq8e.test", "mx.far.test"]
)
@pytest.mark.parametrize("bound", ["0.0.0.0:25", "8.8.8.8:25", "[2600::1]:25"])
def test_a_name_server_loads_the_zone(
    run: Run, tmp_path: Path, domain: str, hostname: str, bound: str
) -> None:
    run("domain", "add", domain)
    settings = ("--set", f"server.hostname={hostname}", "--set", f'listen.smtp=["{bound}"]')
    status, zone, err = run(*settings, "dns", "records", domain, "--zone")
    assert (status, err) == (0, "")
    name, file = to_ascii(domain), tmp_path / "zone"
    file.write_text(zone, "utf-8")
    said = load_zone(name, file)
    assert "out-of-zone" not in said
    _, part, _ = run(*settings, "dns", "records", domain, "--zone", "--without-soa")
    assert " SOA " not in part
    included = tmp_path / "part"
    included.write_text(part, "utf-8")
    file.write_text(f"$TTL 3600\n$ORIGIN {name}.\n{SOA}$INCLUDE {included}\n", "utf-8")
    load_zone(name, file)


def test_a_zone_holds_all_keys(run: Run, tmp_path: Path) -> None:
    """An RSA key does not fit into one string of 255 octets (RFC 1035 section 3.3.14)."""
    run("dkim", "rotate", "north.test")
    file = tmp_path / "zone"
    file.write_text(run("dns", "records", "north.test", "--zone")[1], "utf-8")
    program = need_program("named-checkzone")
    dumped = subprocess.run(
        [program, "-i", "local", "-D", "-q", "-o", "-", "north.test", file],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    keys = as_json(run, "dkim", "keys", "north.test")["keys"]
    assert len(keys) == 4
    for key in keys:
        assert f"{key['selector']}._domainkey.north.test." in dumped
