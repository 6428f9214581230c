"""Verify messages (RFC 6376 section 6); the words are those of RFC 8601 section 2.7.1."""

from __future__ import annotations

import re

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
from kit.zone import run_flow_on_zone
from zajil.core.domain import to_ascii
from zajil.mailauth.dkim_body import BodyDigests, BodyNeed, body_needs
from zajil.mailauth.dkim_canon import SignedHeader
from zajil.mailauth.dkim_sign import SigningKey, seal_field
from zajil.mailauth.dkim_verify import DkimPolicy, verify_dkim
from zajil.message.fields import read_fields

DINNER = b"""\
From: Joe SixPack <joe@football.example.com>\r
To: Suzie Q <suzie@shopping.example.net>\r
Subject: Is dinner ready?\r
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r
\r
Hi.\r
\r
We lost the game.  Are you hungry yet?\r
\r
Joe.\r
"""
BOTH_SIGNED = (
    b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r
 subject : date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r
 date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r
"""
    + DINNER
)
BOTH_ZONE = {
    "brisbane._domainkey.football.example.com": {
        "TXT": ["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]
    },
    "test._domainkey.football.example.com": {
        "TXT": [
            "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
            "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
            "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
            "Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
        ]
    },
}
# RFC 6376 erratum 3192: one space in the body, two in Received; erratum 4926: six at each fold.
RSA_SIGNED = b"""\
DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r
      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r
      h=Received : From : To : Subject : Date : Message-ID;\r
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r
      4bmp/YzhwvcubU4=;\r
Received: from client1.football.example.com  [192.0.2.1]\r
      by submitserver.example.com with SUBMISSION;\r
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r
""" + DINNER.replace(b"game.  Are", b"game. Are")
RSA_ZONE = {
    "brisbane._domainkey.example.com": {
        "TXT": [
            "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJ"
            "W3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/R"
            "tdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPD"
            "dQPNUYckcQ2QIDAQAB"
        ]
    }
}
LETTER = (
    b"From: Amal <amal@north.test>\r\nTo: Noor <noor@south.test>\r\n"
    b"Subject: A  letter,\r\n\tfolded\r\nDate: Mon, 23 Nov 2026 19:09:21 +0000\r\n"
    b"\r\nHello \t Noor,\r\n\r\ncome home.\r\n"
)
PAIRS = [f"{header}/{body}" for header in ("simple", "relaxed") for body in ("simple", "relaxed")]
KEYS = [rsa_key(), ed25519_key()]


def test_rfc_8463_appendix_a() -> None:
    found = verify(BOTH_SIGNED, BOTH_ZONE)
    assert [(one.result, one.algorithm) for one in found] == [
        ("pass", "ed25519-sha256"),
        ("pass", "rsa-sha256"),
    ]
    assert [one.key_bits for one in found] == [256, 1024]


def test_rfc_6376_appendix_a() -> None:
    (found,) = verify(RSA_SIGNED, RSA_ZONE)
    assert (found.result, found.domain, found.selector) == ("pass", "example.com", "brisbane")
    assert found.identity == "joe@football.example.com"


def test_no_signature() -> None:
    assert verify(LETTER, {}) == ()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
@pytest.mark.parametrize("pair", PAIRS)
def test_what_changes_is_told(key: SigningKey, pair: str) -> None:
    signed, zone = sign(LETTER, key, pair), zone_of(key)
    (found,) = verify(signed, zone)
    assert found.result == "pass"
    assert found.reason == "The signature of north.test is valid."
    assert found.inputs == (
        f"TXT {key.selector}._domainkey.north.test -> {record_of(key)} (ttl 300)",
    )
    assert found.covers_from
    assert found.signed_size is None
    (found,) = verify(signed.replace(b"come home", b"stay away"), zone)
    assert found.result == "fail"
    assert found.reason == "The body was changed after north.test signed it (body hash mismatch)."
    (found,) = verify(signed.replace(b"Subject: A", b"Subject: No"), zone)
    assert found.result == "fail"
    assert "match: the header section was changed, or another key was used" in found.reason
    (found,) = verify(signed.replace(b"north.test>", b"evil.test>") + b"more\r\n", zone)
    assert found.result == "fail"
    assert "and the body were changed" in found.reason


@pytest.mark.parametrize("pair", PAIRS)
def test_white_space_on_the_way(pair: str) -> None:
    """RFC 6376 section 3.4.1 to 3.4.4: ``relaxed`` bears it, ``simple`` does not."""
    header, body = pair.split("/")
    signed, zone = sign(LETTER, KEYS[1], pair), zone_of(KEYS[1])
    refolded = signed.replace(b"Subject: A  letter,\r\n\tfolded", b"SUBJECT:A letter,  folded ")
    assert results_of(refolded, zone) == ["pass" if header == "relaxed" else "fail"]
    spaced = signed.replace(b"Hello \t Noor,\r\n", b"Hello Noor,  \r\n")
    assert results_of(spaced, zone) == ["pass" if body == "relaxed" else "fail"]
    assert results_of(signed + b"\r\n\r\n", zone) == ["pass"]


@pytest.mark.parametrize("pair", PAIRS)
def test_lines_that_end_in_lf(pair: str) -> None:
    """A header section whose CRLF became LF, as a file has it, is the one that was signed."""
    signed = sign(LETTER, KEYS[1], pair)
    head, _, body = signed.partition(b"\r\n\r\n")
    fields = read_fields(head.replace(b"\r\n", b"\n") + b"\n")
    digests = BodyDigests(_needs(head))
    digests.feed(body)
    flow = verify_dkim(head.replace(b"\r\n", b"\n") + b"\n", fields, digests, NOW_S)
    assert [one.result for one in run_flow_on_zone(flow, zone_of(KEYS[1]))] == ["pass"]


def _needs(head: bytes) -> tuple[BodyNeed, ...]:
    return body_needs(read_fields(head + b"\r\n"))


def test_all_signatures_in_order() -> None:
    other = ed25519_key("south.test", "s")
    signed = sign(sign(sign(LETTER, KEYS[0]), other), KEYS[1])
    found = verify(signed, zone_of(*KEYS, other))
    assert [(one.domain, one.selector, one.result) for one in found] == [
        ("north.test", "e", "pass"),
        ("south.test", "s", "pass"),
        ("north.test", "r", "pass"),
    ]


def test_a_signature_may_sign_another() -> None:
    """RFC 6376 section 3.5: ``h=`` may name others, and never means the signature itself."""
    names = [b"from", b"dkim-signature", b"dkim-signature"]
    twice = sign(sign(LETTER, KEYS[0]), KEYS[1], headers=names)
    assert results_of(twice, zone_of(*KEYS)) == ["pass", "pass"]
    assert results_of(twice.replace(b"a=rsa-sha256; c", b"a=rsa-sha256;  c"), zone_of(*KEYS)) == [
        "pass",
        "pass",
    ]
    changed = re.sub(rb"(t=\d+;)(.*\Z)", rb"\1 n=x;\2", twice, flags=re.DOTALL)
    assert results_of(changed, zone_of(*KEYS))[0] == "fail"


def test_repeated_fields_are_taken_from_below() -> None:
    """RFC 6376 section 5.4.2."""
    two = b"Comments: one\r\nComments: two\r\n" + LETTER
    signed = sign(two, KEYS[1], headers=[b"From", b"Comments"])
    zone = zone_of(KEYS[1])
    assert results_of(signed.replace(b"Comments: one", b"Comments: uno"), zone) == ["pass"]
    assert results_of(signed.replace(b"Comments: two", b"Comments: due"), zone) == ["fail"]


ZONE_OF_R = zone_of(KEYS[0])
R_NAME = "r._domainkey.north.test"
R_RECORD = record_of(KEYS[0])


@pytest.mark.parametrize(
    ("records", "result", "reason"),
    [
        (None, "temperror", "DNS lookup of r._domainkey.north.test failed (SERVFAIL)."),
        ({}, "permerror", "no key was found at r._domainkey.north.test."),
        ({"TXT": ["v=DKIM1; p="]}, "permerror", "The key was revoked."),
        ({"TXT": ["v=DKIM1; p"]}, "permerror", "The key record has no p= tag."),
        ({"TXT": ["k=rsa"]}, "permerror", "The key record has no p= tag."),
        ({"TXT": [record_of(KEYS[1])]}, "permerror", "The key is not valid for rsa-sha256."),
        ({"TXT": [R_RECORD + "; s=tlsrpt"]}, "permerror", "The key is not intended for mail."),
        ({"TXT": [R_RECORD + "; h=sha1"]}, "permerror", "The key does not allow SHA-256."),
        ({"TXT": [R_RECORD + "; s=email : other; h=sha1:sha256; n=note; g=*"]}, "pass", None),
        ({"TXT": [f"{R_RECORD}; x-hint=a; note; n=b; n=c; 1=\xff;;"]}, "pass", None),
        (
            {"TXT": [f"{R_RECORD}; k=rsa; k=rsa"]},
            "permerror",
            "The key record has the tag k= twice.",
        ),
        ({"TXT": ["", record_of(KEYS[1]), R_RECORD]}, "pass", None),
    ],
)
def test_keys(records: dict[str, list[str]] | None, result: str, reason: str | None) -> None:
    (found,) = verify(sign(LETTER, KEYS[0]), {R_NAME: records})
    assert found.result == result
    if reason:
        assert found.reason.casefold() == reason.casefold()


def test_no_name_at_all() -> None:
    (found,) = verify(sign(LETTER, KEYS[0]), {})
    assert (found.result, found.key_bits) == ("permerror", 0)
    assert found.inputs == ("TXT r._domainkey.north.test -> no such name",)


def test_testing() -> None:
    """RFC 6376 section 3.6.1: ``t=y`` is told, and what follows is for the caller."""
    zone = {R_NAME: {"TXT": [R_RECORD + "; t=y"]}}
    (found,) = verify(sign(LETTER, KEYS[0]) + b"more\r\n", zone)
    assert (found.result, found.is_testing) == ("fail", True)


def with_tag(key: SigningKey, tag: bytes, letter: bytes = LETTER) -> bytes:
    """Sign with one more tag, as another program would have written it."""
    plain = sign(letter, key)
    field = read_fields(plain)[0]
    unsigned = re.sub(rb" b=.*", b" b=", field.value, flags=re.DOTALL)
    text = tag + b";" + unsigned.lstrip()
    names = re.search(rb"h=([^;]*);", text)
    assert names
    listed = re.sub(rb"\s", b"", names[1]).split(b":")
    header = SignedHeader(letter, read_fields(letter[: letter.index(b"\r\n\r\n") + 2]))
    how = "relaxed" if b"c=relaxed" in text else "simple"
    signed = header.signed_bytes(listed, how)
    return seal_field(b"DKIM-Signature", b" " + text, signed, how, key) + letter


@pytest.mark.parametrize(
    ("identity", "flags", "result"),
    [
        (b"@north.test", "", "pass"),
        (b"amal@sub.NORTH.test", "", "pass"),
        (b"am=61l@sub.north.test", "s", "permerror"),
        (b"amal@north.test", "y:s", "pass"),
        (b"@test", "", "permerror"),
        (b"@evilnorth.test", "", "permerror"),
        (b"north.test", "", "neutral"),
        (b"", "", "neutral"),
    ],
)
def test_identity(identity: bytes, flags: str, result: str) -> None:
    """RFC 6376 section 3.5 and 3.6.1: ``i=`` is of ``d=`` or below, and with ``t=s`` not below."""
    zone = {R_NAME: {"TXT": [R_RECORD + (f"; t={flags}" if flags else "")]}}
    (found,) = verify(with_tag(KEYS[0], b"i=" + identity), zone)
    assert found.result == result


def test_unknown_tags_and_notes_are_ignored() -> None:
    signed = with_tag(KEYS[1], b"zz=any thing; z=From:x=7C; q=dns/txt:other")
    assert results_of(signed, zone_of(KEYS[1])) == ["pass"]


@pytest.mark.parametrize(
    ("begin_s", "end_s", "result"),
    [
        (NOW_S, NOW_S + 1000, "pass"),
        (NOW_S - 5000, NOW_S - 100, "pass"),  # within the difference of clocks
        (NOW_S - 5000, NOW_S - 400, "policy"),
        (NOW_S + 200, None, "pass"),
        (NOW_S + 400, None, "policy"),
        (NOW_S, NOW_S, "neutral"),
    ],
)
def test_times(begin_s: int, end_s: int | None, result: str) -> None:
    signed = sign(LETTER, KEYS[1], now_s=begin_s, expires_s=end_s)
    assert results_of(signed, zone_of(KEYS[1])) == [result]


def test_part_of_a_body() -> None:
    """``l=``: what comes after the signed octets is told, and what is missing is a change."""
    size = len(b"Hello Noor,\r\n\r\ncome home.\r\n")
    signed = with_tag(KEYS[1], b"l=%d" % size)
    zone = zone_of(KEYS[1])
    (found,) = verify(signed, zone)
    assert (found.result, found.signed_size) == ("pass", None)
    (found,) = verify(signed + b"Buy!\r\n", zone)
    assert (found.result, found.signed_size) == ("pass", size)
    assert "only the first 27 bytes" in found.reason
    (found,) = verify(signed.removesuffix(b"home.\r\n"), zone)
    assert found.result == "fail"
    assert found.reason == "The body is shorter than the part that north.test signed (l=27)."


def test_international_names() -> None:
    """RFC 8616: U-labels in ``d=``, ``s=`` and ``i=`` mean their A-labels."""
    key = ed25519_key(to_ascii("رسائل.test"), to_ascii("مفتاح"))
    spelled = SigningKey("رسائل.test", "مفتاح", key.algorithm, key.private)
    (found,) = verify(sign(LETTER, spelled), zone_of(key))
    assert (found.result, found.domain, found.identity) == ("pass", key.domain, f"@{key.domain}")
    assert found.selector == key.selector
    (found,) = verify(with_tag(spelled, "i=أمل@بيت.رسائل.test".encode()), zone_of(key))
    assert (found.result, found.identity) == ("pass", f"أمل@{to_ascii('بيت')}.{key.domain}")


def test_past_the_limit() -> None:
    signed = LETTER
    for _ in range(4):
        signed = sign(signed, KEYS[1])
    zone = zone_of(KEYS[1])
    found = verify(signed, zone, policy=DkimPolicy(max_signatures=2))
    assert [one.result for one in found] == ["pass", "pass", "policy"]
    assert found[2].reason == "Only the first 2 signatures were verified; 2 more were ignored."
    assert found[2].domain == "north.test"
