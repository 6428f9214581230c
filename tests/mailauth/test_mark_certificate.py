"""Certificates for logos: the chain, the purpose, the name, and the one logo that is in them."""

from __future__ import annotations

import base64
import datetime
import gzip
import hashlib
from dataclasses import replace

import pytest
from cryptography.x509.oid import ObjectIdentifier

from kit.marks import (
    LOGO,
    LOGOTYPE,
    PURPOSE,
    SHA1,
    SHA256,
    MarkAuthority,
    MarkOrder,
    der,
    make_hash,
    make_image,
    make_logotype,
)
from zajil.mailauth.logotype import MAX_SVG, BadLogo, read_logotype
from zajil.mailauth.mark_certificate import MAX_BYTES, BadRoots, MarkRoots, verify_mark

NOW_S = 1_800_000_000
AUTHORITY = MarkAuthority()
ROOTS = MarkRoots(AUTHORITY.root)
NAMES = ("south.test", "default._bimi.south.test")
ORDER = MarkOrder()


def test_a_certificate_that_holds() -> None:
    mark = verify_mark(AUTHORITY.issue(), ROOTS, NAMES, NOW_S)
    assert (mark.svg, mark.name, mark.issuer) == (LOGO, "south.test", "Mark Authority")
    assert mark.expires_ms == 4_733_510_400_000
    both = replace(ORDER, names=("other.test", "DEFAULT._bimi.south.test"))
    mark = verify_mark(AUTHORITY.issue(both), ROOTS, NAMES, NOW_S)
    assert mark.name == "default._bimi.south.test"
    # The root may be in the file, too.
    assert verify_mark(AUTHORITY.issue() + AUTHORITY.root, ROOTS, NAMES, NOW_S)
    several = MarkRoots(MarkAuthority(number=2).root + AUTHORITY.root)
    assert verify_mark(AUTHORITY.issue(), several, NAMES, NOW_S)


def test_the_name_of_an_issuer_does_no_harm() -> None:
    odd = MarkAuthority("\u202eOdd\n \x07Name" + "x" * 40)
    mark = verify_mark(odd.issue(), MarkRoots(odd.root), NAMES, NOW_S)
    assert mark.issuer == "Odd Name" + "x" * 40


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (replace(ORDER, names=("north.test",)), "another domain"),
        (replace(ORDER, names=("*.test", "a.south.test", "xsouth.test")), "another domain"),
        (replace(ORDER, purposes=()), "does not hold"),
        (replace(ORDER, purposes=(ObjectIdentifier("1.3.6.1.5.5.7.3.1"),)), "does not hold"),
        (replace(ORDER, end=datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)), "does not hold"),
        (replace(ORDER, begin=datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)), "does not hold"),
        (replace(ORDER, logotype=None), "has no logo"),
        (replace(ORDER, logotype=b"\x30\x00"), "one logo"),
        (
            replace(ORDER, logotype=make_logotype(make_image(LOGO.replace(b"rect", b"image")))),
            "element that is not allowed",
        ),
    ],
)
def test_a_certificate_that_does_not_hold(order: MarkOrder, reason: str) -> None:
    with pytest.raises(BadLogo, match=reason):
        verify_mark(AUTHORITY.issue(order), ROOTS, NAMES, NOW_S)


def test_a_certificate_of_an_unknown_version() -> None:
    begin, end = b"-----BEGIN CERTIFICATE-----\n", b"\n-----END CERTIFICATE-----\n"
    leaf = AUTHORITY.issue(with_chain=False).removeprefix(begin).removesuffix(end)
    version = bytes.fromhex("a003020102")
    bad = base64.b64decode(leaf).replace(version, version[:-1] + b"\x05", 1)
    pem = begin + base64.encodebytes(bad).rstrip() + end
    with pytest.raises(BadLogo, match="cannot be read"):
        verify_mark(pem, ROOTS, NAMES, NOW_S)
    with pytest.raises(BadRoots):
        MarkRoots(pem)


def test_a_certificate_with_a_name_of_an_unknown_kind() -> None:
    # An x400Address, which nobody uses (RFC 5280 section 4.2.1.6).
    with pytest.raises(BadLogo, match="cannot be read"):
        verify_mark(AUTHORITY.issue(replace(ORDER, names=None)), ROOTS, NAMES, NOW_S)


def test_an_authority_that_is_not_trusted() -> None:
    other = MarkAuthority(number=2)
    with pytest.raises(BadLogo, match="does not hold"):
        verify_mark(other.issue(), ROOTS, NAMES, NOW_S)
    with pytest.raises(BadLogo, match="does not hold"):
        verify_mark(AUTHORITY.issue(with_chain=False), ROOTS, NAMES, NOW_S)
    limited = MarkAuthority(may_issue=False)
    with pytest.raises(BadLogo, match="does not hold"):
        verify_mark(limited.issue(), MarkRoots(limited.root), NAMES, NOW_S)
    # The certificate of an authority confirms nothing itself.
    with pytest.raises(BadLogo):
        verify_mark(AUTHORITY.root, ROOTS, NAMES, NOW_S)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"<html>",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        AUTHORITY.root * 9,
        AUTHORITY.issue() + b" " * MAX_BYTES,
    ],
)
def test_what_is_no_certificate(pem: bytes) -> None:
    with pytest.raises(BadLogo):
        verify_mark(pem, ROOTS, NAMES, NOW_S)


