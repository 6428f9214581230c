"""What a certificate says, for an operator who wants to know before others do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from cryptography import x509

from zajil.mailauth.mark_certificate import BadRoots, MarkRoots
from zajil.tls.context import BadCertificate, read_file

DAY_MS = 86_400_000
ENDS_SOON_DAYS = 14
"""A certificate that ends within so many days should have been renewed: authorities issue for 90
days or less, and their programs renew about 30 days before the end."""


class CertificateProblem(Enum):
    """What can be wrong with a certificate that can be read."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    ENDS_SOON = "ends-soon"
    OTHER_NAME = "other-name"


@dataclass(frozen=True, slots=True)
class CertificateFinding:
    """One problem, for the operator."""

    problem: CertificateProblem
    text: str
    """One sentence, without the path of the file."""

    @property
    def is_warning(self) -> bool:
        """Whether clients accept the certificate for now."""
        return self.problem is CertificateProblem.ENDS_SOON


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """The first certificate of a PEM file, and the period in which its whole chain is valid."""

    names: tuple[str, ...]
    """DNS names of subjectAltName, ASCII form; may begin with ``*.``."""
    issuer: str
    self_signed: bool
    not_before_ms: int
    """Of the certificate in the file that is valid last."""
    not_after_ms: int
    """Of the certificate in the file that ends first."""

    def fits(self, hostname: str) -> bool:
        """Whether it names the host; a ``*`` stands for one label (RFC 9525 section 6.3)."""
        parent = "*." + hostname.partition(".")[2]
        return any(name.lower() in (hostname, parent) for name in self.names)


def read_certificate(path: Path) -> CertificateFacts:
    """Read the first certificate of a PEM file, and the dates of all that are in it.

    Raises:
        BadCertificate: the file cannot be read or holds none.
    """
    return certificate_facts(read_file(path), str(path))


def certificate_facts(chain_pem: bytes, name: str = "the file") -> CertificateFacts:
    """Read the first certificate of a PEM chain, and the dates of all that are in it.

    Args:
        chain_pem: contents of a PEM file.
        name: what an error calls it.

    Raises:
        BadCertificate: it holds none.
    """
    try:
        certificate, *others = x509.load_pem_x509_certificates(chain_pem)
        names = _dns_names(certificate)
        issuer = certificate.issuer.rfc4514_string()
    except ValueError:
        raise BadCertificate(f"{name} contains no PEM certificate") from None
    # Clients ignore a root that the server sends: they have their own.
    chain = [certificate, *(one for one in others if one.issuer != one.subject)]
    return CertificateFacts(
        names,
        issuer,
        certificate.issuer == certificate.subject,
        max(_ms(one.not_valid_before_utc) for one in chain),
        min(_ms(one.not_valid_after_utc) for one in chain),
    )


def find_problems(
    facts: CertificateFacts, hostname: str, now_ms: int
) -> Sequence[CertificateFinding]:
    """Return what is wrong with a certificate, the worst first; empty: nothing.

    Args:
        facts: of ``read_certificate``.
        hostname: ``server.hostname``, ASCII form.
        now_ms: the time.
    """
    found = []
    left_ms = facts.not_after_ms - now_ms
    if left_ms <= 0:
        text = f"the certificate expired on {_date(facts.not_after_ms)}: renew it"
        found.append(CertificateFinding(CertificateProblem.EXPIRED, text))
    elif now_ms < facts.not_before_ms:
        text = (
            f"the certificate is not valid before {_date(facts.not_before_ms)}: "
            "check the clock of this machine"
        )
        found.append(CertificateFinding(CertificateProblem.NOT_YET_VALID, text))
    if not facts.fits(hostname):
        names = ", ".join(facts.names) or "no DNS name"
        text = f"the certificate is for {names}, not for server.hostname, {hostname}"
        found.append(CertificateFinding(CertificateProblem.OTHER_NAME, text))
    if 0 < left_ms <= ENDS_SOON_DAYS * DAY_MS:
        days = left_ms // DAY_MS
        left = f"in {days} days" if days > 1 else "within two days"
        text = f"the certificate ends {left}, on {_date(facts.not_after_ms)}: renew it"
        found.append(CertificateFinding(CertificateProblem.ENDS_SOON, text))
    return found


def _dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(extension.value.get_values_for_type(x509.DNSName))


def _date(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def read_mark_roots(path: Path | None) -> MarkRoots | None:
    """Read the root certificates that confirm logos of senders; ``None``: no file is configured.

    Raises:
        BadCertificate: the file cannot be read, or holds no certificate.
    """
    if path is None:
        return None
    try:
        return MarkRoots(read_file(path))
    except BadRoots as error:
        raise BadCertificate(f"{path}: {error}") from None
