"""Keys of host names, and what is made of them: requests, hashes, certificates for challenges."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from zajil.store.people.host_keys import HostKeyState, NewHostKey
from zajil.tls.context import BadCertificate, CertificateAndKey
from zajil.tls.self_signed import key_pem, sign_with_own_key

_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
"""RFC 8737 section 3: the digest of the key authorization."""


def make_host_key(name: str, state: HostKeyState, now_ms: int) -> NewHostKey:
    """Make an ECDSA P-256 key for a host name."""
    key = ec.generate_private_key(ec.SECP256R1())
    return NewHostKey(name, key_hash(key.public_key()), key_pem(key), state, now_ms)


def make_account_key() -> bytes:
    """Make a key for an account at an authority: ECDSA P-256, PKCS #8 in PEM."""
    return key_pem(ec.generate_private_key(ec.SECP256R1()))


def key_hash(key: CertificatePublicKeyTypes) -> str:
    """Return SHA-256 of SubjectPublicKeyInfo in hexadecimal (RFC 6698 section 2.1: ``3 1 1``)."""
    content = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(content).hexdigest()


def hash_of_chain(chain: bytes) -> str:
    """Return the hash of the key in the first certificate of a PEM chain.

    Raises:
        BadCertificate: it holds none.
    """
    return key_hash(_first(chain).public_key())


def make_request(name: str, private_key: bytes) -> bytes:
    """Return a certificate signing request for a name, in PEM."""
    key = cast(ec.EllipticCurvePrivateKey, serialization.load_pem_private_key(private_key, None))
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM)


def make_challenge_certificate(name: str, answer: str, now_ms: int) -> CertificateAndKey:
    """Make the certificate that answers TLS-ALPN-01 (RFC 8737 section 3).

    Args:
        name: of the host.
        answer: the key authorization.
        now_ms: it is valid from an hour before, for a week.
    """
    digest = hashlib.sha256(answer.encode("ascii")).digest()
    # DER of an OCTET STRING of 32 octets.
    identifier = x509.UnrecognizedExtension(_ACME_IDENTIFIER, b"\x04\x20" + digest)
    return sign_with_own_key(
        "ACME challenge", (name,), now_ms, timedelta(days=7), [(identifier, True)]
    )


def renewal_id(chain: bytes) -> str | None:
    """Return the identifier of a certificate for renewal information (RFC 9773 section 4.1).

    Returns:
        ``None``: the certificate does not name the key of its authority.

    Raises:
        BadCertificate: there is no certificate.
    """
    certificate = _first(chain)
    try:
        authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    identifier = authority.value.key_identifier
    if identifier is None:
        return None
    number = certificate.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return f"{_base64url(identifier)}.{_base64url(serial)}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def _first(chain: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(chain)[0]
    except ValueError:
        raise BadCertificate("the chain contains no PEM certificate") from None
