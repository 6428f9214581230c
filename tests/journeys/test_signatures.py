"""Signatures across the lab: right at the other end, after a rotation, and on the way on.

The keys are in the lab's own DNS, and the verifier is the one of port 25.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from kit.lab_process import LabDomain, LabProcess
from kit.mailbox import wait_for_message
from zajil.config.options_server import DnsOptions
from zajil.dns.flow import run_flow
from zajil.mailauth.arc import ArcFound, verify_arc
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.mailauth.dkim_verify import DkimFound, verify_dkim
from zajil.message.fields import read_fields, split_message
from zajil.net.system import SystemClock
from zajil.resolver.client import Resolver

BOTH = ["ed25519-sha256", "rsa-sha256"]


def send(writer: LabDomain, to: str, subject: str) -> None:
    account = writer.accounts[1]
    lines = [
        f"From: {account.address}",
        f"To: {to}",
        f"Subject: {subject}",
        "",
        "وصلت الرسالة  ",
        "",
    ]
    with writer.submission(account) as client:
        message = "\r\n".join(lines).encode()
        client.sendmail(account.address, [to], message, ["BODY=8BITMIME", "SMTPUTF8"])


def read(reader: LabDomain, subject: str) -> bytes:
    with reader.imap(reader.accounts[0]) as mailbox:
        return wait_for_message(mailbox, "SUBJECT", subject)


def verify(lab: LabProcess, message: bytes) -> tuple[Sequence[DkimFound], ArcFound]:
    """Ask the lab's DNS about every signature of a message."""
    end, start = split_message(message)
    header = message[:end]
    fields = read_fields(header)
    clock = SystemClock()

    def digests() -> BodyDigests:
        made = BodyDigests(body_needs(fields))
        made.feed(message[start:])
        return made

    async def ask() -> tuple[Sequence[DkimFound], ArcFound]:
        resolver = Resolver(
            DnsOptions(nameservers=(lab.described["nameserver"],)), clock, os.urandom
        )
        now_s = clock.now_ms() // 1000
        dkim = await run_flow(verify_dkim(header, fields, digests(), now_s), resolver.resolve)
        arc = await run_flow(verify_arc(header, fields, digests(), now_s), resolver.resolve)
        await resolver.close()
        return dkim, arc

    return asyncio.run(ask())


def test_what_north_signs_south_finds_right_until_the_key_is_revoked(
    lab: LabProcess, north: LabDomain, south: LabDomain
) -> None:
    send(north, south.accounts[0].address, "signed-first")
    first = read(south, "signed-first")
    found, _ = verify(lab, first)
    assert [(one.result, one.algorithm, one.domain) for one in found] == [
        ("pass", algorithm, "north.test") for algorithm in BOTH
    ]
    old = {one.selector for one in found}
    new = {
        key["selector"] for key in north.command("dkim", "rotate", "north.test", "--now")["keys"]
    }
    # Workers that missed the hint notice within a second; the mail that shows it is another one.
    signed_with: set[str] = set()
    for number in range(20):
        send(north, south.accounts[0].address, f"signed-again-{number}-")
        found, _ = verify(lab, read(south, f"signed-again-{number}-"))
        assert [one.result for one in found] == ["pass", "pass"]
        signed_with = {one.selector for one in found}
        if signed_with == new:
            break
    assert signed_with == new
    assert [one.result for one in verify(lab, first)[0]] == ["pass", "pass"]
    north.command("dkim", "revoke", "north.test", *old)
    found, _ = verify(lab, first)
    assert {(one.result, one.reason) for one in found} == {("permerror", "The key was revoked.")}


def test_the_arabic_domain_signs_too(lab: LabProcess, zajil: LabDomain, south: LabDomain) -> None:
    send(zajil, south.accounts[0].address, "signed-arabic")
    found, _ = verify(lab, read(south, "signed-arabic"))
    assert [(one.result, one.algorithm, one.domain) for one in found] == [
        ("pass", algorithm, zajil.ascii_domain) for algorithm in BOTH
    ]


def test_what_south_forwards_is_sealed(
    lab: LabProcess, north: LabDomain, south: LabDomain, zajil: LabDomain
) -> None:
    """The last server sees that north wrote it, and what south found before it went on."""
    south.command("alias", "add", "pigeons@south.test", zajil.accounts[0].address)
    send(north, "pigeons@south.test", "sealed-on-its-way")
    message = read(zajil, "sealed-on-its-way")
    dkim, arc = verify(lab, message)
    assert [one.result for one in dkim] == ["pass", "pass"]
    assert (arc.cv, arc.instances, arc.sealers) == ("pass", 1, ("south.test",))
    assert b"ARC-Authentication-Results: i=1; mx.south.test;" in message


def test_a_second_server_on_the_way_continues_the_chain(
    lab: LabProcess, north: LabDomain, south: LabDomain, zajil: LabDomain
) -> None:
    """RFC 8617 section 5.1: each seals what it found, the chain before it included."""
    zajil.command("alias", "add", "pigeons@زاجل.test", north.accounts[0].address)
    south.command("alias", "add", "far@south.test", "pigeons@زاجل.test")
    send(north, "far@south.test", "sealed-twice")
    message = read(north, "sealed-twice")
    dkim, arc = verify(lab, message)
    assert [one.result for one in dkim] == ["pass", "pass"]
    assert (arc.cv, arc.instances) == ("pass", 2)
    assert arc.sealers == ("south.test", zajil.ascii_domain)
    second = message.partition(b"ARC-Authentication-Results: i=2; ")[2].partition(b"\r\nARC-")[0]
    assert b"arc=pass" in second


def test_the_operator_sees_that_the_records_are_there(south: LabDomain) -> None:
    keys = south.command("dkim", "keys", "--check")["keys"]
    assert {key["in_dns"] for key in keys} == {"found"}
