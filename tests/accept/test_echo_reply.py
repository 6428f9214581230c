"""Which messages an echo address answers (RFC 3834)."""

from __future__ import annotations

import pytest

from zajil.accept.echo_reply import EchoRequest, read_request, write_answer
from zajil.core.address import Address
from zajil.message.fields import read_fields, split_message

HOST = "mx.south.test"
RESULTS = f"Authentication-Results: {HOST};\r\n spf=pass smtp.mailfrom=a@north.test;\r\n dmarc=pass"
GOOD = (
    "Return-Path: <a@north.test>\r\n"
    f"{RESULTS} header.from=north.test\r\n"
    "From: A <a@north.test>\r\nTo: echo@south.test\r\nSubject: Hello\r\n"
    "Message-ID: <1@north.test>\r\n"
)


def request(header: str) -> EchoRequest | str:
    return read_request(header.encode() + b"\r\nText\r\n", HOST)


def test_a_message_of_a_person_is_answered() -> None:
    found = request(GOOD)
    assert isinstance(found, EchoRequest)
    assert str(found.sender) == "a@north.test"
    assert found.checks == "spf=pass dmarc=pass"
    answer = write_answer(
        found, Address("echo", "south.test"), hostname=HOST, unique="m1", now_ms=1_795_000_000_000
    )
    end, _ = split_message(answer)
    fields = {one.name: one.value for one in read_fields(answer[:end])}
    assert fields[b"auto-submitted"].strip() == b"auto-replied"
    assert fields[b"in-reply-to"].strip() == b"<1@north.test>"
    assert fields[b"subject"].strip() == b"Echo: Hello"
    assert b"Authentication-Results: mx.south.test;" in answer


@pytest.mark.parametrize(
    "line",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated",
        "Precedence: bulk",
        "List-Id: <list.test>",
        "Content-Type: multipart/report; report-type=delivery-status",
    ],
)
def test_what_a_program_sent_is_not(line: str) -> None:
    assert request(GOOD + line + "\r\n") == "A program sent it (RFC 3834)."
    assert isinstance(request(GOOD + "Auto-Submitted: no\r\n"), EchoRequest)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Return-Path: <a@north.test>", "Return-Path: <>"),
        ("Return-Path: <a@north.test>", "X: y"),
        ("Return-Path: <a@north.test>", "Return-Path: <mailer-daemon@north.test>"),
        ("Return-Path: <a@north.test>", "Return-Path: <echo@north.test>"),
        ("Return-Path: <a@north.test>", "Return-Path: <not an address>"),
        ("spf=pass", "spf=fail"),
        (HOST, "mx.attacker.test"),
        (RESULTS, "X: y"),
    ],
)
def test_what_is_not_proven_is_not(old: str, new: str) -> None:
    header = GOOD.replace(old, new)
    if "fail" in new:
        header = header.replace("dmarc=pass", "dmarc=fail")
    assert isinstance(request(header), str)


def test_dmarc_proves_the_domain_of_the_author_only() -> None:
    forwarded = GOOD.replace("spf=pass", "spf=softfail")
    assert isinstance(request(forwarded), EchoRequest)
    other = forwarded.replace("Return-Path: <a@north.test>", "Return-Path: <victim@east.test>")
    assert isinstance(request(other), str)


def test_our_own_user_has_logged_in() -> None:
    header = GOOD.replace(
        RESULTS + " header.from=north.test", f"Authentication-Results: {HOST}; auth=pass"
    )
    assert isinstance(request(header), EchoRequest)


def test_odd_headers_do_not_break_the_answer() -> None:
    odd = GOOD.replace("Hello", "=?utf-8?q?a=0D=0AX-Bad:_1?=").replace(
        "<1@north.test>", "<" + "x" * 2000 + ">"
    )
    found = read_request(odd.encode() + b"X-Odd: \xff\x1b[31m\r\n\r\n", HOST)
    assert isinstance(found, EchoRequest)
    answer = write_answer(
        found, Address("echo", "south.test"), hostname=HOST, unique="m1", now_ms=1_795_000_000_000
    )
    end, _ = split_message(answer)
    assert b"x-bad" not in {one.name for one in read_fields(answer[:end])}
    assert b"\x1b" not in answer
