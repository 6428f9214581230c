"""Targets of the fuzzer for ARC, DMARC, BIMI and the results of others."""

from __future__ import annotations

import re
from contextlib import suppress

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.dkim import zone_of
from kit.fuzz import Target
from kit.mail import make_message
from kit.zone import Zone, run_flow_on_answers, run_flow_on_zone
from zajil.check.sender.author import find_authors
from zajil.dns.flow import Answer, Outcome, Question
from zajil.mailauth.arc import verify_arc
from zajil.mailauth.arc_seal import SEAL_NEED, claimed_cv, merge_results, seal_arc
from zajil.mailauth.authres_read import (
    payload_of,
    read_arc_results,
    read_instance,
    read_results,
)
from zajil.mailauth.bimi import look_up_bimi, parse_bimi_record, read_selector
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.mailauth.dkim_sign import CannotSign, SigningKey
from zajil.mailauth.dkim_verify import DkimFound
from zajil.mailauth.dmarc import DmarcQuery, check_dmarc, look_up_policies
from zajil.mailauth.dmarc_record import parse_dmarc_record
from zajil.mailauth.spf import SpfFound
from zajil.message.fields import Field, read_fields, split_message
from zajil.reports.dmarc.consent import find_consent

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
    b"v=BIMI1; s=winter",
)


_POLICIES = (
    b"v=DMARC1; p=reject; adkim=s; aspf=s; rua=mailto:r@south.test\nv=BIMI1; l=https://a.test/x",
    b"\nv=BIMI1; l=; a=\nv=DMARC1; p=quarantine; sp=reject; np=none; t=y; rua=mailto:x@other.test",
    b"\nv=BIMI1; l=http://[\nv=DMARC1; p=none; psd=n; rua=mailto:x@far.test,bad,mailto:y@z.test",
    b"\n\nv=DMARC1; rua=mailto:r@x.south.test\nv=DMARC1; p=reject; psd=y; fo=1:d:s:x",
    b"\nv=BIMI1; l=https://a.test/ x\n\nv=DMARC1; p=reject; psd=y; np=reject; sp=none",
)
_CHAIN_WORDS = (
    *(b"i=1; ", b"i=50;", b"cv=pass;", b"ARC-Seal: ", b"ARC-Message-Signature: ", b"; ", b"="),
    *(b"\r\n", b"\r\n\r\n", b"l=1;", b"h=from:arc-seal;", b"x=9;", b"c=simple;", b"h=;"),
)


def _chains() -> tuple[bytes, ...]:
    one = _seal(make_message())
    two = _seal(one, "pass")
    return (
        *(make_message(), one, two, _seal(two, "pass"), _seal(one, "fail"), one + one),
        *(one.replace(b"; cv=", b"; h=from; cv=", 1), two.replace(b"i=1", b"i=3", 1)),
        *(one.replace(b"A letter", b"Changed"), one.replace(b"Dear", b"Hello")),
        *(one.replace(b" c=relaxed/relaxed;", b""), two.replace(b"cv=none", b"cv=pass")),
        one.replace(b"ARC-Authentication-Results: i=1;", b"ARC-Authentication-Results: i=x;"),
        *(one.replace(b"h=", b"x=9; h=", 1), one.replace(b"cv=none", b"cv=fail")),
        b"".join([b"ARC-Seal: i=%d; cv=none\r\n" % (at % 50 + 1) for at in range(151)]) + one,
        one.replace(b"h=from", b"h=arc-seal:from"),
        b"Authentication-Results: mx.a.test; (x (y)) arc=pass\r\n" + one,
    )