@pytest.mark.parametrize("pem", [b"", b"x", AUTHORITY.root[:200]])
def test_roots_that_cannot_be_read(pem: bytes) -> None:
    with pytest.raises(BadRoots):
        MarkRoots(pem)


OLD_MAC = LOGO.replace(b"\n", b"\r\n")
TOTALS = (hashlib.sha1(LOGO, usedforsecurity=False).digest(), hashlib.sha256(LOGO).digest())


@pytest.mark.parametrize(
    ("image", "svg"),
    [
        (make_image(media_type=b"image/svg+xml+gzip"), LOGO),
        (make_image(hashed=[make_hash(SHA1, TOTALS[0])]), LOGO),
        (make_image(hashed=[make_hash(SHA1, TOTALS[0]), make_hash(SHA256, TOTALS[1])]), LOGO),
        (make_image(hashed=[make_hash(b"\x55", b"x"), make_hash(SHA256, TOTALS[1])]), LOGO),
        (make_image(hashed=[make_hash(SHA256, TOTALS[1]), make_hash(SHA1, b"x" * 20)]), LOGO),
        # RFC 9399 section 7: of the text with LF at the ends of lines.
        (make_image(OLD_MAC, hashed=[make_hash(SHA256, TOTALS[1])]), OLD_MAC),
        (make_image(OLD_MAC), OLD_MAC),
        (
            make_image(
                packed=(packed := gzip.compress(LOGO)),
                hashed=[make_hash(SHA256, hashlib.sha256(packed).digest())],
            ),
            LOGO,
        ),
    ],
)
def test_the_logo_in_a_certificate(image: bytes, svg: bytes) -> None:
    assert read_logotype(make_logotype(image)) == svg


ISSUER_LOGO = der(0xA1, der(0xA0, der(0x30, make_image())))
BOMB = gzip.compress(b" " * 50_000_000)


@pytest.mark.parametrize(
    ("logotype", "reason"),
    [
        (make_logotype(make_image(), make_image()), "one logo"),
        (make_logotype(before=ISSUER_LOGO), "one logo"),
        (der(0x30, ISSUER_LOGO), "one logo"),
        (der(0x30, der(0xA2, der(0xA1, b""))), "one logo"),
        (make_logotype(make_image(hashed=[make_hash(SHA256, TOTALS[0])])), "by its hash"),
        (make_logotype(make_image(hashed=[])), "by its hash"),
        (make_logotype(make_image(hashed=[make_hash(b"\x55", b"x")])), "by its hash"),
        (
            make_logotype(
                make_image(hashed=[make_hash(SHA256, b"x" * 32), make_hash(SHA1, TOTALS[0])])
            ),
            "by its hash",
        ),
        (make_logotype(make_image(hashed=[der(0x04, b"x")])), "by its hash"),
        (make_logotype(make_image(hashed=[der(0x30, der(0x30), der(0x04))])), "by its hash"),
        (make_logotype(make_image(uris=[b"https://south.test/l.svg"])), "does not contain"),
        (make_logotype(make_image(uris=[b"data:image/png;base64,AAAA"])), "does not contain"),
        (make_logotype(make_image(uris=[b"data:image/svg+xml;base64,AAA"])), "not base64"),
        (make_logotype(make_image(uris=[b"data:image/svg+xml,%3Csvg/%3E"])), "does not contain"),
        (make_logotype(make_image(uris=[b"a", b"b"])), "one logo"),
        (make_logotype(make_image(media_type=b"image/png")), "does not contain"),
        (make_logotype(make_image(packed=LOGO)), "not packed"),
        (make_logotype(make_image(packed=gzip.compress(LOGO)[:-9])), "cut off"),
        (make_logotype(make_image(packed=gzip.compress(LOGO) + b"x")), "cut off"),
        (make_logotype(make_image(packed=BOMB)), "too large"),
        (make_logotype(make_image(b" " * (MAX_SVG + 1))), "too large"),
        (make_logotype(der(0x30)), "no details"),
        (make_logotype()[:-1], "not DER"),
        (make_logotype() + b"\x00", "not DER"),
        (b"", "one logo"),
        (b"\x30\x80\x00\x00", "not DER"),
        (b"\x30\x81\x01\x00", "not DER"),
        (b"\x30\x82\x00\xff" + b"x" * 255, "not DER"),
        (b"\x30\x88" + b"\xff" * 8, "not DER"),
        (der(0x30, *[der(0x05)] * 17), "not DER"),
    ],
)
def test_a_logotype_that_is_not_read(logotype: bytes, reason: str) -> None:
    with pytest.raises(BadLogo, match=reason):
        read_logotype(logotype)


def test_the_numbers_of_the_drafts() -> None:
    assert PURPOSE.dotted_string == "1.3.6.1.5.5.7.3.31"
    assert LOGOTYPE.dotted_string == "1.3.6.1.5.5.7.1.12"
