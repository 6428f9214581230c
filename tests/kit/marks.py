"""Certificates for logos of senders: an authority, one below it, and what a test has them issue."""

from __future__ import annotations

import base64
import datetime
import gzip
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

LOGO = (
    b'<svg xmlns="http://www.w3.org/2000/svg" version="1.2" baseProfile="tiny-ps" '
    b'viewBox="0 0 64 64">\n<title>South</title>\n<rect width="64" height="64" fill="#0b5cad"/>\n'
    b'<circle cx="32" cy="32" r="18" fill="#ffd34d"/>\n</svg>\n'
)
PURPOSE = ObjectIdentifier("1.3.6.1.5.5.7.3.31")
LOGOTYPE = ObjectIdentifier("1.3.6.1.5.5.7.1.12")
SHA1, SHA256 = bytes.fromhex("2b0e03021a"), bytes.fromhex("608648016503040201")
_BEGIN = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)


def der(tag: int, *contents: bytes) -> bytes:
    """Return a DER element."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 + len(octets)]) + octets + content


def make_hash(algorithm: bytes, value: bytes) -> bytes:
    """Return a ``HashAlgAndValue`` (RFC 9399 section 4.1)."""
    return der(0x30, der(0x30, der(0x06, algorithm), der(0x05)), der(0x04, value))


def make_image(
    svg: bytes = LOGO,
    *,
    media_type: bytes = b"image/svg+xml",
    packed: bytes | None = None,
    hashed: Sequence[bytes] | None = None,
    uris: Sequence[bytes] | None = None,
) -> bytes:
    """Return a ``LogotypeImage`` (RFC 9399 section 4.1).

    Args:
        svg: the logo.
        media_type: of the logo.
        packed: what is in the ``data:`` URI; ``None``: the logo, packed with gzip.
        hashed: of ``make_hash``; ``None``: the SHA-256 of the logo.
        uris: ``None``: one ``data:`` URI.
    """
    packed = gzip.compress(svg) if packed is None else packed
    if hashed is None:
        hashed = [make_hash(SHA256, hashlib.sha256(svg).digest())]
    if uris is None:
        uris = [b"data:" + media_type + b";base64," + base64.b64encode(packed)]
    return der(
        0x30,
        der(
            0x30,
            der(0x16, media_type),
            der(0x30, *hashed),
            der(0x30, *[der(0x16, uri) for uri in uris]),
        ),
    )


def make_logotype(*images: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """Return a ``LogotypeExtn`` with a logo of the subject, and what stands beside it."""
    logo = der(0xA2, der(0xA0, der(0x30, *(images or (make_image(),)))))
    return der(0x30, before, logo, after)


@dataclass(frozen=True)
class MarkOrder:
    """What a certificate contains; the defaults make one that holds."""

    names: Sequence[str] | None = ("south.test",)
    """``None``: one of a kind that nobody uses, an ``x400Address``."""
    logotype: bytes | None = field(default_factory=make_logotype)
    purposes: Sequence[ObjectIdentifier] = (PURPOSE,)
    begin: datetime.datetime = _BEGIN
    end: datetime.datetime = END


class MarkAuthority:
    """An authority for logos, with one below it that issues the certificates.

    The same number gives the same keys and certificates.
    """

    def __init__(
        self, issuer: str = "Mark Authority", *, number: int = 1, may_issue: bool = True
    ) -> None:
        self._root_key = _key(number, 1)
        self._key = _key(number, 2)
        root = _name("Mark Root")
        self._issuer = _name("Marks below", issuer)
        self._root = _sign_authority(root, root, self._root_key, self._root_key)

        def limit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
            other = ObjectIdentifier("1.3.6.1.5.5.7.3.1")
            purposes = x509.ExtendedKeyUsage([PURPOSE if may_issue else other])
            return builder.add_extension(purposes, critical=False)

        self._middle = _sign_authority(self._issuer, root, self._key, self._root_key, limit)

    @property
    def root(self) -> bytes:
        """The root certificate, PEM."""
        return self._root.public_bytes(serialization.Encoding.PEM)

    def issue(self, order: MarkOrder | None = None, *, with_chain: bool = True) -> bytes:
        """Return a file of certificates, PEM: the one for a logo, then its authority."""
        order = order or MarkOrder()
        key = _key(1, 3)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(_name("South"), self._issuer, key, order.begin, order.end)
            .add_extension(_names(order.names), critical=False)
            .add_extension(authority, critical=False)
        )
        if order.purposes:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage(list(order.purposes)), critical=False
            )
        if order.logotype is not None:
            logotype = x509.UnrecognizedExtension(LOGOTYPE, order.logotype)
            builder = builder.add_extension(logotype, critical=False)
        leaf = builder.sign(self._key, hashes.SHA256(), ecdsa_deterministic=True)
        chain = [leaf, self._middle] if with_chain else [leaf]
        return b"".join([one.public_bytes(serialization.Encoding.PEM) for one in chain])


def _key(number: int, role: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(1000 * number + role, ec.SECP256R1())


def _names(names: Sequence[str] | None) -> x509.ExtensionType:
    if names is None:
        odd = der(0x30, der(0xA3, der(0x05)))
        return x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.17"), odd)
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def _name(common_name: str, organization: str = "South") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begin: datetime.datetime = _BEGIN,
    end: datetime.datetime = END,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(17)
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _sign_authority(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    extend: Callable[[x509.CertificateBuilder], x509.CertificateBuilder] = lambda builder: builder,
) -> x509.Certificate:
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = (
        _builder(subject, issuer, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(above, critical=False)
    )
    return extend(builder).sign(issuer_key, hashes.SHA256(), ecdsa_deterministic=True)