def sender_targets() -> list[Target]:
    """Return the targets."""
    return [
        Target("authres-read", _results, _RESULTS, (b"(", b")", b'"', b"\\", b"; ", b"=", b".")),
        Target("dmarc-record", _record, _RECORDS, (b"; ", b"=", b"psd=y", b"rua=", b"!", b",")),
        Target("dmarc", _dmarc, _RECORDS, (b"\n", b"; psd=y", b"com", b".", b"v=DMARC1;")),
        Target("author", _author, _FROM, _FROM_WORDS),
        Target(
            "dmarc-zone", _policies, _POLICIES, (b"\n", b"; psd=y", b"v=DMARC1; ", b"rua="), cost=4
        ),
        Target("arc", _arc, _chains(), _CHAIN_WORDS),
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
    read_selector(data)


def _dmarc(data: bytes) -> None:
    """Whatever DNS holds, there is a result after a few questions."""
    texts = tuple(data.decode("latin-1").split("\n")[:4])
    odd = sum(data[:8])
    asked = 0

    def answer(question: Question) -> Answer:
        nonlocal asked
        asked += 1
        outcome = list(Outcome)[(odd + asked) % len(Outcome)]
        return Answer(
            question=question, outcome=outcome, values=texts if outcome is Outcome.FOUND else ()
        )

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
    """A chain is whole, broken or none, whatever DNS has; we can seal what came in any case."""

    def answer(question: Question) -> Answer:
        return Answer(question=question, outcome=Outcome.NO_NAME)

    header, fields, digests = _load(data)
    found = run_flow_on_answers(verify_arc(header, fields, digests, 1), answer)
    assert found.cv in ("none", "fail")
    found = run_flow_on_zone(verify_arc(header, fields, digests, 1), zone_of(_KEY))
    assert len(found.sealers) == (found.instances if found.cv == "pass" else 0)
    assert len(found.trusted_handlers(["north.test"])) == len(found.sealers)
    run_flow_on_zone(verify_arc(header, fields, digests, 1), {"k._domainkey.north.test": None})
    merge_results(fields, "mx.a.test")
    assert claimed_cv(fields, "mx.a.test") in (None, "none", "pass", "fail")
    _seal(data, "fail")
    with suppress(CannotSign):
        _seal(data, found.cv)
    named = {"authserv_id": "mx.a.test", "results": b"", "cv": "fail", "now_s": 1}
    with suppress(CannotSign):
        name = data[:20]
        seal_arc(header, fields, digests, _KEY, headers=[b"from", name], **named)  # type: ignore[arg-type]


def _policies(data: bytes) -> None:
    """Policies, one a line, at the domain, its logo, the one above it, and the public suffix."""
    texts = [*data.decode("latin-1").split("\n"), "", "", ""]
    zone: Zone = {
        "_dmarc.a.south.test": {"TXT": [texts[0]] if texts[0] else []},
        "default._bimi.a.south.test": {"TXT": [texts[1]]},
        "default._bimi.new.south.test": None,
        "_dmarc.south.test": {"TXT": [texts[2]]},
        "_dmarc.test": {"TXT": [texts[3]]},
        **{"a.south.test": {"A": ["192.0.2.1"]}, "silent.south.test": None},
        **{"_dmarc.silent.test": None, "_dmarc.x.silent.test": None},
        "south.test._report._dmarc.other.test": {"TXT": ["v=DMARC1; rua=mailto:z@other.test"]},
        "a.south.test._report._dmarc.far.test": None,
        "south.test._report._dmarc.far.test": {"TXT": ["v=DMARC1"]},
    }
    signed = [
        DkimFound(
            domain=domain,
            selector="s",
            algorithm="rsa-sha256",
            identity=f"@{domain}",
            result=result,
            reason="",
            covers_from=True,
        )
        for domain, result in (
            *(("south.test", "pass"), ("b.south.test", "temperror"), ("x.test", "pass")),
            *(("a.south.test", "fail"), ("far.example", "pass")),
        )
    ]
    for author in ("a.south.test", "silent.south.test", "new.south.test", "x.silent.test", "x.]"):
        run_flow_on_zone(look_up_bimi(author), zone)
        for result, domain in (("pass", "south.test"), ("temperror", author), ("fail", author)):
            spf = SpfFound(
                result=result,
                identity="mailfrom",
                domain=domain,
                explanation=None,
                reason="",
                inputs=(),
            )
            for dkim in ((), signed[:1], signed[1:]):
                query = DmarcQuery((author, "b.test"), spf, dkim, names_all=author != "x.]")
                book = run_flow_on_zone(look_up_policies(query.header_from), zone)
                for found in (
                    run_flow_on_zone(check_dmarc(query, book), zone),
                    run_flow_on_zone(check_dmarc(DmarcQuery((author,), spf, dkim)), zone),
                ):
                    assert found.reason
                    assert found.psd in "yun"
                    assert found.is_testing in (True, False)
                    assert isinstance(found.failure_to, tuple)
                    run_flow_on_zone(find_consent(author, found.report_to), zone)
    for text in texts[:4]:
        record = parse_dmarc_record(text)
        if record is not None:
            consent = run_flow_on_zone(find_consent("south.test", record.report_to), zone)
            assert all(one.is_ascii for one in consent.addresses)
