"""``zajil probe``: findings with what to do, and an exit status."""

from __future__ import annotations

import json

from kit.command_line import Run
from kit.name_server import zone_server

ZONE = {
    "mail.north.test": {"A": ["198.51.100.7"]},
    "7.100.51.198.in-addr.arpa": {"PTR": ["mail.north.test."]},
    "2.0.0.127.zen.spamhaus.org": {"A": ["127.255.255.254"]},
    "internetsociety.org": {"A": ["192.0.2.1"]},
    "dnssec-failed.org": {"A": ["192.0.2.1"]},
}


def test_findings_are_printed_with_what_to_do(run: Run) -> None:
    with zone_server(ZONE) as address:
        settings = ("--set", 'listen.smtp=["127.0.0.1:0"]')
        status, out, _ = run(*settings, "probe", "--nameserver", address)
        listed = run(*settings, "probe", "--json", "--nameserver", address)[1]
    assert status == 1
    assert "PROBLEM    DNS lists" in out
    assert "Install a resolver of your own on this machine" in out
    assert "ok         Name and address" in out
    probes = json.loads(listed)["probes"]
    assert {one["level"] for one in probes} <= {"ok", "warning", "problem", "skipped"}
    assert all(one["sentence"] and "{" not in one["sentence"] for one in probes)
