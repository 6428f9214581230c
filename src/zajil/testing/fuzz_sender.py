"""Targets of the fuzzer for ARC, DMARC, BIMI and the results of others."""

from __future__ import annotations

import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from zajil.check.author import find_authors
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.arc import verify_arc
from zajil.mailauth.arc_seal import SEAL_NEED, merge_results, seal_arc
from zajil.mailauth.authres_read import (
    payload_of,
    read_arc_results,
    read_instance,
    read_results,
)
from zajil.mailauth.bimi import parse_bimi_record
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.mailauth.dkim_sign import SigningKey
from zajil.mailauth.dmarc import DmarcQuery, check_dmarc
from zajil.mailauth.dmarc_record import parse_dmarc_record
from zajil.message.fields import Field, read_fields, split_message
from zajil.testing.fuzz import Target
from zajil.testing.mail import make_letter
from zajil.testing.zone import run_flow_on_answers

_KEY = SigningKey(
    "north.test", "k", "ed25519-sha256", Ed25519PrivateKey.from_private_bytes(bytes(32))
)
_RESULTS = (
    b' mx.a.test; spf=pass smtp.mailfrom="a b"@c.test; dkim=fail reason="x; y" (c (d)) header.d=e',
    b" i=1; mx.a.test 1; dmarc=pass header.from=south.test; arc=none",
)
_FROM = (b"Joe ceo@bank.test", b'"a@b.test" <c@d.test>', b"=?utf-8?q?ceo=40bank=2Etest?=", b"a:b;")
_FROM_WORDS = (b"@", b"<", b">", b'"', b"(", b")", b"bank.test", b"%40", b",", b"=?", b"?=", b"\\")
_RECORDS = (
    b"v=DMARC1; p=reject; sp=none; np=quarantine; psd=n; t=y; rua=mailto:a@b.test!10m",
    b"v=BIMI1; l=https://a.test/x.svg; a=https://a.test/c.pem",
)


def sender_targets() -> list[Target]:
    """Give the targets."""
    words = (
        b"i=1; ",
        b"i=50;",
        b"cv=pass;",
        b"ARC-Seal: ",
        b"ARC-Message-Signature: ",
        b"; ",
        b"=",
    )
    return [
        Target("authres-read", _results, _RESULTS, (b"(", b")", b'"', b"\\", b"; ", b"=", b".")),
        Target("dmarc-record", _record, _RECORDS, (b"; ", b"=", b"psd=y", b"rua=", b"!", b",")),
        Target("dmarc", _dmarc, _RECORDS, (b"\n", b"; psd=y", b"com", b".", b"v=DMARC1;")),
        Target("author", _author, _FROM, _FROM_WORDS),
        Target("arc", _arc, (_seal(make_letter()), make_letter()), (*words, b"\r\n", b"\r\n\r\n")),
    ]


def _author(data: bytes) -> None:
    """Whatever stands in From, an address that a naive reader finds is an author or is shown."""
    found = find_authors(read_fields(b"From: " + data + b"\r\n"))
    assert all(domain == domain.lower() for domain in found.domains)
    plain = re.fullmatch(rb"[ \w]*<?[a-z]{1,9}@([a-z]{1,9}\.test)>*", data)
    assert plain is None or plain[1].decode() in found.domains


def _results(data: bytes) -> None:
    read_results(data)
    read_arc_results(data)
    read_instance(data)
    payload_of(data, "mx.a.test")


def _record(data: bytes) -> None:
    text = data.decode("latin-1")
    record = parse_dmarc_record(text)
    assert record is None or record.policy in ("none", "quarantine", "reject")
    parse_bimi_record(text)


def _dmarc(data: bytes) -> None:
    """Whatever DNS holds, there is a result after a few questions."""
    texts = tuple(data.decode("latin-1").split("\n")[:4])
    odd = sum(data[:8])
    asked = 0

    def answer(question: Question) -> Answer:
        nonlocal asked
        asked += 1
        outcome = list(Outcome)[(odd + asked) % len(Outcome)]
        return Answer(question, outcome, texts if outcome is Outcome.FOUND else ())

    authors = (f"a.b.{texts[0][:300]}", "x.south.test")
    found = run_flow_on_answers(check_dmarc(DmarcQuery(authors)), answer)
    assert found.result in ("pass", "fail", "none", "temperror", "permerror")
    assert asked < 40


def _load(message: bytes) -> tuple[bytes, list[Field], BodyDigests]:
    end, start = split_message(message)
    fields = read_fields(message[:end])
    digests = BodyDigests((*body_needs(fields), SEAL_NEED))
    digests.feed(message[start:])
    return message[:end], fields, digests


def _seal(message: bytes, cv: str = "none") -> bytes:
    header, fields, digests = _load(message)
    results = merge_results(fields, "mx.a.test")
    return (
        seal_arc(
            *(header, fields, digests, _KEY),
            authserv_id="mx.a.test",
            results=results,
            cv=cv,
            now_s=1,
        )
        + message
    )


def _arc(data: bytes) -> None:
    def answer(question: Question) -> Answer:
        return Answer(question, Outcome.NO_NAME)

    found = run_flow_on_answers(verify_arc(*_load(data), 1), answer)
    assert found.cv in ("none", "fail")
    _seal(data, "fail")
