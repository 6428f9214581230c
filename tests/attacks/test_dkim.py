"""Signatures made to deceive, or to cost us time (attacks I and J)."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from kit.dkim import (
    NOW_S,
    ed25519_key,
    record_of,
    results_of,
    rsa_key,
    sign,
    verify,
    zone_of,
)
from kit.zone import run_flow_on_answers
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.dkim_body import MAX_SIGNATURES, BodyDigests, BodyNeed, body_needs
from zajil.mailauth.dkim_sign import CannotSign
from zajil.mailauth.dkim_verify import DkimFound, verify_dkim
from zajil.message.fields import read_fields, split_message

KEY = ed25519_key()
ZONE = zone_of(KEY)
LETTER = b"From: amal@north.test\r\nSubject: hello\r\n\r\nHello.\r\n"
GUARD_SECONDS = 20.0
"""Far above what any of it takes; what is not linear takes minutes."""


def verify_in_time(message: bytes, text: str = "") -> tuple[tuple[DkimFound, ...], list[Question]]:
    asked: list[Question] = []

    def answer(question: Question) -> Answer:
        asked.append(question)
        return Answer(question=question, outcome=Outcome.FOUND, values=(text or record_of(KEY),))

    began = time.process_time()
    end, start = split_message(message)
    fields = read_fields(message[:end])
    digests = BodyDigests(body_needs(fields))
    digests.feed(message[start:])
    found = run_flow_on_answers(verify_dkim(message[:end], fields, digests, NOW_S), answer)
    assert time.process_time() - began < GUARD_SECONDS
    return found, asked


# ---- deceit -------------------------------------------------------------------------------------


def test_what_is_added_behind_the_signed_length() -> None:
    """``l=``: the mail passes, and says which part of it anybody may have written."""
    dkim = pytest.importorskip("dkim", reason="needs dkimpy (pip install dkimpy[ed25519])")
    from kit.dkim import pem_of

    key = rsa_key()
    field = dkim.sign(LETTER, b"r", b"north.test", pem_of(key), length=True)
    (found,) = verify(field + LETTER + b"<a href=evil>", zone_of(key), 1 << 39)
    assert (found.result, found.signed_size) == ("pass", len(b"Hello.\r\n"))
    assert "the rest is not authenticated" in found.reason


def test_a_signed_length_of_nothing() -> None:
    """``l=0`` signs no body at all, and a length that is not there is no pass."""
    signed = sign(LETTER, KEY)
    zero = signed.replace(b" d=", b" l=0; d=", 1)
    (found,) = verify(zero, ZONE)
    assert (found.result, found.signed_size) == ("fail", 0)
    huge = signed.replace(b" d=", b" l=%b; d=" % (b"9" * 76), 1)
    assert results_of(huge, ZONE) == ["fail"]


@pytest.mark.parametrize("extra", [b"From: boss@north.test", b"FROM : x@y.test", b"Subject: pay"])
def test_a_second_field_above_what_our_users_sign(extra: bytes) -> None:
    """RFC 6376 section 8.15: fields that people see are signed once more than they occur."""
    assert results_of(extra + b"\r\n" + sign(LETTER, KEY), ZONE) == ["fail"]


@pytest.mark.parametrize("place", ["above", "below"])
def test_a_second_from_where_the_signer_did_not_expect_it(place: str) -> None:
    """It may pass, as RFC 6376 section 5.4.2 has it, but it does not speak for both."""
    signed = sign(LETTER, KEY, headers=[b"from", b"subject"])
    evil = b"From: boss@evil.test\r\n"
    if place == "below":
        signed = signed.replace(b"Subject: hello\r\n", b"Subject: hello\r\n" + evil)
        assert results_of(signed, ZONE) == ["fail"]
        return
    (found,) = verify(evil + signed, ZONE)
    assert (found.result, found.covers_from) == ("pass", False)


def test_an_old_mail_sent_again() -> None:
    """``x=`` ends a signature: whoever kept the mail cannot send it for ever."""
    signed = sign(LETTER, KEY, expires_s=NOW_S + 3600)
    assert results_of(signed, ZONE, NOW_S + 60) == ["pass"]
    assert results_of(signed, ZONE, NOW_S + 86_400) == ["policy"]


def test_an_expiry_that_was_taken_away() -> None:
    signed = sign(LETTER, KEY, expires_s=NOW_S + 3600)
    assert results_of(signed.replace(b" x=%d;" % (NOW_S + 3600), b""), ZONE) == ["fail"]


def test_the_domain_of_somebody_else() -> None:
    """A signature is worth as much as the key at its ``d=``; ``i=`` cannot lead elsewhere."""
    signed = sign(LETTER, KEY)
    assert results_of(signed.replace(b"d=north.test", b"d=south.test"), ZONE) == ["permerror"]
    other = signed.replace(b" d=", b" i=@bank.test; d=", 1)
    assert results_of(other, ZONE) == ["permerror"]


@pytest.mark.parametrize(
    "name",
    [b"a.test\r\n X: y", b"../etc", b"a.test;b", b"*.test", b"a.test\0", b"(a).test", b"[1.2.3.4]"],
)
@pytest.mark.parametrize("tag", [b"d", b"s"])
def test_names_that_are_none_are_never_asked_for(tag: bytes, name: bytes) -> None:
    value = {b"d": b"north.test", b"s": b"e", tag: name}
    field = b"DKIM-Signature: v=1; a=ed25519-sha256; d=%b; s=%b; h=from; bh=YQ==; b=YQ==\r\n"
    found, asked = verify_in_time(field % (value[b"d"], value[b"s"]) + LETTER)
    assert [one.result for one in found] == ["neutral"]
    assert asked == []


def test_what_is_told_of_a_broken_signature_is_printable() -> None:
    """Log injection (attacks C): a reason, a domain or an algorithm holds no control character."""
    for junk in (b"\x1b[2J", b"\xe2\x80\xae", b"\r\n evil", b"\0", b"\xff"):
        field = b"DKIM-Signature: v=1; a=" + junk + b"; d=" + junk + b"; s=" + junk + b"\r\n"
        for one in verify_in_time(field + LETTER)[0]:
            told = (one.domain, one.selector, one.algorithm, one.identity, one.reason)
            assert all(text.isprintable() for text in told)


def test_we_never_sign_what_smuggles_a_field() -> None:
    for name in (b"from\r\nBcc", b"from; l=0", b"from:to", b"fr\0om", "از".encode()):
        with pytest.raises(CannotSign):
            sign(LETTER, KEY, headers=[b"from", name])


# ---- cost ---------------------------------------------------------------------------------------


def test_a_thousand_signatures() -> None:
    """Only the first are looked at, and each key is asked for once."""
    field = b"DKIM-Signature: v=1; a=ed25519-sha256; d=d%d.test; s=s; h=from; bh=YQ==; b=YQ==\r\n"
    many = b"".join(field % number for number in range(1000))
    found, asked = verify_in_time(many + LETTER)
    assert len(found) == MAX_SIGNATURES + 1
    assert len(asked) == MAX_SIGNATURES
    assert "992 more were ignored" in found[-1].reason
    found, asked = verify_in_time(sign(LETTER, KEY) * 7 + LETTER)
    assert len(asked) == 1


def _field(**tags: bytes) -> bytes:
    known = {"v": b"1", "a": b"ed25519-sha256", "d": b"north.test", "s": b"e", "h": b"from"}
    known |= {"bh": b"YQ==", "b": b"YQ=="} | tags
    listed = b"; ".join(name.encode() + b"=" + value for name, value in known.items())
    return b"DKIM-Signature: " + listed + b"\r\n"


HUGE = 250_000


@pytest.mark.parametrize(
    "field",
    [
        _field(h=b":".join([b"from"] * 10_000)),
        _field(h=b":".join(b"x%d" % number for number in range(10_000)) + b":from"),
        _field(h=b"from" + b":" * HUGE),
        _field(h=b"from" + b" \r\n " * (HUGE // 4)),
        _field(h=b"from:" + b"x" * HUGE),
        _field(b=b"A" * HUGE),
        _field(b=b"A\r\n " * (HUGE // 4)),
        _field(b=b"=" * HUGE),
        _field(bh=b" " * HUGE + b"="),
        _field(l=b"9" * HUGE),
        _field(t=b"9" * HUGE),
        _field(i=b"=40" * (HUGE // 3)),
        _field(i=b"@" * HUGE),
        _field(d=b"a." * (HUGE // 2) + b"test"),
        _field(d="أ".encode() * (HUGE // 2)),
        _field(s=b"xn--" * (HUGE // 4)),
        _field(z=b"|" * HUGE),
        b"DKIM-Signature: " + b";" * HUGE + b"\r\n",
        b"DKIM-Signature: " + b"a=1;" * (HUGE // 4) + b"\r\n",
        b"DKIM-Signature: " + b"".join(b"a%d=;" % number for number in range(HUGE // 8)) + b"\r\n",
        b"DKIM-Signature: " + b" \t" * (HUGE // 2) + b"=\r\n",
    ],
    ids=lambda field: f"{field[16:60]!r}...",
)
def test_giant_tags(field: bytes) -> None:
    for _ in range(2):
        found, _ = verify_in_time(field + LETTER)
        assert all(len(one.reason) < 500 for one in found)
        assert all(one.result != "pass" for one in found)


def test_a_header_of_many_equal_fields() -> None:
    """Ten thousand fields, all of them signed, by as many signatures as we look at."""
    fields = b"X: y\r\n" * 9_900
    names = b":".join([b"from", *[b"x"] * 9_900])
    found, _ = verify_in_time(_field(h=names) * MAX_SIGNATURES + fields + LETTER)
    assert [one.result for one in found] == ["fail"] * MAX_SIGNATURES


@pytest.mark.parametrize(
    "piece", [b" ", b"\t ", b"\r\n", b" \r\n", b"\r", b"\n", b"\r\r\n", b"x ", b"x  \r\n", b"\n\r"]
)
@pytest.mark.parametrize("size", [100, 1 << 20])
def test_bodies_of_white_space(piece: bytes, size: int) -> None:
    """Canonical form takes time that grows with the body and not faster, however it is cut."""
    needs = [BodyNeed(how, "sha256", limit) for how in ("simple", "relaxed") for limit in (None, 9)]
    body = piece * (2_000_000 // len(piece)) if size > 100 else piece * (100_000 // len(piece))
    began = time.process_time()
    digests = BodyDigests(needs)
    for at in range(0, len(body), size):
        digests.feed(body[at : at + size])
    assert all(digests.digest(need) for need in needs)
    assert time.process_time() - began < GUARD_SECONDS


def test_hashes_are_not_multiplied() -> None:
    """A signature for each length: a body is hashed for the first two of them, and no more."""
    many = b"".join(_field(l=b"%d" % number) for number in range(1, 9))
    found, _ = verify_in_time(many + LETTER)
    assert [one.result for one in found] == ["fail"] * 2 + ["policy"] * 6


def _records() -> list[tuple[str, Callable[[], str]]]:
    return [
        ("spaces", lambda: "p=" + " " * 60_000),
        ("tags", lambda: "a=1;" * 15_000),
        ("base64", lambda: "p=" + "A" * 60_000),
        ("services", lambda: "p=YQ==; s=" + ":" * 60_000),
        ("controls", lambda: "\0" * 60_000),
    ]


@pytest.mark.parametrize(("name", "text"), _records())
def test_giant_records(name: str, text: Callable[[], str]) -> None:
    found, _ = verify_in_time(sign(LETTER, KEY), text())
    assert found[0].result == "permerror", name
    assert len(found[0].reason) < 500


def test_large_answers_are_not_kept_whole() -> None:
    """What a stranger's DNS holds stands in the journey; it must not fill it."""
    found, _ = verify_in_time(sign(LETTER, KEY), "x" * 60_000)
    assert len(found[0].inputs[0]) < 5000
