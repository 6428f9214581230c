from __future__ import annotations

from dataclasses import replace

import pytest

from kit.facts import make_facts
from kit.mail import make_message
from zajil.check.sender.result_fields import forged_ranges, result_field
from zajil.mailauth.authres import MethodResult
from zajil.message.fields import cut_ranges, split_message

FORGED = b"Authentication-Results: mx.north.test;\r\n\tdkim=pass\r\n"
FOREIGN = b"Authentication-Results: mx.south.test; spf=pass\r\n"


def test_forged_fields_are_cut_and_foreign_ones_stay() -> None:
    """RFC 8601 section 5."""
    letter = make_message(extra=b"X: y\r\n")
    facts = make_facts(FORGED + FOREIGN + FORGED + letter)
    body = facts.body if isinstance(facts.body, bytes) else facts.body.read_at(0, facts.size)
    assert cut_ranges(facts.header, forged_ranges(facts)) + body == FOREIGN + letter


def test_a_submission_does_not_give_the_log_in_name_away() -> None:
    """RFC 8601 section 2.7.4: smtp.auth may be told; every recipient would read it."""
    field = result_field(make_facts(make_message(), login="secret-login"), ())
    assert b"auth=pass smtp.mailfrom=" in field
    assert b"secret-login" not in field


def test_foreign_mail_has_no_results_yet() -> None:
    field = result_field(make_facts(make_message()), ())
    assert field == b"Authentication-Results: mx.north.test; none\r\n"


def kept_of(message: bytes, *, from_program: bool = False) -> bytes:
    facts = make_facts(message)
    if from_program:
        facts = replace(facts, peer=None)
    return cut_ranges(facts.header, forged_ranges(facts, lambda domain: domain == "north.test"))


@pytest.mark.parametrize(
    "forged",
    [
        b"Return-Path: <ceo@bank.test>\r\n",
        b"return-path :\r\n <ceo@bank.test>\r\n",
        b"Delivered-To: amal@north.test\r\n",
        b"Delivered-To: <x@y.test>, amal@NORTH.test\r\n",
        b"Received-SPF: pass (mx.north.test: bank.test designates 192.0.2.1)\r\n",
        b"BIMI-Indicator: PHN2Zy8+\r\n",
        b"BIMI-Location: v=BIMI1; l=https://bank.test/logo.svg\r\n",
        b"Authentication-Results\xa0: mx.north.test; dmarc=pass\r\n",
        b"\x01Authentication-Results: mx.north.test; dmarc=pass\r\n",
        b"Authentication-Results\r\n : mx.north.test; dmarc=pass\r\n",
        b"Authentication\x00-Results: mx.north.test; dmarc=pass\r\n",
        b"Return-Path\xc2\xa0: <ceo@bank.test>\r\n",
        b"\xe2\x80\x8bDelivered-To: amal@north.test\r\n",
        b"Received-SPF\x01: pass\r\n",
    ],
)
def test_fields_that_only_the_last_server_writes_are_cut(forged: bytes) -> None:
    """Whoever reads them in a mailbox here takes them for ours."""
    letter = make_message()
    header = letter[: split_message(letter)[0]]
    assert kept_of(b"X: y\r\n" + forged + letter) == b"X: y\r\n" + header
    assert kept_of(forged * 2 + letter) == header


@pytest.mark.parametrize(
    "field",
    [
        b"Delivered-To: amal@elsewhere.test\r\n",
        b"X-Original-To: amal@north.test\r\n",
        b"BIMI-Selector: v=BIMI1; s=default\r\n",
        b"Received: from x by y; today\r\n",
        b"ARC-Authentication-Results: i=1; mx.south.test; spf=pass\r\n",
        b"Authentication-Results-Original: mx.south.test; spf=pass\r\n",
        b"Authentication-Results\xa0: mx.south.test; spf=pass\r\n",
        b"garbage\r\n",
    ],
)
def test_what_others_wrote_on_the_way_stays(field: bytes) -> None:
    letter = make_message()
    assert kept_of(field + letter) == field + letter[: split_message(letter)[0]]


def test_what_a_program_in_front_of_us_found_out_stays() -> None:
    """LMTP: it has looked at the peer, and we cannot."""
    letter = make_message()
    header = letter[: split_message(letter)[0]]
    found = b"Received-SPF: pass\r\nBIMI-Indicator: PHN2Zy8+\r\n"
    forged = b"Return-Path: <x@y.test>\r\nDelivered-To: amal@north.test\r\n"
    assert kept_of(found + forged + letter, from_program=True) == found + header


def test_our_field_is_ascii_where_the_mail_came_without_smtputf8() -> None:
    found = (MethodResult("spf", "none", (("smtp.helo", "mxé.test"),)),)
    assert result_field(make_facts(make_message()), found).isascii()
    assert "mxé.test".encode() in result_field(make_facts(make_message(), smtputf8=True), found)
