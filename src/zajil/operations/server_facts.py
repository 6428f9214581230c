"""What DNS records say of this server beyond its configuration file: addresses, keys, authority."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from zajil.config.options import Configuration
from zajil.net.own_addresses import public_addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """The authority that issues the certificates of this server by ACME."""

    domain: str
    """As it stands in CAA records: ``letsencrypt.org`` (RFC 8659 section 4.2)."""
    account_uri: str
    """URL of our account there (RFC 8657 section 3)."""
    challenge: str
    """``http-01``, ``tls-alpn-01`` or ``dns-01`` (RFC 8657 section 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What is known where the records are made."""

    addresses: tuple[str, ...] = ()
    """Public addresses of this machine."""
    tls_keys: tuple[str, ...] = ()
    """SHA-256 of the public key of each certificate that the host name has or will have, in
    hexadecimal: TLSA ``3 1 1`` (RFC 7671 section 5.1)."""
    issuer: Issuer | None = None
    """``None``: certificates do not come by ACME, or there is no account yet."""


NOTHING_KNOWN = ServerFacts()


def find_facts(configuration: Configuration) -> ServerFacts:
    """Look at this machine and its files; what cannot be read is left out."""
    return ServerFacts(
        addresses=tuple(public_addresses()), tls_keys=_own_keys(configuration.tls.certificate)
    )


def _own_keys(certificate: Path | None) -> tuple[str, ...]:
    if certificate is None:
        return ()
    try:
        first = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except (OSError, ValueError):
        return ()
    key = first.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return (hashlib.sha256(key).hexdigest(),)
