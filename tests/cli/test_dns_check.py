"""``zajil dns check`` against BIND, and against Unbound where DNSSEC matters."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit.command_line import Run
from kit.name_servers import SIGNING, keys_of, running_named, running_unbound
from zajil.config.options_server import DnsOptions
from zajil.dns.flow import Question
from zajil.net.system import SystemClock
from zajil.operations.dns_check import check_dns
from zajil.operations.dns_record import DnsRecord
from zajil.resolver.authority import Authorities
from zajil.resolver.client import Resolver

pytestmark = pytest.mark.interop


def zone_of(run: Run, domain: str = "north.test") -> str:
    """The zone as the command prints it."""
    status, zone, err = run("dns", "records", domain, "--zone")
    assert (status, err) == (0, "")
    return zone


def test_what_records_prints_is_what_check_finds(run: Run, tmp_path: Path) -> None:
    """The zone file is loaded as it was printed; only the address of the server has no name yet."""
    reverse = "1 PTR mail.north.test."
    zones = {"north.test": zone_of(run), "2.0.192.in-addr.arpa": reverse}
    with running_named(tmp_path, zones) as server:
        status, out, err = run("dns", "check", "north.test", "--nameserver", server.address)
    assert (status, err) == (0, ""), out
    assert out.endswith("All records are right.\n")
    assert "MISSING" not in out
    assert re.search(r"no DNSSEC +TLSA +_25", out)


def test_what_is_wrong_is_said_with_what_to_do(run: Run, tmp_path: Path) -> None:
    zone = zone_of(run)
    zone = re.sub(r"10 mail\.north\.test\.", "10 old.north.test.", zone)
    zone = re.sub(r"\n_dmarc[^\n]*", "", zone)
    with running_named(tmp_path, {"north.test": zone}) as server:
        status, out, err = run("dns", "check", "--nameserver", server.address)
        assert (status, err) == (1, "")
        answer = run("dns", "check", "--json", "--nameserver", server.address)[1]
    assert re.search(r"DIFFERENT +MX +north.test\n.*replace it.*\n.*10 mail.*\n.*10 old", out)
    assert re.search(r"MISSING +TXT +_dmarc.north.test\n.*Add this record", out)
    assert '"state": "other"' in answer
    assert out.rstrip().endswith("Repeat with --watch until all are right.")


def test_a_domain_of_others_is_not_looked_up(run: Run) -> None:
    status, out, err = run("dns", "check", "south.test", "--nameserver", "127.0.0.1:1")
    assert (status, out) == (1, "")
    assert "south.test is not a domain of this server" in err


def test_no_name_server_answers(run: Run) -> None:
    status, out, _ = run(
        "dns", "check", "--nameserver", "127.0.0.1:1", "--timeout", "0.2", "north.test"
    )
    assert status == 1
    assert "NO ANSWER" in out
    assert "DNS did not answer" in out


def test_a_watch_ends_when_all_is_right(run: Run, tmp_path: Path) -> None:
    zones = {"north.test": zone_of(run), "2.0.192.in-addr.arpa": "1 PTR mail.north.test."}
    with running_named(tmp_path, zones) as server:
        status, out, _ = run("dns", "check", "--watch", "--nameserver", server.address)
    assert (status, out.splitlines()[-1]) == (0, "All records are right.")


def test_a_watch_prints_at_once_into_a_pipe(run: Run, tmp_path: Path) -> None:
    """Whoever waits with `| tee` sees what is missing while it goes on."""
    with running_named(tmp_path, {"north.test": "x TXT nothing"}) as server:
        command = [sys.executable, "-m", "zajil", "dns", "check", "--watch"]
        watch = subprocess.Popen(
            [*command, "--nameserver", server.address], stdout=subprocess.PIPE, text=True
        )
        try:
            assert watch.stdout is not None
            assert watch.stdout.readline() == "north.test\n"
            assert watch.poll() is None
        finally:
            watch.terminate()
            watch.communicate()


def test_a_resolver_with_an_old_answer(tmp_path: Path) -> None:
    """The zone was changed a moment ago; its own server is found by its NS record."""
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
    old_zone = "@ NS ns.north.test.\nns A 127.0.0.1\n@ 300 SOA a. b. 1 1 1 1 60\n@ MX 10 old.test."
    record = DnsRecord("north.test", "MX", "10 mx.north.test.", "")

    async def check(nameserver: str, port: int) -> tuple[str, int]:
        options = DnsOptions(nameservers=(nameserver,))
        resolver = Resolver(options, SystemClock(), os.urandom)
        zone = Authorities(resolver.resolve, os.urandom, 5.0, port)
        try:
            (found,) = await check_dns([record], resolver.resolve, zone.ask)
        finally:
            await resolver.close()
        return found.state, found.ttl_seconds

    with (
        running_named(tmp_path / "old", {"north.test": "$TTL 300\n" + old_zone}) as old,
        running_named(tmp_path / "new", {"north.test": "@ MX 10 mx.north.test."}) as new,
    ):
        assert asyncio.run(check(old.address, new.port)) == ("cached", 300)


def test_dnssec_is_what_a_validating_resolver_says(tmp_path: Path) -> None:
    """BIND signs the zone; Unbound on this machine validates it, and its AD bit is believed."""
    for folder in ("named", "unbound"):
        (tmp_path / folder).mkdir()
    name, digest = "_25._tcp.mx.signed.test", "ab" * 32
    records = f"{name}. TLSA 3 1 1 {digest}"
    wanted = DnsRecord(name, "TLSA", f"3 1 1 {digest}", "", is_optional=True)

    async def check(nameserver: str) -> str:
        resolver = Resolver(DnsOptions(nameservers=(nameserver,)), SystemClock(), os.urandom)
        try:
            answer = await resolver.resolve(Question(name, "TLSA"))
            assert answer.values == (f"3 1 1 {digest}",)
            return (await check_dns([wanted], resolver.resolve))[0].state
        finally:
            await resolver.close()

    zones = {"signed.test": records}
    with running_named(tmp_path / "named", zones, in_zone=SIGNING) as server:
        keys = keys_of(server, "signed.test")
        with running_unbound(tmp_path / "unbound", ["signed.test"], keys, server) as resolver:
            assert asyncio.run(check(resolver)) == "found"
        assert asyncio.run(check(server.address)) == "unsigned"


def test_a_zone_of_every_kind_of_server_is_loaded(run: Run, tmp_path: Path) -> None:
    """Two domains of one server, of which one is an IDN; the host is in the first one."""
    run("domain", "add", "زاجل.test")
    idn = "xn--mgbkq8e.test"
    zones = {"north.test": zone_of(run), idn: zone_of(run, idn)}
    zones["2.0.192.in-addr.arpa"] = "1 PTR mail.north.test."
    with running_named(tmp_path, zones) as server:
        status, out, err = run("dns", "check", "--nameserver", server.address)
    assert (status, err) == (0, ""), out
    assert "زاجل.test (xn--mgbkq8e.test)" in out
    program = subprocess.run(
        [
            "/usr/bin/env",
            "named-compilezone",
            "-i",
            "local",
            "-o",
            "-",
            idn,
            tmp_path / f"{idn}.zone",
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
    )
    assert program.returncode == 0, program.stderr
