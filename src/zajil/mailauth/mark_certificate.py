"""Certificates for logos: Verified Mark Certificates and Common Mark Certificates.

By draft-fetch-validation-vmc-wchuang. The chain is verified by ``cryptography`` (RFC 5280) with the
rules of the web for its extensions, but for the purpose: it has to be the one of BIMI.

Revocation lists are not fetched, and proofs of Certificate Transparency not checked.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID, ObjectIdentifier
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from zajil.core.errors import Invalid
from zajil.core.value_class import value_class
from zajil.mailauth.logo_svg import check_logo
from zajil.mailauth.logotype import BadLogo, read_logotype

MAX_BYTES = 262_144
"""Of a file of certificates; those that are in use have under 30 KB."""
_MAX_CHAIN = 8
_MAX_NAME = 80
_PURPOSE = ObjectIdentifier("1.3.6.1.5.5.7.3.31")
"""id-kp-BrandIndicatorforMessageIdentification."""
_LOGOTYPE = ObjectIdentifier("1.3.6.1.5.5.7.1.12")
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for certificates that are not DER, or odd."""


class BadRoots(Invalid, ValueError):
    """A file of root certificates that cannot be used."""


@value_class(frozen=True, slots=True, kw_only=True)
class Mark:
    """A logo that a certificate confirms."""

    svg: bytes
    """Checked by ``check_logo``."""
    name: str
    """The one of the certificate that fits: a domain, or ``SELECTOR._bimi.DOMAIN`` (ASCII)."""
    issuer: str
    """Organization that issued the certificate, for people."""
    expires_ms: int
    """When the certificate ends."""


class MarkRoots:
    """The root certificates that an operator trusts to confirm logos."""

    def __init__(self, pem: bytes) -> None:
        """Read them.

        Args:
            pem: one certificate or several.

        Raises:
            BadRoots: there is none, or one that cannot be read.
        """
        try:
            self._store = Store(x509.load_pem_x509_certificates(pem))
        except _UNREADABLE:
            raise BadRoots("it contains no PEM certificate, or one that cannot be read") from None

    def verify(self, chain: list[x509.Certificate], now_s: int) -> None:
        """Check that a certificate for a logo leads to one of the roots.

        Args:
            chain: the certificate, then those of authorities in any order.
            now_s: the time.

        Raises:
            BadLogo: it does not; the text says why.
        """
        leaf = ExtensionPolicy.webpki_defaults_ee().require_present(
            x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _needs_purpose
        )
        authority = ExtensionPolicy.webpki_defaults_ca().may_be_present(
            x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _may_have_purpose
        )
        verifier = (
            PolicyBuilder()
            .store(self._store)
            .time(datetime.fromtimestamp(now_s, UTC).replace(tzinfo=None))
            .max_chain_depth(_MAX_CHAIN)
            .extension_policies(ee_policy=leaf, ca_policy=authority)
            .build_client_verifier()
        )
        try:
            verifier.verify(chain[0], chain[1:])
        except VerificationError as error:
            raise BadLogo(f"the certificate does not hold: {str(error)[:300]}") from None


def verify_mark(pem: bytes, roots: MarkRoots, names: Collection[str], now_s: int) -> Mark:
    """Return the logo in a file of certificates, if it is confirmed for a domain.

    Args:
        pem: what lies at the address in ``a=``: the certificate first, then those of authorities.
        roots: what the operator trusts.
        names: ASCII; a certificate for one of them will do (``BimiFound.names``).
        now_s: the time.

    Raises:
        BadLogo: whatever is wrong with it; the text says what, for the log.
    """
    if len(pem) > MAX_BYTES:
        raise BadLogo("the file of certificates is too large")
    try:
        chain = x509.load_pem_x509_certificates(pem)
        if len(chain) > _MAX_CHAIN:
            raise BadLogo("there are too many certificates")
        roots.verify(chain, now_s)
        fitting = [name for name in _names_of(chain[0]) if name in names]
        if not fitting:
            raise BadLogo("the certificate is for another domain")
        svg = read_logotype(_logotype_of(chain[0]))
        issuer = _issuer_of(chain[0])
        expires_ms = int(chain[0].not_valid_after_utc.timestamp() * 1000)
    except _UNREADABLE as error:
        raise BadLogo(f"a certificate cannot be read: {str(error)[:200]}") from None
    check_logo(svg)
    return Mark(svg=svg, name=fitting[0], issuer=issuer, expires_ms=expires_ms)


def _needs_purpose(
    _policy: Policy, _certificate: x509.Certificate, purposes: x509.ExtendedKeyUsage
) -> None:
    if _PURPOSE not in purposes:
        raise ValueError("it is not a certificate for logos")


def _may_have_purpose(
    _policy: Policy, _certificate: x509.Certificate, purposes: x509.ExtendedKeyUsage | None
) -> None:
    if purposes is not None and _PURPOSE not in purposes:
        raise ValueError("the authority may not issue certificates for logos")


def _names_of(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def _logotype_of(certificate: x509.Certificate) -> bytes:
    for extension in certificate.extensions:
        if extension.oid == _LOGOTYPE and isinstance(extension.value, x509.UnrecognizedExtension):
            return extension.value.value
    raise BadLogo("the certificate has no logo")


def _issuer_of(certificate: x509.Certificate) -> str:
    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in certificate.issuer.get_attributes_for_oid(kind):
            text = " ".join(str(attribute.value).split())
            # Security: it stands in a sentence of ours.
            shown = "".join([c for c in text if unicodedata.category(c)[0] != "C"])
            if shown:
                return shown[:_MAX_NAME]
    return "?"
