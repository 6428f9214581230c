"""The certificate authority of the lab, and one certificate for each domain (RFC 5280).

All keys are ECDSA P-256. A later start on the same folder uses the existing authority and
certificates; a certificate is renewed only if its names changed or it expires soon.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CA_DAYS = 3650
_LEAF_DAYS = 397
"""What browsers accept at most."""
_RENEW_DAYS = 30


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where a certificate and its private key lie, PEM."""

    certificate: Path
    key: Path


class CertificateAuthority:
    """Signs the certificates of one lab."""

    def __init__(self, folder: Path, now: datetime) -> None:
        """Read the authority from ``folder``, or make it there."""
        self._now = now
        self.ca_file = folder / "ca.pem"
        key_file = folder / "ca.key"
        if self.ca_file.exists() and key_file.exists():
            self._key = _read_key(key_file)
            self._certificate = _read_certificate(self.ca_file)
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._make_root()
        folder.mkdir(parents=True, exist_ok=True)
        _write_key(key_file, self._key)
        self.ca_file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        # Whatever the umask: programs of other users trust the lab by it.
        folder.chmod(0o755)
        self.ca_file.chmod(0o644)

    def certificate(
        self, files: CertificateFiles, names: Sequence[str], addresses: Sequence[IPv4Address]
    ) -> None:
        """See to it that ``files`` hold a valid certificate for these names and addresses.

        Args:
            files: their folder exists.
            names: ASCII, the most important first.
            addresses: clients of the lab connect by address and check it too.
        """
        wanted = x509.SubjectAlternativeName(
            [*map(x509.DNSName, names), *map(x509.IPAddress, addresses)]
        )
        if files.certificate.exists() and files.key.exists():
            found = _read_certificate(files.certificate)
            alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            fresh = found.not_valid_after_utc - self._now > timedelta(days=_RENEW_DAYS)
            if fresh and alternative.value == wanted and found.issuer == self._certificate.subject:
                return
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._make_leaf(names[0], wanted, key.public_key())
        _write_key(files.key, key)
        files.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - timedelta(hours=1))  # clocks of peers differ
            .not_valid_after(self._now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    def _make_root(self) -> x509.Certificate:
        public = self._key.public_key()
        # A number in the name: clients that trust the authorities of two labs keep them apart.
        subject = _name(f"Zajil lab {x509.random_serial_number():x}"[:40])
        builder = self._builder(subject, subject, public, _CA_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(True, 0), critical=True)
        builder = builder.add_extension(_key_usage(certificates=True), critical=True)
        return builder.sign(self._key, hashes.SHA256())

    def _make_leaf(
        self, name: str, alternative: x509.SubjectAlternativeName, key: ec.EllipticCurvePublicKey
    ) -> x509.Certificate:
        issuer = self._certificate.subject
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = self._builder(_name(name), issuer, key, _LEAF_DAYS)
        builder = builder.add_extension(alternative, critical=False)
        builder = builder.add_extension(issuer_key, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        builder = builder.add_extension(_key_usage(certificates=False), critical=True)
        builder = builder.add_extension(server, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def now() -> datetime:
    """Return the time certificates are counted from."""
    return datetime.now(UTC)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _read_certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path} is not an ECDSA key; remove the lab's folder and start again")
    return key


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # Security: closed to others from the first byte, not after a chmod.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
