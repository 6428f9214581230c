"""A message for a browser, as its push service takes it: encrypted, and signed by this server.

The content is encrypted for the browser (RFC 8291, content encoding of RFC 8188), so that the push
service can read nothing; the server names itself by a signed token (RFC 8292). Pure.
"""

from __future__ import annotations

import base64
import json
import struct
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from zajil.core.clock import Random
from zajil.core.errors import Invalid
from zajil.core.value_class import value_class

MAX_CONTENT = 3993
"""Bytes of the content: what a push service has to take (RFC 8291 section 4)."""
KEY_SIZE = 65
"""Bytes of a public key: a point, uncompressed."""
AUTH_SIZE = 16
"""Bytes of the secret that a browser gives with its key."""
_SALT_SIZE = 16
_RECORD_SIZE = 4096
_END_OF_LAST = b"\x02"
"""Delimiter of the last record. (RFC 8188 section 2)"""
_TOKEN_SECONDS = 12 * 3600
"""How long a token holds; 24 hours at most. (RFC 8292 section 2)"""
_CURVE = ec.SECP256R1()
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class BadPushKey(Invalid, ValueError):
    """The key of a browser is no point of P-256, or its secret has another length."""


@value_class(frozen=True, slots=True)
class PushKeys:
    """What a browser gives so that messages can be encrypted for it."""

    public_key: bytes
    """Point of P-256, uncompressed."""
    auth: bytes

    def check(self) -> None:
        """Do nothing if messages can be encrypted with these.

        Raises:
            BadPushKey: otherwise.
        """
        if len(self.auth) != AUTH_SIZE:
            raise BadPushKey("the secret has another length")
        _read_point(self.public_key)


class ServerKey:
    """The key that browsers know this server by. (RFC 8292 section 2)"""

    def __init__(self, seed: bytes) -> None:
        """Make it from 32 random bytes."""
        number = int.from_bytes(seed, "big") % (_ORDER - 1) + 1
        self._private = ec.derive_private_key(number, _CURVE)

    @property
    def public(self) -> str:
        """Return the public key in base64url: ``applicationServerKey`` of a page."""
        return encode_base64url(_write_point(self._private.public_key()))

    def authorization(self, endpoint: str, contact: str, now_ms: int) -> str:
        """Return the field Authorization of a request to an endpoint. (RFC 8292 section 3)

        Args:
            endpoint: URL.
            contact: URI by which the operators of a push service reach us.
            now_ms: the time.
        """
        place = urlsplit(endpoint)
        claims = {
            "aud": f"{place.scheme}://{place.netloc}",
            "exp": now_ms // 1000 + _TOKEN_SECONDS,
            "sub": contact,
        }
        signed = ".".join([_encode_json({"typ": "JWT", "alg": "ES256"}), _encode_json(claims)])
        signature = self._private.sign(signed.encode(), ec.ECDSA(SHA256()))
        r, s = decode_dss_signature(signature)
        token = f"{signed}.{encode_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
        return f"vapid t={token}, k={self.public}"


def encrypt_push(content: bytes, keys: PushKeys, random: Random) -> bytes:
    """Return the body of a request, in content encoding ``aes128gcm``. (RFC 8291 section 4)

    Args:
        content: at most ``MAX_CONTENT`` bytes.
        keys: of the browser.
        random: makes a salt and a key pair for this one message.

    Raises:
        BadPushKey: the browser gave a bad key.
    """
    salt = random(_SALT_SIZE)
    number = int.from_bytes(random(40), "big") % (_ORDER - 1) + 1
    return encrypt_with(content, keys, salt, ec.derive_private_key(number, _CURVE))


def encrypt_with(
    content: bytes, keys: PushKeys, salt: bytes, private: ec.EllipticCurvePrivateKey
) -> bytes:
    """Return the body of a request, made with this salt and key pair, which serve once."""
    keys.check()
    browser = _read_point(keys.public_key)
    own = _write_point(private.public_key())
    # RFC 8291 section 3.4
    info = b"WebPush: info\0" + keys.public_key + own
    secret = _derive(private.exchange(ec.ECDH(), browser), keys.auth, info, 32)
    # RFC 8188 section 2.2, RFC 8188 section 2.3
    key = _derive(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(secret, salt, b"Content-Encoding: nonce\0", 12)
    head = salt + struct.pack("!IB", _RECORD_SIZE, len(own)) + own
    return head + AESGCM(key).encrypt(nonce, content + _END_OF_LAST, None)


def encode_base64url(data: bytes) -> str:
    """Return bytes in base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode_base64url(text: str, most: int) -> bytes:
    """Return the bytes of base64url, with or without padding.

    Raises:
        BadPushKey: it is none, or has more than ``most`` bytes.
    """
    bare = text.rstrip("=")
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise BadPushKey("not base64url") from None
    if len(data) > most:
        raise BadPushKey("it is too long")
    return data


def _encode_json(value: dict[str, object]) -> str:
    return encode_base64url(json.dumps(value, separators=(",", ":")).encode())


def _derive(secret: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=size, salt=salt, info=info).derive(secret)


def _write_point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _read_point(data: bytes) -> ec.EllipticCurvePublicKey:
    if len(data) != KEY_SIZE or data[:1] != b"\x04":
        raise BadPushKey("not an uncompressed point")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, data)
    except ValueError:
        raise BadPushKey("not a point of P-256") from None
