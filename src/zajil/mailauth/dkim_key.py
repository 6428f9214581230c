"""Public keys in DNS, and what is checked with them (RFC 6376 section 3.6, RFC 8463, RFC 8301).

Laws:
- A record is parsed once and kept by its text; so is the key in it.
- ``find_key`` never raises on what DNS holds: what is wrong is a ``KeyRefusal``.
- Security: nothing that a record can say makes a check slow: size and exponent are bounded.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from zajil.core.value_class import value_class
from zajil.dns.flow import Flow, Outcome, Question
from zajil.mailauth.tag_list import BadTagList, parse_record_tags, read_base64, words_of

MIN_RSA_BITS = 1024
"""RFC 8301 section 3.2: what has less is not considered valid."""
MAX_RSA_BITS = 4096
"""RFC 8301 section 3.2: verifiers must take up to this; beyond, each check costs a stranger
nothing and us much."""
_MAX_EXPONENT_BITS = 33
"""Every key in use has 65537; one of 2000 bits makes a check a hundred times slower."""
_MAX_RECORD = 4096
"""Characters of a record: a key of 4096 bits takes 740."""
_MAX_RECORDS = 4
"""Records of one name that are looked at; more than one is already undefined (RFC 6376 section
3.6.2.2)."""

_MAX_INPUT = 2000
"""Characters of an answer that are told; a key of 4096 bits takes 900."""

KEY_TYPES = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
"""Algorithms that we verify, with the key each takes."""

_PADDING, _SHA256 = PKCS1v15(), SHA256()


@value_class(frozen=True, slots=True)
class KeyRecord:
    """A usable key."""

    kind: str
    """``rsa`` or ``ed25519``."""
    public: RSAPublicKey | Ed25519PublicKey
    bits: int
    is_testing: bool
    """``t=y``: the signer still tries; a failure means nothing."""
    is_strict: bool
    """``t=s``: only ``i=`` with exactly the domain of ``d=``."""


@value_class(frozen=True, slots=True)
class KeyRefusal:
    """Why there is no usable key."""

    result: str
    """``temperror``, ``permerror`` or ``policy`` (RFC 8601 section 2.7.1)."""
    reason: str
    """One sentence without its subject's dot: ``the key was revoked``."""


@value_class(frozen=True, slots=True)
class FoundKey:
    """What DNS had for a selector."""

    records: tuple[KeyRecord, ...]
    """Usable ones; more than one if the name has several records."""
    refusal: KeyRefusal | None
    """Set where there is none."""
    input: str
    """The answer as a line."""


def key_name(domain: str, selector: str) -> str:
    """Return the name that a key is published at (RFC 6376 section 3.6.2.1)."""
    return f"{selector}._domainkey.{domain}"


def find_key(domain: str, selector: str) -> Flow[FoundKey]:
    """Ask for the key of a selector.

    Args:
        domain: ASCII (A-labels).
        selector: the same.
    """
    answer = yield Question(key_name(domain, selector), "TXT")
    line = str(answer)
    if len(line) > _MAX_INPUT:
        line = f"{line[:_MAX_INPUT]}..."
    if answer.outcome is Outcome.FAILED:
        why = f" ({answer.detail})" if answer.detail else ""
        refusal = KeyRefusal("temperror", f"DNS lookup of {answer.question.name} failed{why}")
        return FoundKey((), refusal, line)
    if answer.outcome is not Outcome.FOUND or not answer.values:
        refusal = KeyRefusal("permerror", f"no key was found at {answer.question.name}")
        return FoundKey((), refusal, line)
    parsed = [parse_key_record(text) for text in answer.values[:_MAX_RECORDS]]
    records = tuple([record for record in parsed if isinstance(record, KeyRecord)])
    refusals = [record for record in parsed if isinstance(record, KeyRefusal)]
    return FoundKey(records, None if records else refusals[0], line)


