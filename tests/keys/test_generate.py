"""New keys."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kit.mail import NOON_MS
from zajil.keys.generate import choose_selector, generate_keys, load_private_key
from zajil.store.people.dkim_keys import KeyState


def test_a_pair_is_made_and_read_again() -> None:
    new = generate_keys(
        "north.test",
        ("rsa-sha256", "ed25519-sha256"),
        KeyState.ACTIVE,
        rsa_bits=2048,
        now_ms=NOON_MS,
    )
    rsa, ed = new.keys
    private = load_private_key(rsa.private_key)
    assert isinstance(private, RSAPrivateKey)
    public = load_der_public_key(rsa.public_key)
    assert isinstance(public, RSAPublicKey)
    assert public.key_size == 2048
    assert public.public_numbers() == private.public_key().public_numbers()
    other = load_private_key(ed.private_key)
    assert isinstance(other, Ed25519PrivateKey)
    assert other.public_key().public_bytes_raw() == ed.public_key
    assert len(ed.public_key) == 32


def test_a_selector_names_algorithm_and_day_and_is_never_taken_twice() -> None:
    """RFC 6376 section 3.1: a name that was used before may still be in somebody's memory."""
    first = choose_selector("rsa-sha256", 1_795_478_400_000, ())
    assert first == "rsa-20261124"
    second = choose_selector("rsa-sha256", 1_795_478_400_000, {first})
    assert second == "rsa-20261124-2"
    third = choose_selector("rsa-sha256", 1_795_478_400_000, {first, second})
    assert third == "rsa-20261124-3"


def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(ValueError, match="deserialize"):
        load_private_key(b"no key")
