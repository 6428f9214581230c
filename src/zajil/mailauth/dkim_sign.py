"""Sign a message (RFC 6376 section 5, RFC 8463).

Laws:
- Nothing that is added on the way is signed: Received, Return-Path, Authentication-Results.
- The fields that people see are signed once more than they occur, so that nobody can add another
  (RFC 6376 section 8.15).
- The same arguments give the same bytes: RSA by PKCS #1 v1.5 and Ed25519 need no random numbers.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from zajil.core.errors import NOT_DONE, Invalid, Refused
from zajil.core.value_class import value_class
from zajil.mailauth.dkim_body import BodyDigests, BodyNeed
from zajil.mailauth.dkim_canon import SignedHeader, relaxed_field, simple_field
from zajil.mailauth.dkim_key import MAX_RSA_BITS, MIN_RSA_BITS
from zajil.message.fields import Field

Algorithm = Literal["rsa-sha256", "ed25519-sha256"]

OVERSIGNED = (
    *(b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"in-reply-to"),
    *(b"references", b"mime-version", b"content-type", b"content-transfer-encoding"),
)
"""Signed once more than they occur: none can be changed, taken away or added."""
SIGNED_IF_THERE = (
    *(b"sender", b"resent-from", b"resent-to", b"resent-cc", b"resent-date", b"resent-message-id"),
    *(b"list-id", b"list-help", b"list-subscribe", b"list-unsubscribe", b"list-unsubscribe-post"),
    *(b"list-post", b"list-owner", b"list-archive", b"auto-submitted"),
)
"""Signed as often as they occur (RFC 6376 section 5.4.1); a list may add its own."""
_LINE = 76
_PADDING, _SHA256 = PKCS1v15(), SHA256()


class BadSigningKey(Invalid, ValueError):
    """A private key that cannot sign; the message is a sentence for the operator."""

    exit_status = NOT_DONE


class CannotSign(Refused, ValueError):
    """What was asked for would give a signature that nobody accepts."""


@value_class(frozen=True, slots=True)
class SigningKey:
    """A private key and where its public half is published."""

    domain: str
    """ASCII."""
    selector: str
    """ASCII."""
    algorithm: Algorithm
    private: RSAPrivateKey | Ed25519PrivateKey

    def sign(self, signed: bytes) -> bytes:
        """Return the signature of canonical bytes, as it goes into ``b=`` (base64, not folded)."""
        if isinstance(self.private, RSAPrivateKey):
            value = self.private.sign(signed, _PADDING, _SHA256)
        else:
            # RFC 8463 section 3: PureEdDSA over the hash.
            value = self.private.sign(hashlib.sha256(signed).digest())
        return base64.b64encode(value)


def load_signing_key(
    pem: bytes, domain: str, selector: str, algorithm: str | None = None
) -> SigningKey:
    """Read a private key in PEM.

    Args:
        pem: PKCS #8 or PKCS #1, without a password.
        domain: ASCII.
        selector: ASCII.
        algorithm: what it shall sign by; ``None``: what it is for.

    Raises:
        BadSigningKey: it is none, or one for something else.
    """
    private = _load_pem(pem)
    found: Algorithm = "rsa-sha256" if isinstance(private, RSAPrivateKey) else "ed25519-sha256"
    if algorithm not in (None, found):
        raise BadSigningKey(f"the key is one for {found}, not for {algorithm}")
    return SigningKey(domain, selector, found, private)


def _load_pem(pem: bytes) -> RSAPrivateKey | Ed25519PrivateKey:
    if b"PUBLIC KEY-----" in pem:
        raise BadSigningKey("this is a public key; signing takes the private one")
    try:
        private = load_pem_private_key(pem, None)
    except TypeError:
        raise BadSigningKey("the key is encrypted; a key without a password is needed") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadSigningKey("this is no private key in PEM") from None
    if isinstance(private, RSAPrivateKey):
        if not MIN_RSA_BITS <= private.key_size <= MAX_RSA_BITS:
            raise BadSigningKey(
                f"the RSA key has {private.key_size} bits; others take {MIN_RSA_BITS} to "
                f"{MAX_RSA_BITS}"
            )
        return private
    if isinstance(private, Ed25519PrivateKey):
        return private
    raise BadSigningKey("the key is neither RSA nor Ed25519")


def sign_dkim(
    header: bytes,
    fields: Sequence[Field],
    digests: BodyDigests,
    key: SigningKey,
    *,
    now_s: int,
    canonicalization: str = "relaxed/relaxed",
    headers: Sequence[bytes] | None = None,
    expires_s: int | None = None,
) -> bytes:
    """Return a DKIM-Signature field, to stand on top of the message; with its CRLF.

    Args:
        header: the header section.
        fields: what ``read_fields(header)`` gave.
        digests: of the body, with the hash of this canonicalization among its needs.
        key: what to sign with.
        now_s: ``t=``, seconds since 1970.
        canonicalization: of header and body.
        headers: exactly the names to sign, repeated ones more than once; ``None``: the default.
        expires_s: ``x=``.

    Raises:
        CannotSign: From is not among the names, or not in the message; a name is none.
        NotHashed: the digests have no such hash.
    """
    signed_header = SignedHeader(header, fields)
    names = default_names(signed_header) if headers is None else _checked_names(headers)
    if not signed_header.count(b"from"):
        raise CannotSign("the message has no From field")
    how, body_how = split_canonicalization(canonicalization)
    body_hash = digests.digest(BodyNeed(body_how, "sha256", None))
    tags = [
        *("v=1", f"a={key.algorithm}", f"c={how}/{body_how}", f"d={key.domain}"),
        *(f"s={key.selector}", f"t={now_s}"),
    ]
    if expires_s is not None:
        tags.append(f"x={expires_s}")
    text = write_tags(tags, names, body_hash)
    signed = signed_header.signed_bytes(names, how)
    return seal_field(b"DKIM-Signature", text, signed, how, key)


def default_names(header: SignedHeader) -> list[bytes]:
    """Return the names that are signed: what people see once more than it occurs."""
    names: list[bytes] = []
    for name in OVERSIGNED:
        names += [name] * (header.count(name) + 1)
    for name in SIGNED_IF_THERE:
        names += [name] * header.count(name)
    return names


def split_canonicalization(text: str) -> tuple[str, str]:
    """Read ``relaxed/simple``.

    Raises:
        CannotSign: it is none.
    """
    how, slash, body_how = text.partition("/")
    body_how = body_how if slash else "simple"
    if {how, body_how} <= {"simple", "relaxed"}:
        return how, body_how
    raise CannotSign(
        f"{text!r} is no canonicalization: simple or relaxed, a slash, simple or relaxed"
    )


def _checked_names(headers: Sequence[bytes]) -> list[bytes]:
    names = [name.lower() for name in headers]
    for name in names:
        if (
            not name
            or name.translate(None, bytes(range(0x21, 0x7F)))
            or b":" in name
            or b";" in name
        ):
            raise CannotSign(f"{name.decode('utf-8', 'replace')!r} is no name of a field")
    if b"from" not in names:
        raise CannotSign("From must be among the fields (RFC 6376 section 5.4)")
    return names


def write_tags(tags: Sequence[str], names: Sequence[bytes], body_hash: bytes) -> bytes:
    """Write the value of a signature up to ``b=``, folded."""
    lines = [""]
    room = _LINE - len("ARC-Message-Signature:")
    for tag in tags:
        if lines[-1] and len(tag) + 2 > room:
            lines.append("")
            room = _LINE
        lines[-1] += f" {tag};"
        room -= len(tag) + 2
    listed = " h="
    for number, name in enumerate(names):
        word = (":" if number else "") + name.decode("ascii")
        if len(listed) + len(word) > _LINE:
            lines.append(listed)
            listed = " "
        listed += word
    lines.append(f"{listed};")
    lines.append(f" bh={base64.b64encode(body_hash).decode('ascii')};")
    lines.append(" b=")
    return "\r\n".join(lines).encode()


def seal_field(
    name: bytes, text: bytes, signed: bytes, canonicalization: str, key: SigningKey
) -> bytes:
    """Return a signature field, with its CRLF.

    Args:
        name: ``DKIM-Signature``, or one of ARC's.
        text: its value, up to ``b=``; starts with a space.
        signed: canonical form of the other fields it signs.
        canonicalization: of the header; that of this field too.
        key: what to sign with.
    """
    if canonicalization == "relaxed":
        own = relaxed_field(name.lower(), text)
    else:
        own = simple_field(name + b":" + text)
    value = key.sign(signed + own)
    first = _LINE - 3
    lines = [value[:first]]
    lines += [value[at : at + _LINE - 1] for at in range(first, len(value), _LINE - 1)]
    return name + b":" + text + b"\r\n ".join(lines) + b"\r\n"
