"""TLSA records, and whether the certificates of a server match them (RFC 6698, RFC 7672). Pure.

Usages 0 and 1 are unusable with SMTP (RFC 7672 section 3.1.3). A record of usage 3 names the
certificate or the key of the server: its name and its dates mean nothing. One of usage 2 names an
authority that the server must send, and that must have issued the certificate for the host's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from zajil.core.moment import utc_datetime
from zajil.core.value_class import value_class

_AUTHORITY, _SERVER = 2, 3
_SIZES = {1: 32, 2: 64}
"""Octets of the hash, by matching type."""
_MAX_RECORDS = 50
_MAX_CHAIN = 10


@value_class(frozen=True, slots=True)
class Tlsa:
    """A usable record."""

    usage: int
    """2: an authority (DANE-TA); 3: the server itself (DANE-EE)."""
    selector: int
    """0: the whole certificate; 1: its public key."""
    matching: int
    """0: the octets themselves; 1: SHA-256; 2: SHA-512."""
    data: bytes

    def __str__(self) -> str:
        """Return it as a zone file has it."""
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


def parse_tlsa(values: Iterable[str]) -> tuple[Tlsa, ...]:
    """Return the usable records of an answer; others are ignored."""
    found: dict[Tlsa, None] = {}
    for value in values:
        words = value.split()
        if len(words) != 4 or not all(word.isascii() and word.isdecimal() for word in words[:3]):
            continue
        usage, selector, matching = (int(word) for word in words[:3])
        try:
            data = bytes.fromhex(words[3])
        except ValueError:
            continue
        is_known = usage in (_AUTHORITY, _SERVER) and selector in (0, 1) and matching in (0, 1, 2)
        if is_known and data and len(data) == _SIZES.get(matching, len(data)):
            found[Tlsa(usage, selector, matching, data)] = None
    return tuple(found)[:_MAX_RECORDS]


def matches_tlsa(records: Sequence[Tlsa], chain: Sequence[bytes], host: str, now_ms: int) -> bool:
    """Return whether a server is the one that the records name.

    Args:
        records: usable ones.
        chain: the certificates it sent, DER, its own first; nobody has verified them.
        host: name that the TLSA records were found at, which a certificate of usage 2 must have.
        now_ms: the time, Unix milliseconds.
    """
    try:
        certificates = [x509.load_der_x509_certificate(one) for one in chain[:_MAX_CHAIN]]
    except ValueError:
        return False
    if not certificates:
        return False
    for record in records:
        if record.usage == _SERVER and _fits(record, certificates[0]):
            return True
    authorities = [
        one
        for one in certificates[1:] or certificates
        if any(record.usage == _AUTHORITY and _fits(record, one) for record in records)
    ]
    return bool(authorities) and _is_issued_by(authorities, certificates, host, now_ms)


def _fits(record: Tlsa, certificate: x509.Certificate) -> bool:
    try:
        if record.selector == 0:
            data = certificate.public_bytes(Encoding.DER)
        else:
            data = certificate.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
    except ValueError:  # a key of a kind that nobody knows
        return False
    if record.matching == 0:
        return data == record.data
    name = "sha256" if record.matching == 1 else "sha512"
    return hashlib.new(name, data).digest() == record.data


def _must_be_authority(
    policy: Policy, certificate: x509.Certificate, extension: x509.BasicConstraints
) -> None:
    if not extension.ca:
        raise ValueError("not an authority")


def _may_sign(
    policy: Policy, certificate: x509.Certificate, extension: x509.KeyUsage | None
) -> None:
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("it may not sign certificates")


# Authorities of DANE are often self-made: what the rules of the Web demand of them beside this, key
# identifiers and usages, is not required (RFC 7671 section 5.2).
_CA_POLICY = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _must_be_authority)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
)
_SERVER_POLICY = ExtensionPolicy.permit_all().require_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)


def _is_issued_by(
    authorities: Sequence[x509.Certificate],
    certificates: Sequence[x509.Certificate],
    host: str,
    now_ms: int,
) -> bool:
    try:
        verifier = (
            PolicyBuilder()
            .store(Store(list(authorities)))
            .time(utc_datetime(now_ms))
            .extension_policies(ca_policy=_CA_POLICY, ee_policy=_SERVER_POLICY)
            .build_server_verifier(x509.DNSName(host))
        )
        verifier.verify(certificates[0], list(certificates[1:]))
    except (VerificationError, ValueError):
        return False
    return True