def parse_key_record(text: str) -> KeyRecord | KeyRefusal:
    """Read one record (RFC 6376 section 3.6.1).

    Args:
        text: the joined strings of a TXT record, bytes above 127 as Latin-1.
    """
    if len(text) > _MAX_RECORD:
        return KeyRefusal("permerror", "the key record is too long")
    return _parse_kept(text)


_TAGS = frozenset({b"v", b"h", b"k", b"p", b"s", b"t"})
"""Those that say something; a note (``n=``) does not."""


@lru_cache(maxsize=1024)
def _parse_kept(text: str) -> KeyRecord | KeyRefusal:
    try:
        return _parse(text.encode("latin-1", "replace"))
    except BadTagList as error:
        return KeyRefusal("permerror", f"the key record {error}")


def _parse(text: bytes) -> KeyRecord | KeyRefusal:
    tags = parse_record_tags(text, _TAGS)
    if b"v" in tags and (next(iter(tags)) != b"v" or tags[b"v"] != b"DKIM1"):
        return KeyRefusal("permerror", "the key record has a version other than DKIM1")
    # RFC 6376 section 3.6.1: p= is required, and empty in a revoked key.
    packed = tags.get(b"p")
    if packed is None:
        return KeyRefusal("permerror", "the key record has no p= tag")
    if not packed:
        return KeyRefusal("permerror", "the key was revoked")
    services = words_of(tags.get(b"s", b"*"))
    if b"*" not in services and b"email" not in services:
        return KeyRefusal("permerror", "the key is not intended for mail")
    if b"h" in tags and b"sha256" not in words_of(tags[b"h"]):
        return KeyRefusal("permerror", "the key does not allow SHA-256")
    kind = tags.get(b"k", b"rsa")
    flags = words_of(tags.get(b"t", b""))
    loaded = _load(kind, read_base64(packed, "p"))
    if isinstance(loaded, KeyRefusal):
        return loaded
    bits = loaded.key_size if isinstance(loaded, RSAPublicKey) else 256
    return KeyRecord(kind.decode("ascii"), loaded, bits, b"y" in flags, b"s" in flags)


def _load(kind: bytes, packed: bytes) -> RSAPublicKey | Ed25519PublicKey | KeyRefusal:
    if kind == b"ed25519":
        # RFC 8463 section 4.2: the bare key, no structure around it.
        if len(packed) != 32:
            return KeyRefusal("permerror", "the key record contains no valid Ed25519 key")
        return Ed25519PublicKey.from_public_bytes(packed)
    if kind != b"rsa":
        return KeyRefusal("permerror", "the key record has an unknown key type")
    try:
        # SubjectPublicKeyInfo, as everybody publishes it, and RSAPublicKey, as RFC 6376 section
        # 3.6.1 says.
        key = load_der_public_key(packed)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey):
        return KeyRefusal("permerror", "the key record contains no valid RSA key")
    return _refuse_size(key) or key


def _refuse_size(key: RSAPublicKey) -> KeyRefusal | None:
    if key.key_size < MIN_RSA_BITS:
        return KeyRefusal(
            "policy", f"the key has {key.key_size} bits; at least {MIN_RSA_BITS} are required"
        )
    if key.key_size > MAX_RSA_BITS:
        return KeyRefusal(
            "policy", f"the key has {key.key_size} bits; at most {MAX_RSA_BITS} are supported"
        )
    if key.public_numbers().e.bit_length() > _MAX_EXPONENT_BITS:
        return KeyRefusal("policy", "the key has an unusual exponent")
    return None


def is_signed_by(record: KeyRecord, signed: bytes, value: bytes) -> bool:
    """Check the value of a signature over canonical bytes.

    Args:
        record: the key, of the kind that the signature's algorithm takes.
        signed: what is signed: canonical fields, the signature's own last.
        value: decoded ``b=``.
    """
    try:
        if isinstance(record.public, RSAPublicKey):
            record.public.verify(value, signed, _PADDING, _SHA256)
        else:
            # RFC 8463 section 3: PureEdDSA over the hash.
            record.public.verify(value, hashlib.sha256(signed).digest())
    except InvalidSignature:
        return False
    return True
