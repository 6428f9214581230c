"""Sign and verify whole messages in one line, with keys of the tests and those that RFCs print."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from kit.zone import Zone, run_flow_on_zone
from zajil.mailauth.dkim_body import BodyDigests, BodyNeed, body_needs
from zajil.mailauth.dkim_key import key_name
from zajil.mailauth.dkim_sign import SigningKey, sign_dkim, split_canonicalization
from zajil.mailauth.dkim_verify import DEFAULT_POLICY, DkimFound, DkimPolicy, verify_dkim
from zajil.message.fields import read_fields, split_message

NOW_S = 1_795_460_000
"""A day in November 2026."""


@cache
def rsa_private(bits: int) -> RSAPrivateKey:
    """Return the RSA key of this size, the same in the whole process; small ones are quick."""
    return generate_private_key(65537, bits)


def rsa_key(domain: str = "north.test", selector: str = "r", bits: int = 1024) -> SigningKey:
    """Return an RSA signing key."""
    return SigningKey(domain, selector, "rsa-sha256", rsa_private(bits))


def ed25519_key(domain: str = "north.test", selector: str = "e", seed: bytes = b"") -> SigningKey:
    """Return an Ed25519 signing key."""
    private = Ed25519PrivateKey.from_private_bytes(seed or bytes(range(32)))
    return SigningKey(domain, selector, "ed25519-sha256", private)


def record_of(key: SigningKey) -> str:
    """Return the text of the record that publishes a key."""
    public = key.private.public_key()
    if isinstance(key.private, RSAPrivateKey):
        kind, packed = "rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, packed = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k={kind}; p={base64.b64encode(packed).decode()}"


def zone_of(*keys: SigningKey) -> Zone:
    """Return a zone in which these keys are published."""
    return {key_name(key.domain, key.selector): {"TXT": [record_of(key)]} for key in keys}


def pem_of(key: SigningKey) -> bytes:
    """Return a private key as the file that programs read."""
    kind = PrivateFormat.PKCS8
    if isinstance(key.private, RSAPrivateKey):
        kind = PrivateFormat.TraditionalOpenSSL
    return key.private.private_bytes(Encoding.PEM, kind, NoEncryption())


def sign(
    message: bytes,
    key: SigningKey,
    canonicalization: str = "relaxed/relaxed",
    headers: Sequence[bytes] | None = None,
    now_s: int = NOW_S,
    expires_s: int | None = None,
) -> bytes:
    """Return a message with one more signature on top."""
    end, start = split_message(message)
    header = message[:end]
    _, body = split_canonicalization(canonicalization)
    digests = BodyDigests([BodyNeed(body, "sha256", None)])
    digests.feed(message[start:])
    field = sign_dkim(
        header,
        read_fields(header),
        digests,
        key,
        now_s=now_s,
        canonicalization=canonicalization,
        headers=headers,
        expires_s=expires_s,
    )
    return field + message


def verify(
    message: bytes, zone: Zone, now_s: int = NOW_S, policy: DkimPolicy = DEFAULT_POLICY
) -> tuple[DkimFound, ...]:
    """Verify a message that is here as a whole."""
    end, start = split_message(message)
    header = message[:end]
    fields = read_fields(header)
    digests = BodyDigests(body_needs(fields))
    digests.feed(message[start:])
    return run_flow_on_zone(verify_dkim(header, fields, digests, now_s, policy), zone)


def results_of(message: bytes, zone: Zone, now_s: int = NOW_S) -> list[str]:
    """Verify a message; only the words."""
    return [found.result for found in verify(message, zone, now_s)]
