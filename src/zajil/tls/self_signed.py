"""A certificate that vouches for itself, so that a new server encrypts from its first minute.

Other mail servers encrypt to it without asking who signed (RFC 7435); mail programs and browsers
warn once, until a certificate of a public authority takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from zajil.tls.context import CertificateAndKey

LIFETIME = timedelta(days=3650)
"""A date that nobody checks must not be what breaks a server: it is there to be replaced."""


def make_self_signed(names: tuple[str, ...], now_ms: int) -> CertificateAndKey:
    """Make an ECDSA P-256 key and a certificate for the names, signed by itself.

    Args:
        names: host names in ASCII form, the main one first (RFC 9525 section 6.3: a client
            looks at subjectAltName only).
        now_ms: it is valid from an hour before: clocks differ.
    """
    # RFC 5280 section 4.1.2.6 and its upper bound: a common name has at most 64 characters.
    extensions = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
    )
    return sign_with_own_key(names[0][:64], names, now_ms, LIFETIME, extensions)


def sign_with_own_key(
    common_name: str,
    names: Sequence[str],
    now_ms: int,
    lifetime: timedelta,
    extensions: Iterable[tuple[x509.ExtensionType, bool]],
) -> CertificateAndKey:
    """Make an ECDSA P-256 key and a certificate that is signed by it.

    Args:
        common_name: of the subject.
        names: host names in ASCII form, for subjectAltName.
        now_ms: it is valid from an hour before: clocks differ.
        lifetime: from now on.
        extensions: more of them, and whether each is critical (RFC 5280 section 4.2).
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    )
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    certificate = builder.sign(key, hashes.SHA256())
    return CertificateAndKey(certificate.public_bytes(serialization.Encoding.PEM), key_pem(key))


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return PKCS #8 in PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
