"""Forged words about who sent a mail (attacks J, RFC 8601 section 5)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kit.facts import make_facts
from kit.zone import ZoneResolver
from zajil.check.sender.result_fields import forged_ranges
from zajil.check.sender.sender import check_sender
from zajil.config.options_check import CheckOptions
from zajil.mailauth.authres import write_field
from zajil.mailauth.authres_read import read_results
from zajil.mailauth.dkim_body import BodyDigests
from zajil.message.fields import cut_ranges, read_fields

LETTER = b"From: Sami <sami@south.test>\r\nSubject: hi\r\n\r\nHello.\r\n"


@pytest.mark.parametrize(
    "name", [b"mx.north.test", b"MX.NORTH.TEST.", b"(a) mx.north.test (b)", b'"mx.north.test"']
)
def test_a_field_that_bears_our_name_is_cut_out(name: bytes) -> None:
    forged = b"Authentication-Results: " + name + b"; dmarc=pass header.from=bank.test\r\n"
    facts = make_facts(forged + LETTER)
    kept = cut_ranges(facts.header, forged_ranges(facts))
    assert b"dmarc=pass" not in kept
    assert kept == LETTER[: LETTER.index(b"\r\n\r\n") + 2]


def test_the_field_of_another_is_left() -> None:
    facts = make_facts(b"Authentication-Results: mx.list.test; spf=pass\r\n" + LETTER)
    assert forged_ranges(facts) == []


@pytest.mark.parametrize(
    "claimed",
    [
        "x; dmarc=pass header.from=bank.test",
        "x\r\nAuthentication-Results: mx.north.test; dmarc=pass",
        'x" ; dmarc=pass',
        "x\u202egro.elpmaxe",
        "x (",
        "x\\",
    ],
)
def test_what_a_peer_calls_itself_stays_a_value(claimed: str) -> None:
    """The name in EHLO is the peer's; nothing of it may become a result of ours."""
    facts = replace(make_facts(LETTER), claimed_name=claimed, reverse_path=None)
    found = asyncio.run(
        check_sender(facts, BodyDigests(()), ZoneResolver({}).resolve, CheckOptions(), None)
    )
    written = write_field("mx.north.test", found.results)
    (field,) = read_fields(written)
    read = read_results(field.value)
    assert read is not None
    assert [(one.method, one.result) for one in read.results] == [
        (one.method, one.result) for one in found.results
    ]
    assert field.value.count(b"\n") == len(found.results)
    assert "\u202e".encode() not in written
