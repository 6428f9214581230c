"""The parsers of DKIM as targets of the fuzzer: a signature, a key record, a whole message."""

from __future__ import annotations

from contextlib import suppress

from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.dkim_body import BodyDigests, BodyNeed, body_needs
from zajil.mailauth.dkim_key import KeyRecord, KeyRefusal, parse_key_record
from zajil.mailauth.dkim_sign import CannotSign, sign_dkim
from zajil.mailauth.dkim_signature import BadSignature, parse_signature
from zajil.mailauth.dkim_verify import verify_dkim
from zajil.message.fields import read_fields, split_message
from zajil.testing.dkim import NOW_S, ed25519_key, record_of, results_of, sign, zone_of
from zajil.testing.fuzz import Target
from zajil.testing.mail import make_letter
from zajil.testing.zone import run_flow_on_answers

RESULTS = {"pass", "fail", "policy", "neutral", "temperror", "permerror"}


def dkim_targets() -> list[Target]:
    """Give the targets."""
    key = ed25519_key()
    signed = [sign(make_letter(), key, pair) for pair in ("simple/simple", "relaxed/relaxed")]
    fields = [read_fields(message)[0].value for message in signed]
    records = (record_of(key), "v=DKIM1; k=rsa; t=y:s; s=email:*; h=sha256; n=x; p=")
    tags = (b"; ", b"=", b"h=from:", b"l=1;", b"i=@", b"\r\n ", b"b=", b"bh=", b"x=9;", b"v=1;")
    return [
        Target("dkim-signature", _signature, tuple(fields), tags),
        Target("dkim-key", _key, tuple(text.encode() for text in records), (*tags, b"p=", b"k=")),
        Target("dkim-verify", _verify, tuple(signed), (*tags, b"From: x\r\n", b"\r\n\r\n")),
    ]


def _signature(data: bytes) -> None:
    with suppress(BadSignature):
        found = parse_signature(data)
        assert found.domain.isascii()
        assert b"from" in found.names


def _key(data: bytes) -> None:
    assert isinstance(parse_key_record(data.decode("latin-1")), KeyRecord | KeyRefusal)


def _verify(data: bytes) -> None:
    end, start = split_message(data)
    fields = read_fields(data[:end])
    whole, cut = BodyDigests(body_needs(fields)), BodyDigests(body_needs(fields))
    whole.feed(data[start:])
    for at in range(start, len(data), 7):
        cut.feed(data[at : at + 7])
    for need in body_needs(fields):
        assert whole.digest(need) == cut.digest(need)
    record = record_of(ed25519_key())

    def answer(question: Question) -> Answer:
        return Answer(question, Outcome.FOUND, (record, data[:200].decode("latin-1")))

    found = run_flow_on_answers(verify_dkim(data[:end], fields, whole, NOW_S), answer)
    assert {one.result for one in found} <= RESULTS
    _sign_and_verify(data)


def _sign_and_verify(data: bytes) -> None:
    """Whatever it is, if it has a From we can sign it, and what we sign we verify."""
    end, start = split_message(data)
    # Without an empty line, or where the first line continues none, a field on top changes what
    # stands below it.
    if end == start or data.startswith((b" ", b"\t")):
        return
    key = ed25519_key("our.test")
    digests = BodyDigests([BodyNeed("simple", "sha256", None)])
    digests.feed(data[start:])
    fields = read_fields(data[:end])
    with suppress(CannotSign):
        how = "simple/simple"
        field = sign_dkim(data[:end], fields, digests, key, now_s=NOW_S, canonicalization=how)
        assert results_of(field + data, zone_of(key))[0] == "pass"
