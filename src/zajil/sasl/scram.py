"""SCRAM-SHA-256, server side (RFC 5802, RFC 7677): the password itself is not sent.

Laws:
- This module does not know whether the name exists: for an unknown name the caller passes keys that
  cannot match, and the exchange continues to its end.
- All keys are compared, each in constant time, so that the time does not reveal which one matched.
- A failed exchange ends at once. A final message with the reason is optional (RFC 5802 section
  7), and some clients cannot parse it: GNU SASL 2.2 reports a protocol error to its user.
- There is no channel binding: Python's ``ssl`` has no ``tls-exporter``, so PLUS is not offered.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Sequence
from typing import ClassVar

from zajil.core.value_class import value_class
from zajil.sasl.step import (
    MAX_LOGIN_SIZE,
    BadResponse,
    Challenge,
    Denied,
    KeysWanted,
    Proven,
    Step,
    read_text,
)

ITERATIONS = 4096
"""The least that RFC 7677 section 4 allows; enough, because the keys are made for generated
passwords alone: there is no dictionary that holds them."""
NONCE_SIZE = 18
"""Random bytes of our part of the nonce."""
MAX_NONCE_SIZE = 256
"""Octets of the client's part; RFC 5802 has no limit, real ones have 18 to 48."""

# RFC 5802 section 7: printable ASCII without the comma.
_PRINTABLE = rb"[\x21-\x2b\x2d-\x7e]"
_SASLNAME = rb"(?:[^\x00,=]|=2C|=3D)+"
_GS2_HEADER = re.compile(
    rb"(?P<flag>[ny]|p=[A-Za-z0-9.-]+),(?:a=(?P<authzid>%b))?," % _SASLNAME, re.DOTALL
)
_CLIENT_FIRST_BARE = re.compile(
    rb"n=(?P<name>[^,]*),r=(?P<nonce>%b+)(?:,[A-Za-z]=[^\x00,]+)*" % _PRINTABLE, re.DOTALL
)
_CLIENT_FINAL = re.compile(
    rb"(?P<unproved>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>%b+)(?P<more>(?:,[A-Za-z]=[^\x00,]+)*))"
    rb",p=(?P<proof>[A-Za-z0-9+/]+={0,2})" % _PRINTABLE,
    re.DOTALL,
)


@value_class(frozen=True, slots=True)
class ScramKey:
    """What is kept of one password; it proves one, and does not give it away."""

    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        """Leave out the keys: this may reach a log."""
        return "ScramKey()"


@value_class(frozen=True, slots=True)
class ScramKeys:
    """The keys behind one name: they share salt and iterations, because the client hashes once."""

    salt: bytes
    iterations: int
    keys: tuple[ScramKey, ...]


def derive_key(password: str, salt: bytes, iterations: int = ITERATIONS) -> ScramKey:
    """Return what is kept of a password. (RFC 5802 section 3)

    Args:
        password: prepared already; of a generated one every preparation is the same.
        salt: of the name.
        iterations: the work factor.
    """
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = _mac(salted, b"Client Key")
    return ScramKey(hashlib.sha256(client_key).digest(), _mac(salted, b"Server Key"))


class Scram:
    """One exchange: name and nonce, keys, proof.

    Args:
        nonce: our part, as base64 or any printable text without a comma; new for each exchange.
    """

    name: ClassVar[str] = "SCRAM-SHA-256"

    def __init__(self, nonce: str) -> None:
        self._own_nonce = nonce.encode("ascii")
        self._gs2_header = b""
        self._client_first_bare = b""
        self._nonce = b""
        self._server_first = b""
        self._keys: Sequence[ScramKey] | None = None

    def start(self, initial: bytes | None) -> Step:
        """Read the client's first message, or ask for it with an empty challenge."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """Read the client's first message, then its last."""
        return self._read_first(data) if self._keys is None else self._read_final(data)

    def take_keys(self, keys: ScramKeys) -> Step:
        """Go on with the keys of the name that ``KeysWanted`` gave."""
        self._keys = keys.keys
        self._server_first = b"r=%b,s=%b,i=%d" % (
            self._nonce,
            b64encode(keys.salt),
            keys.iterations,
        )
        return Challenge(self._server_first)

    def _read_first(self, data: bytes) -> Step:
        header = _GS2_HEADER.match(data)
        if header is None:
            return BadResponse("no GS2 header")
        # "y" is a client that would bind, and thinks that we cannot: it is right, and goes on.
        if header["flag"][:1] == b"p":
            return Denied("channel-binding-not-supported", wrong=False)
        bare = data[header.end() :]
        if bare.startswith(b"m="):
            return Denied("extensions-not-supported", wrong=False)
        first = _CLIENT_FIRST_BARE.fullmatch(bare)
        if first is None or len(first["nonce"]) > MAX_NONCE_SIZE:
            return BadResponse("not a first message of SCRAM")
        login = read_saslname(first["name"])
        authorization_id = read_saslname(header["authzid"]) if header["authzid"] else ""
        if login is None or authorization_id is None:
            return Denied("invalid-username-encoding", wrong=False)
        self._gs2_header = header[0]
        self._client_first_bare = bare
        self._nonce = first["nonce"] + self._own_nonce
        return KeysWanted(login, authorization_id)

    def _read_final(self, data: bytes) -> Step:
        final = _CLIENT_FINAL.fullmatch(data)
        if final is None:
            return BadResponse("not a last message of SCRAM")
        if final["more"].startswith(b",m="):
            return Denied("extensions-not-supported", wrong=False)
        # Security: what the first message said of binding is what the proof is about. A "p" that
        # somebody turned into a "n" or "y" on the way is noticed here (RFC 5802 section 6).
        if not hmac.compare_digest(final["binding"], b64encode(self._gs2_header)):
            return Denied("channel-bindings-dont-match", wrong=False)
        if not hmac.compare_digest(final["nonce"], self._nonce):
            return Denied("other-error", wrong=False)
        proof = _decode(final["proof"])
        if proof is None or len(proof) != hashlib.sha256().digest_size:
            return Denied("invalid-encoding", wrong=False)
        about = b",".join((self._client_first_bare, self._server_first, final["unproved"]))
        return self._check(proof, about)

    def _check(self, proof: bytes, about: bytes) -> Step:
        matched: int | None = None
        for place, key in enumerate(self._keys or ()):
            signature = _mac(key.stored_key, about)
            client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
            if hmac.compare_digest(hashlib.sha256(client_key).digest(), key.stored_key):
                matched = place
        if matched is None or self._keys is None:
            return Denied("invalid-proof")
        return Proven(matched, b"v=" + b64encode(_mac(self._keys[matched].server_key, about)))


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def read_saslname(data: bytes) -> str | None:
    """Undo the encoding of a name; ``None``: it is none. (RFC 5802 section 5.1)"""
    if b"=" in data.replace(b"=2C", b"").replace(b"=3D", b""):
        return None
    return read_text(data.replace(b"=2C", b",").replace(b"=3D", b"="), MAX_LOGIN_SIZE)


def _decode(data: bytes) -> bytes | None:
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except binascii.Error:
        return None
