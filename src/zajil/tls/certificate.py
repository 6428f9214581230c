"""What a certificate says, for an operator who wants to know before others do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from zajil.tls.context import BadCertificate


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """The first certificate of a PEM file."""

    names: tuple[str, ...]
    """DNS names of subjectAltName, ASCII form; may begin with ``*.``."""
    issuer: str
    self_signed: bool
    not_before_ms: int
    not_after_ms: int

    def fits(self, hostname: str) -> bool:
        """Whether it names the host; a ``*`` stands for one label (RFC 9525 section 6.3)."""
        parent = "*." + hostname.partition(".")[2]
        return any(name.lower() in (hostname, parent) for name in self.names)


def read_certificate(path: Path) -> CertificateFacts:
    """Read the first certificate of a PEM file.

    Raises:
        BadCertificate: the file cannot be read or holds none.
    """
    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except OSError as error:
        raise BadCertificate(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise BadCertificate(f"{path} holds no PEM certificate") from None
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = tuple(extension.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        names = ()
    return CertificateFacts(
        names,
        certificate.issuer.rfc4514_string(),
        certificate.issuer == certificate.subject,
        _ms(certificate.not_valid_before_utc),
        _ms(certificate.not_valid_after_utc),
    )


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
