"""Sign messages (RFC 6376 section 5, RFC 8463)."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ec_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.dkim import (
    NOW_S,
    ed25519_key,
    pem_of,
    results_of,
    rsa_key,
    rsa_private,
    sign,
    verify,
    zone_of,
)
from zajil.mailauth.dkim_sign import BadSigningKey, CannotSign, SigningKey, load_signing_key
from zajil.message.fields import read_fields

LETTER = (
    b"From: amal@north.test\r\nTo: noor@south.test\r\nSubject: x\r\nSubject: y\r\n\r\nhello\r\n"
)
KEYS = [rsa_key(), ed25519_key()]
PAIRS = [f"{header}/{body}" for header in ("simple", "relaxed") for body in ("simple", "relaxed")]

NAME = st.sampled_from([b"From", b"to", b"X-Odd", b"SUBJECT", b"Dkim-Signature"])
TEXT = st.sampled_from(
    [b" ", b"\t", b"\r\n ", b"a", b"b=", b";", b"bh=x", b"\x0b", b"\xd8\xb3", b"\r"]
)
FIELD = st.tuples(NAME, st.sampled_from([b":", b": ", b" :"]), st.lists(TEXT)).map(
    lambda parts: parts[0] + parts[1] + b"".join(parts[2]) + b"\r\n"
)
BODY = st.lists(st.sampled_from([b"\r\n", b" ", b"\t", b"x", b"--"])).map(b"".join)


@given(st.lists(FIELD, max_size=6), BODY, st.sampled_from(KEYS), st.sampled_from(PAIRS))
@settings(deadline=None)
def test_what_we_sign_we_verify(
    fields: list[bytes], body: bytes, key: SigningKey, pair: str
) -> None:
    message = b"".join(fields) + b"From: a@b.test\r\n" + b"\r\n" + body
    signed = sign(message, key, pair)
    assert signed.endswith(message)
    assert results_of(signed, zone_of(key))[0] == "pass"


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
def test_the_field_is_well_folded_and_reproducible(key: SigningKey) -> None:
    signed = sign(LETTER, key, expires_s=NOW_S + 60)
    assert signed == sign(LETTER, key, expires_s=NOW_S + 60)
    field = signed.removesuffix(LETTER)
    assert field.startswith(b"DKIM-Signature: v=1; a=")
    assert f" t={NOW_S}; x={NOW_S + 60};".encode() in field.replace(b"\r\n", b"")
    assert max(map(len, field.split(b"\r\n"))) <= 78
    assert len(read_fields(field)) == 1


def signed_names(signed: bytes) -> list[bytes]:
    found = re.search(rb"h=([^;]*);", signed)
    assert found
    return re.sub(rb"\s", b"", found[1]).split(b":")


def test_nothing_can_be_added() -> None:
    """RFC 6376 section 8.15: fields that people see are signed once more than they occur."""
    signed, zone = sign(LETTER, KEYS[1]), zone_of(KEYS[1])
    names = signed_names(signed)
    assert (names.count(b"from"), names.count(b"subject"), names.count(b"cc")) == (2, 3, 1)
    assert {b"received", b"return-path", b"authentication-results"}.isdisjoint(names)
    for extra in (b"From: evil@evil.test", b"Subject: z", b"Cc: x", b"MIME-Version: 1.0"):
        (found,) = verify(extra + b"\r\n" + signed, zone)
        assert found.result == "fail"
    for extra in (b"Received: x", b"Authentication-Results: y; none", b"List-Id: <l>"):
        (found,) = verify(extra + b"\r\n" + signed, zone)
        assert found.result == "pass"


def test_fields_of_lists_are_signed_where_they_are() -> None:
    """RFC 8058 section 4 wants both signed."""
    listed = b"List-Unsubscribe: <x>\r\nList-Unsubscribe-Post: y\r\n" + LETTER
    assert {b"list-unsubscribe", b"list-unsubscribe-post"} < set(
        signed_names(sign(listed, KEYS[1]))
    )
    assert b"list-unsubscribe" not in signed_names(sign(LETTER, KEYS[1]))


def test_exactly_these_fields() -> None:
    signed = sign(LETTER, KEYS[1], headers=[b"From", b"Subject", b"X"])
    assert signed_names(signed) == [b"from", b"subject", b"x"]
    (found,) = verify(b"From: evil@evil.test\r\n" + signed, zone_of(KEYS[1]))
    assert (found.result, found.covers_from) == ("pass", False)


@pytest.mark.parametrize(
    "names", [[], [b"to"], [b"from", b""], [b"from", b"a b"], [b"from", b"a;b=1"], [b"from:x"]]
)
def test_names_that_cannot_be_signed(names: list[bytes]) -> None:
    with pytest.raises(CannotSign):
        sign(LETTER, KEYS[1], headers=names)


def test_what_cannot_be_signed() -> None:
    with pytest.raises(CannotSign, match="no From"):
        sign(b"To: x\r\n\r\n", KEYS[1])
    with pytest.raises(CannotSign, match="canonicalization"):
        sign(LETTER, KEYS[1], "relaxed/none")
    assert results_of(sign(LETTER, KEYS[1], "relaxed"), zone_of(KEYS[1])) == ["pass"]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
def test_keys_in_pem(key: SigningKey) -> None:
    loaded = load_signing_key(pem_of(key), "north.test", key.selector)
    assert loaded.algorithm == key.algorithm
    assert sign(LETTER, loaded) == sign(LETTER, key)
    other = {"rsa-sha256", "ed25519-sha256"} - {key.algorithm}
    with pytest.raises(BadSigningKey, match=f"one for {key.algorithm}"):
        load_signing_key(pem_of(key), "north.test", "s", other.pop())


PKCS8 = PrivateFormat.PKCS8


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        (b"", "no private key in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key"),
        (
            rsa_private(1024).private_bytes(Encoding.PEM, PKCS8, BestAvailableEncryption(b"x")),
            "encrypted",
        ),
        (
            rsa_private(1024).public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1),
            "public key",
        ),
        (
            new_ec_key(SECP256R1()).private_bytes(Encoding.PEM, PKCS8, NoEncryption()),
            "neither RSA nor Ed25519",
        ),
    ],
)
def test_no_keys(pem: bytes, reason: str) -> None:
    with pytest.raises(BadSigningKey, match=reason):
        load_signing_key(pem, "north.test", "s")
