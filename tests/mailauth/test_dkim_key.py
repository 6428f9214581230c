"""Keys in DNS (RFC 6376 section 3.6, RFC 8301 section 3.2, RFC 8463 section 4)."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from kit.dkim import ed25519_key, record_of, rsa_key, rsa_private
from kit.zone import run_flow_on_answers, run_flow_on_zone
from zajil.dns.flow import Answer, Outcome
from zajil.mailauth.dkim_key import (
    KeyRecord,
    KeyRefusal,
    find_key,
    is_signed_by,
    key_name,
    parse_key_record,
)


def packed(public: RSAPublicKey, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> str:
    return base64.b64encode(public.public_bytes(Encoding.DER, form)).decode()


def made(bits: int, exponent: int = 65537) -> str:
    """Give a public key of a size; nobody has the private half."""
    return packed(RSAPublicNumbers(exponent, (1 << (bits - 1)) | 1).public_key())


@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_both_forms_of_rsa(form: PublicFormat) -> None:
    record = parse_key_record(f"p={packed(rsa_private(1024).public_key(), form)}")
    assert isinstance(record, KeyRecord)
    assert (record.kind, record.bits, record.is_testing, record.is_strict) == (
        *("rsa", 1024),
        *(False, False),
    )
    assert is_signed_by(record, b"x", base64.b64decode(rsa_key().sign(b"x")))
    assert not is_signed_by(record, b"y", base64.b64decode(rsa_key().sign(b"x")))
    assert not is_signed_by(record, b"x", b"short")


def test_ed25519() -> None:
    record = parse_key_record(record_of(ed25519_key()))
    assert isinstance(record, KeyRecord)
    assert (record.kind, record.bits) == ("ed25519", 256)
    assert is_signed_by(record, b"x", base64.b64decode(ed25519_key().sign(b"x")))
    assert not is_signed_by(record, b"y", base64.b64decode(ed25519_key().sign(b"x")))
    assert not is_signed_by(record, b"x", b"")


@pytest.mark.parametrize(
    ("bits", "result"),
    [(512, "policy"), (1023, "policy"), (1024, ""), (2048, ""), (4096, ""), (4097, "policy")],
)
def test_sizes(bits: int, result: str) -> None:
    """RFC 8301 section 3.2."""
    record = parse_key_record(f"v=DKIM1; p={made(bits)}")
    assert (record.result if isinstance(record, KeyRefusal) else "") == result


def test_a_large_exponent_costs_nothing() -> None:
    """Attack: an exponent of 2,000 bits makes each check a hundred times slower."""
    record = parse_key_record(f"p={made(2048, (1 << 2000) | 1)}")
    assert isinstance(record, KeyRefusal)


EC = base64.b64encode(
    new_ec_key(SECP256R1())
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()


@pytest.mark.parametrize(
    "text",
    [
        *("", "v=spf1 -all", "v=DKIM2; p=YQ==", "p=YQ==; v=DKIM1", "v=DKIM1 p=YQ==", "p=*"),
        *("p=YQ==", "k=ed25519; p=YQ==", "k=dsa; p=YQ==", f"k=rsa; p={EC}", f"k=ed25519; p={EC}"),
        *(f"p={made(1024)}; p={made(1024)}", f"p={made(1024)[:-9]}", "p=\u2603"),
        f"p={made(1024)}; n={'x' * 4096}",
    ],
)
def test_no_keys(text: str) -> None:
    record = parse_key_record(text)
    assert isinstance(record, KeyRefusal)
    assert record.result == "permerror"


def test_folded_and_noted() -> None:
    key = made(2048)
    record = parse_key_record(f" v = DKIM1 ; t=s : y; n=a note; p={key[:50]} \t{key[50:]};")
    assert isinstance(record, KeyRecord)
    assert record.is_testing
    assert record.is_strict


@given(st.text(max_size=80) | st.text("vkphst=;: DKIM1rsaYQ", max_size=60))
def test_never_raises(text: str) -> None:
    assert isinstance(parse_key_record(text), KeyRecord | KeyRefusal)


def test_find() -> None:
    name = key_name("north.test", "r")
    zone = {name: {"TXT": ["junk", "p=", record_of(rsa_key())]}}
    found = run_flow_on_zone(find_key("north.test", "r"), zone)
    assert len(found.records) == 1
    assert found.refusal is None
    assert found.input.startswith(f"TXT {name} -> junk, p=, v=DKIM1")


def test_many_records_are_not_all_tried() -> None:
    """Attack: a name with a thousand keys, each of which would be checked."""
    texts = tuple(f"p={made(1024)}; n={number}" for number in range(1000))
    found = run_flow_on_answers(
        find_key("north.test", "r"),
        lambda question: Answer(question=question, outcome=Outcome.FOUND, values=texts),
    )
    assert len(found.records) == 4
