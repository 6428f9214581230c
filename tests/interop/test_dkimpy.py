"""dkimpy verifies what we sign, and we verify what it signs; its own test data on request."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from kit.dkim import (
    NOW_S,
    ed25519_key,
    pem_of,
    record_of,
    results_of,
    rsa_key,
    sign,
    verify,
    zone_of,
)
from zajil.mailauth.dkim_sign import SigningKey

dkim = pytest.importorskip("dkim", reason="needs dkimpy (pip install dkimpy[ed25519])")

LETTER = (
    b"From: Amal <amal@north.test>\r\nTo: Noor <noor@south.test>,\r\n  more@south.test\r\n"
    b"Subject:  two  spaces\t\r\nDate: Mon, 23 Nov 2026 19:09:21 +0000\r\nX-Empty:\r\n"
    b"\r\nHello  \t there \r\n\t\r\n\r\nlast line\r\n\r\n\r\n"
)
PAIRS = [f"{header}/{body}" for header in ("simple", "relaxed") for body in ("simple", "relaxed")]
KEYS = [rsa_key(bits=2048), ed25519_key()]


def is_verified(message: bytes, key: SigningKey) -> bool:
    def answer(name: bytes, timeout: int = 5) -> bytes:
        assert name == f"{key.selector}._domainkey.{key.domain}.".encode()
        return record_of(key).encode()

    return bool(dkim.verify(message, dnsfunc=answer))


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
@pytest.mark.parametrize("pair", PAIRS)
def test_it_verifies_what_we_sign(key: SigningKey, pair: str) -> None:
    signed = sign(LETTER, key, pair)
    assert is_verified(signed, key)
    assert not is_verified(signed.replace(b"last", b"lost"), key)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("is_partial", [False, True])
def test_we_verify_what_it_signs(key: SigningKey, pair: str, is_partial: bool) -> None:
    private = pem_of(key)
    if key.algorithm == "ed25519-sha256":
        private = base64.b64encode(bytes(range(32)))
    field = dkim.sign(
        LETTER,
        key.selector.encode(),
        key.domain.encode(),
        private,
        canonicalize=tuple(part.encode() for part in pair.split("/")),
        signature_algorithm=key.algorithm.encode(),
        length=is_partial,
    )
    signed = field + LETTER
    assert results_of(signed, zone_of(key), 1 << 39) == ["pass"]
    (found,) = verify(signed + b"more\r\n", zone_of(key), 1 << 39)
    assert found.result == ("pass" if is_partial else "fail")
    assert (found.signed_size is not None) == is_partial
    assert results_of(signed.replace(b"last", b"lost"), zone_of(key), 1 << 39) == ["fail"]


DATA = os.environ.get("DKIMPY_TEST_DATA", "")
_EXAMPLE_ED = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


@pytest.mark.skipif(not DATA, reason="needs DKIMPY_TEST_DATA: the folder dkim/tests/data of dkimpy")
@pytest.mark.parametrize(
    ("name", "results"),
    [
        ("rfc6376.signed.msg", ["pass", "pass"]),
        ("rfc6376.signed.rsa.msg", ["pass"]),
        ("rfc6376.signed.no_t.msg", ["fail"]),
        ("rfc6376.msg", []),
        ("test.message.baddomain", ["neutral"]),
    ],
)
def test_its_messages(name: str, results: list[str]) -> None:
    folder = Path(DATA)
    domain = "_domainkey.football.example.com"
    zone = {
        f"test.{domain}": {"TXT": [(folder / "test.txt").read_text()]},
        f"brisbane.{domain}": {"TXT": [_EXAMPLE_ED]},
    }
    message = (folder / name).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert results_of(message, zone) == results


@pytest.mark.skipif(not DATA, reason="needs DKIMPY_TEST_DATA: the folder dkim/tests/data of dkimpy")
@pytest.mark.parametrize(
    ("name", "result"),
    [("badversion.txt", "permerror"), ("badk.txt", "permerror"), ("test2.txt", "pass")],
)
def test_its_records(name: str, result: str) -> None:
    record = (Path(DATA) / name).read_text()
    private = (Path(DATA) / "test.private").read_bytes()
    field = dkim.sign(LETTER, b"test", b"example.com", private, signature_algorithm=b"rsa-sha256")
    zone = {"test._domainkey.example.com": {"TXT": [record]}}
    assert results_of(field + LETTER, zone, max(NOW_S, 1 << 33)) == [result]
