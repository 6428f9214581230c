"""A stranger's slow name servers must not turn SPF and DMARC off for the mail of others.

RFC 9520 section 3 asks to back off; what is left unasked then must not let a forgery pass.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from kit.clock import FakeClock
from kit.facts import make_facts
from kit.name_server import name_server
from zajil.accept.accept import why_refused
from zajil.accept.outcome import NotAccepted, RefusalReason
from zajil.check.step import Checked, Checks
from zajil.check.verdict.verdict import Action
from zajil.config.options_check import CheckOptions
from zajil.config.options_server import DnsOptions
from zajil.core.address import parse_address
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.message.fields import split_message
from zajil.receive.replies import refusal
from zajil.resolver.back_off import REST_MS
from zajil.resolver.client import Resolver


class Dns:
    """Each domain at test. refuses what is not proven; below slow.test nothing is answered."""

    def __init__(self) -> None:
        self.is_dead = False
        self.policy = "v=DMARC1; p=reject"
        self.asked: list[str] = []

    def respond(self, query: dns.message.QueryMessage, udp: bool) -> list[bytes]:
        name = query.question[0].name
        text = name.to_text().lower()
        self.asked.append(text)
        if self.is_dead or text.endswith("slow.test."):
            return []
        response = dns.message.make_response(query)
        labels = text.split(".")
        value = ""
        if query.question[0].rdtype == dns.rdatatype.TXT:
            if labels[0] == "_dmarc" and len(labels) == 4:
                value = self.policy
            elif len(labels) == 3:
                value = "v=spf1 -all"
        if value:
            answer = dns.rrset.from_text(name, 300, "IN", "TXT", f'"{value}"')
            response.answer = [answer]
        elif "test" not in labels:
            response.set_rcode(dns.rcode.NXDOMAIN)
        return [response.to_wire()]


Scene = Callable[[Dns, Checks, FakeClock], Coroutine[Any, Any, None]]


def play(scene: Scene, timeout: str = "1s", **options: Any) -> None:
    async def run() -> None:
        server, clock = Dns(), FakeClock()
        async with name_server(server.respond) as running:
            dns_options = {"nameservers": [running.address], "timeout": timeout, **options}
            resolver = Resolver(DnsOptions.model_validate(dns_options), clock, os.urandom)
            checks = Checks(CheckOptions(), resolver.resolve, "mx.north.test")
            await scene(server, checks, clock)
            await resolver.close()

    asyncio.run(run())


async def check(
    checks: Checks, author: str, sender: str = "", helo: str = "", more: bytes = b""
) -> Checked:
    """Bring a mail that nothing proves."""
    message = more + (
        f"From: Sami <sami@{author}>\r\nTo: amal@north.test\r\nSubject: hi\r\n"
        f"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@{author}>\r\n\r\nHello.\r\n"
    ).encode("ascii")
    facts = make_facts(message)
    digests = BodyDigests(body_needs(facts.fields))
    digests.feed(message[split_message(message)[1] :])
    path = parse_address(f"sami@{sender or author}")
    facts = replace(facts, reverse_path=path, claimed_name=helo or f"mx.{author}", digests=digests)
    return await checks.check_message(facts)


def signed_by(*domains: str) -> bytes:
    return b"".join(
        b"DKIM-Signature: v=1; a=rsa-sha256; d=%s; s=k; h=from; bh=YWJj; b=YWJj\r\n" % one.encode()
        for one in domains
    )


def test_a_strangers_slow_zone_does_not_hide_the_policies_of_others() -> None:
    async def scene(server: Dns, checks: Checks, clock: FakeClock) -> None:
        slow = [
            asyncio.create_task(check(checks, f"d{n}.slow.test", helo=f"h{n}.slow.test"))
            for n in range(16)
        ]
        during = [await check(checks, f"bank{n}.test") for n in range(6)]
        await asyncio.gather(*slow)
        after = [await check(checks, f"shop{n}.test") for n in range(6)]
        for one in (*during, *after):
            assert one.verdict.action is Action.JUNK
            assert "dmarc.fail-reject" in {reason.signal for reason in one.verdict.reasons}

    play(scene)


@pytest.mark.parametrize("signers", [0, 8])
def test_the_policy_of_the_author_is_among_the_first_questions(signers: int) -> None:
    """A mail has one time for all of them, and slow servers of its own could use it up."""

    async def scene(server: Dns, checks: Checks, clock: FakeClock) -> None:
        more = signed_by(*[f"d{number}.slow.test" for number in range(signers)])
        found = await check(checks, "bank.test", "x.slow.test", "h.slow.test", more)
        assert found.verdict.action is Action.JUNK
        # Eight keys, two records of SPF, the policy: side by side, so in any order.
        assert "_dmarc.bank.test." in server.asked[: signers + 3]

    play(scene)


def test_where_dns_is_dead_a_mail_that_could_be_refused_comes_again() -> None:
    async def scene(server: Dns, checks: Checks, clock: FakeClock) -> None:
        known = await check(checks, "known.test")
        server.is_dead = True
        lost = await asyncio.gather(*[check(checks, f"bank{n}.test") for n in range(8)])
        sent = len(server.asked)
        later = await asyncio.gather(*[check(checks, f"shop{n}.test") for n in range(50)])
        assert len(server.asked) == sent
        for one in (*lost, *later):
            assert one.action is Action.DEFER
            why = why_refused(one)
            assert why is RefusalReason.DNS_LATER
            assert str(refusal(NotAccepted(why))).startswith("451 4.4.3 ")
            (reason,) = [one for one in one.verdict.reasons if one.signal == "dmarc.not-asked"]
            assert "because of a temporary DNS error" in reason.text
        # What is known needs no server: the policy, and that nothing proves the mail.
        again = await check(checks, "known.test")
        assert (known.action, again.action) == (Action.JUNK, Action.JUNK)
        server.is_dead = False
        clock.advance(REST_MS)
        back = await check(checks, "bank1.test")
        assert back.action is Action.JUNK

    play(scene)


@pytest.mark.parametrize(("outage", "waits"), [("1h", True), ("10m", True), ("0s", False)])
def test_mail_is_not_deferred_for_ever(outage: str, waits: bool) -> None:
    """After ``dns.outage`` it is accepted, and what was not checked stands in its journey."""

    async def scene(server: Dns, checks: Checks, clock: FakeClock) -> None:
        server.is_dead = True
        first = await check(checks, "bank.test")
        assert (first.action is Action.DEFER) == waits
        clock.advance(3_600_000 if outage == "1h" else 600_000)
        later = await check(checks, "shop.test")
        assert later.action is Action.ACCEPT
        (event,) = [one for one in later.sender.events if one.check == "dmarc"]
        assert event.result == "temperror"

    play(scene, "100ms", outage=outage)


def test_a_policy_that_asks_for_nothing_defers_nothing() -> None:
    async def scene(server: Dns, checks: Checks, clock: FakeClock) -> None:
        server.policy = "v=DMARC1; p=none"
        await check(checks, "known.test")
        server.is_dead = True
        await check(checks, "other.test")
        found = await check(checks, "known.test", sender="sub.known.test")
        assert found.sender.dmarc is not None
        assert found.sender.dmarc.result == "temperror"
        assert found.action is Action.ACCEPT

    play(scene)


def test_a_domain_whose_own_servers_fail_is_not_deferred() -> None:
    """It was asked, and nobody knows when it will be back (decision 0007, law 3)."""

    async def scene(server: Dns, checks: Checks, clock: FakeClock) -> None:
        found = await check(checks, "d.slow.test")
        assert found.sender.dmarc is not None
        assert found.sender.dmarc.result == "temperror"
        assert found.action is Action.ACCEPT

    play(scene)
