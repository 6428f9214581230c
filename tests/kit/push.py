"""A browser that takes notifications: it reads what a push service was sent for it.

It follows RFC 8291 and RFC 8188 from the other end, with primitives only, so that what it reads
was not encrypted by its own mistakes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE = ec.SECP256R1()


def bare(data: bytes) -> str:
    """Return bytes in base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unbare(text: str) -> bytes:
    """Return the bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class PushBrowser:
    """The keys of one subscription."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(CURVE)
        self._auth = b"sixteen bytes ok"

    @property
    def point(self) -> bytes:
        """Return its public key."""
        return self._private.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )

    def fields(self, endpoint: str) -> dict[str, Any]:
        """Return what its page sends."""
        keys = {"p256dh": bare(self.point), "auth": bare(self._auth)}
        return {"action": "add", "endpoint": endpoint, **keys}

    def read(self, request: bytes) -> dict[str, Any]:
        """Return what a request to its endpoint says."""
        head, _, body = request.partition(b"\r\n\r\n")
        assert field(head, "content-encoding") == "aes128gcm"
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        point, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size
        other = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, point)
        shared = self._private.exchange(ec.ECDH(), other)
        info = b"WebPush: info\0" + self.point + point
        secret = _hkdf(self._auth, shared, info, 32)
        key = _hkdf(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _hkdf(salt, secret, b"Content-Encoding: nonce\0", 12)
        plain = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
        assert plain[-1:] == b"\x02"
        told: dict[str, Any] = json.loads(plain[:-1])
        return told


def field(request: bytes, name: str) -> str:
    """Return a header field of a request."""
    for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        key, _, value = line.decode().partition(": ")
        if key.lower() == name:
            return value
    raise AssertionError(f"no field {name}")


def read_token(authorization: str, key: str) -> dict[str, Any]:
    """Return the claims of a field Authorization, which this key must have signed."""
    scheme, _, rest = authorization.partition(" ")
    values = dict(one.strip().split("=", 1) for one in rest.split(","))
    assert (scheme, values["k"]) == ("vapid", key)
    signed, _, signature = values["t"].rpartition(".")
    raw = unbare(signature)
    public = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, unbare(key))
    whole = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public.verify(whole, signed.encode(), ec.ECDSA(SHA256()))
    head, claims = [json.loads(unbare(one)) for one in signed.split(".")]
    assert head == {"typ": "JWT", "alg": "ES256"}
    return dict(claims)


def _hkdf(salt: bytes, secret: bytes, info: bytes, size: int) -> bytes:
    """Return a key of at most one block."""
    pseudorandom = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(pseudorandom, info + b"\x01", hashlib.sha256).digest()[:size]
