"""Web Push: the example of RFC 8291, keys that are none, and the token of the server."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kit.push import PushBrowser, bare, read_token, unbare
from zajil.read.web_push import (
    BadPushKey,
    PushKeys,
    ServerKey,
    decode_base64url,
    encrypt_push,
    encrypt_with,
)

# RFC 8291 section 5 and appendix A
PLAIN = b"When I grow up, I want to be a watermelon"
BROWSER = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
OURS = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6"
    "TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulc"
    "y4a-fN"
)


def test_the_example_of_rfc_8291() -> None:
    private = ec.derive_private_key(int.from_bytes(unbare(OURS), "big"), ec.SECP256R1())
    keys = PushKeys(unbare(BROWSER), unbare(AUTH))
    assert bare(encrypt_with(PLAIN, keys, unbare(SALT), private)) == BODY


def test_each_message_has_a_key_and_a_salt_of_its_own() -> None:
    keys = PushKeys(unbare(BROWSER), unbare(AUTH))
    one, other = [encrypt_push(PLAIN, keys, os.urandom) for _ in range(2)]
    assert one[:16] != other[:16]
    assert one[21:86] != other[21:86]


@pytest.mark.parametrize(
    ("point", "auth"),
    [
        (b"", b"a" * 16),
        (b"\x04" + b"\0" * 64, b"a" * 16),
        (b"\x04" + b"\xff" * 64, b"a" * 16),
        (b"\x02" + unbare(BROWSER)[1:33], b"a" * 16),
        (unbare(BROWSER), b"a" * 15),
        (unbare(BROWSER), b""),
    ],
)
def test_keys_that_are_none(point: bytes, auth: bytes) -> None:
    with pytest.raises(BadPushKey):
        encrypt_push(PLAIN, PushKeys(point, auth), os.urandom)


@pytest.mark.parametrize("text", ["%", "é", "A", "AA\n", "A" * 100, "\ud800"])
def test_text_that_is_no_base64url(text: str) -> None:
    with pytest.raises(BadPushKey):
        decode_base64url(text, 65)


def test_base64url_with_and_without_padding() -> None:
    assert decode_base64url("_-8=", 2) == decode_base64url("_-8", 2) == b"\xff\xef"


@pytest.mark.parametrize(
    "seed", [b"\0" * 32, b"\xff" * 32, b"some thirty-two bytes of a secret"[:32]]
)
def test_the_server_signs_who_it_is(seed: bytes) -> None:
    """RFC 8292 section 2, RFC 8292 section 3."""
    key = ServerKey(seed)
    said = key.authorization("https://push.test:8443/a?b=c", "mailto:postmaster@y.test", 1_000_500)
    assert read_token(said, key.public) == {
        "aud": "https://push.test:8443",
        "exp": 1000 + 12 * 3600,
        "sub": "mailto:postmaster@y.test",
    }
    assert key.public == ServerKey(seed).public
    assert len(unbare(PushBrowser().fields("")["p256dh"])) == len(unbare(key.public)) == 65
