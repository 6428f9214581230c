"""``zajil spf check``, with a name server on a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator

import dns.message
import dns.rcode
import dns.rrset
import pytest
from typer.testing import CliRunner

from kit.name_server import name_server_in_thread
from zajil.cli.main import app, main

RECORDS = {
    "south.test.": "v=spf1 ip4:192.0.2.1 -all exp=why.south.test",
    "mx.south.test.": "v=spf1 ip6:2001:db8::/32 ~all",
    "why.south.test.": "%{i} is a stranger\\009 to %{d}",
    "plain.test.": "v=spf1 -all",
}


def respond(query: dns.message.QueryMessage, _: bool) -> list[bytes]:
    response = dns.message.make_response(query)
    name = query.question[0].name
    text = RECORDS.get(name.to_text().lower())
    if text is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
    else:
        response.answer = [dns.rrset.from_text(name, 60, "IN", "TXT", f'"{text}"')]
    return [response.to_wire()]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with name_server_in_thread(respond) as address:
        yield address


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ("spf", "check", *arguments))
    return result.exit_code, result.stdout


@pytest.mark.parametrize(
    ("ip", "mail_from", "status", "result", "domain"),
    [
        ("192.0.2.1", "sami@south.test", 0, "pass", "south.test"),
        ("192.0.2.2", "sami@south.test", 1, "fail", "south.test"),
        ("2001:db8::1", "", 0, "pass", "mx.south.test"),
        ("192.0.2.1", "", 1, "softfail", "mx.south.test"),
        ("192.0.2.1", "a@nowhere.test", 1, "none", "nowhere.test"),
    ],
)
def test_what_other_programs_rely_on(
    server: str, ip: str, mail_from: str, status: int, result: str, domain: str
) -> None:
    """Design section 6: keys, words and exit status."""
    to_ask = ("--ip", ip, "--mail-from", mail_from, "--helo", "mx.south.test")
    got, out = run(*to_ask, "--nameserver", server, "--json")
    found = json.loads(out)
    assert (got, found["result"], found["domain"]) == (status, result, domain)
    assert found["identity"] == "mailfrom"
    assert {"explanation", "reason"} <= set(found)
    assert ip in found["reason"] or result == "none"


def test_a_person_reads_sentences(server: str) -> None:
    sender = ("--ip", "192.0.2.2", "--mail-from", "a@plain.test", "--helo", "x.test")
    status, out = run(*sender, "--nameserver", server, "--default-explanation", "Ask them.")
    assert status == 1
    assert out.splitlines() == [
        "fail: plain.test does not authorize 192.0.2.2 to send its mail (-all)",
        "  explanation: Ask them.",
        "  TXT plain.test -> v=spf1 -all (ttl 60)",
    ]


def test_a_hostile_explanation_does_not_reach_the_terminal(server: str) -> None:
    """A tab is no text of an explanation; an escape sequence would be none either."""
    sender = ("--ip", "192.0.2.2", "--mail-from", "a@south.test", "--helo", "x.test")
    status, out = run(*sender, "--nameserver", server)
    assert (status, "\t" in out, "stranger to" in out) == (1, False, False)


def test_a_name_server_that_is_away_is_a_temporary_error() -> None:
    sender = ("--ip", "192.0.2.1", "--mail-from", "a@south.test", "--helo", "x.test")
    status, out = run(*sender, "--nameserver", "127.0.0.1:1", "--timeout", "0.1", "--json")
    assert (status, json.loads(out)["result"]) == (1, "temperror")


def test_what_is_no_address_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as stop:
        main(("spf", "check", "--ip", "192.0.2", "--helo", "x.test"))
    assert stop.value.code == 2


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "1e300", "soon"])
def test_a_time_that_nobody_waits_is_wrong_usage(seconds: str) -> None:
    asked = ("--ip", "192.0.2.1", "--mail-from", "a@south.test", "--timeout", seconds)
    assert run(*asked) == (2, "")
