"""Configuration profiles of Apple (``.mobileconfig``): iPhone, iPad and Mac set Mail up with them.

A profile contains no password: the device asks for it.
"""

from __future__ import annotations

import functools
import plistlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zajil.core.address import Address
from zajil.operations.mail_servers import MailServer
from zajil.tls.context import CertificateAndKey

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

PROFILE_TYPE = "application/x-apple-aspen-config"
"""Media type, of signed profiles too."""
_NAMESPACE = uuid.UUID("5b0f4c1e-3d0a-4f0e-9a57-6a1f5a6f2f10")
"""Of the identifiers in configuration profiles: the same account has the same ones."""


def make_profile(
    servers: Sequence[MailServer], *, address: Address, login: str, name: str = ""
) -> bytes | None:
    """Return a profile, unsigned.

    Args:
        servers: what mail programs connect to.
        address: of the account.
        login: the user name.
        name: of its owner; ``""``: the device asks for it.

    Returns:
        ``None``: there are not both IMAP and SMTP.
    """
    by_kind = {one.kind: one for one in servers}
    imap, smtp = by_kind.get("imap"), by_kind.get("smtp")
    if imap is None or smtp is None:
        return None
    identifier = ".".join(reversed(imap.host.split(".")))
    mail = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.mail.{login}",
        "PayloadUUID": str(uuid.uuid5(_NAMESPACE, f"mail {imap.host} {login}")),
        "PayloadDisplayName": address.unicode,
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAccountDescription": address.unicode,
        "EmailAddress": str(address),
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": imap.host,
        "IncomingMailServerPortNumber": imap.port,
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": login,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": smtp.host,
        "OutgoingMailServerPortNumber": smtp.port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": login,
        "OutgoingPasswordSameAsIncomingPassword": True,
        **({"EmailAccountName": name} if name else {}),
    }
    profile = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.{login}",
        "PayloadUUID": str(uuid.uuid5(_NAMESPACE, f"profile {imap.host} {login}")),
        "PayloadDisplayName": address.unicode,
        "PayloadDescription": imap.host,
        "PayloadContent": [mail],
    }
    return plistlib.dumps(profile)


@dataclass(frozen=True, slots=True)
class _Signer:
    """What signs."""

    certificate: x509.Certificate
    chain: list[x509.Certificate]
    key: RSAPrivateKey | EllipticCurvePrivateKey


def can_sign(pair: CertificateAndKey) -> bool:
    """Whether a device can know who signed with a certificate: an authority issued it.

    Keys other than RSA and ECDSA cannot sign (RFC 5652), nor can what is no certificate.
    """
    return _signer(pair) is not None


def sign_profile(profile: bytes, pair: CertificateAndKey) -> bytes:
    """Return a profile signed with a certificate of the server: CMS in DER (RFC 5652 section 5).

    Args:
        profile: of ``make_profile``.
        pair: of the server, its chain goes into the signature. If it cannot sign, the profile is
            returned as it is.
    """
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.serialization import pkcs7

    signer = _signer(pair)
    if signer is None:
        return profile
    builder = pkcs7.PKCS7SignatureBuilder().set_data(profile)
    builder = builder.add_signer(signer.certificate, signer.key, hashes.SHA256())
    for one in signer.chain:
        builder = builder.add_certificate(one)
    # As bytes: the other form would change the ends of lines.
    return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


# Security: anyone may ask for a profile, and to check an RSA key takes up to 100 ms.
@functools.lru_cache(maxsize=2)
def _signer(pair: CertificateAndKey) -> _Signer | None:
    """Read a certificate and its key; ``None``: they cannot sign."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        own, *others = x509.load_pem_x509_certificates(pair.certificate)
        key = load_pem_private_key(pair.key, None)
    except (ValueError, TypeError):
        return None
    if own.issuer == own.subject or not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        return None
    return _Signer(own, others, key)
