"""TLS as we speak it: a context for those who connect to us, one for those we connect to.

TLS 1.2 and 1.3 only (RFC 8996), without compression and renegotiation (RFC 9325).
"""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zajil.core.errors import NOT_DONE, Invalid


class BadCertificate(Invalid):
    """A certificate, key or list of authorities cannot be used; the text is for the operator."""

    exit_status = NOT_DONE


# RFC 9325 section 4.2: forward secrecy and authenticated encryption only. TLS 1.3 brings its own.
_SERVER_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"


@dataclass(frozen=True, slots=True)
class CertificateAndKey:
    """The contents of two PEM files, as ``tls.certificate`` and ``tls.key`` name them."""

    certificate: bytes
    """With its chain, the server's own first."""
    key: bytes
    """Not encrypted; for its owner's eyes only."""


def server_context(certificate: Path, key: Path, protocols: Sequence[str] = ()) -> ssl.SSLContext:
    """Make a context of our listeners from files; ``tls.keeper`` holds those in use.

    Raises:
        BadCertificate: a file cannot be read, is not PEM, or the key is not the certificate's.
    """
    pair = read_pair(certificate, key)
    return server_context_of(pair, protocols, certificate=str(certificate), key=str(key))


def read_pair(certificate: Path, key: Path) -> CertificateAndKey:
    """Read the files of a certificate and its key, without looking at what they contain.

    Raises:
        BadCertificate: a file cannot be read.
    """
    return CertificateAndKey(read_file(certificate), read_file(key))


def server_context_of(
    pair: CertificateAndKey,
    protocols: Sequence[str] = (),
    *,
    certificate: str = "the certificate",
    key: str = "the key",
) -> ssl.SSLContext:
    """Make a context of our listeners.

    Args:
        pair: what the server presents.
        protocols: names for ALPN (RFC 7301), such as ``http/1.1``; empty: it is not answered.
        certificate: what an error calls the certificate.
        key: what an error calls the key.

    Raises:
        BadCertificate: it is not PEM, or the key is not the certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SERVER_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # One ticket is enough for one client and costs half of OpenSSL's two.
    context.num_tickets = 1
    if protocols:
        context.set_alpn_protocols(list(protocols))
    try:
        with _as_file(pair.certificate) as first, _as_file(pair.key) as second:
            # A password is never asked for on a terminal: a server must start alone.
            context.load_cert_chain(first, second, password=_no_password(key))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise BadCertificate(f"{key} is not the key of {certificate}") from None
        raise BadCertificate(f"{certificate} and {key} are not a PEM certificate and key") from None
    return context


def client_context(ca_file: Path | None, verify: bool) -> ssl.SSLContext:
    """Make the context of our own connections to other servers.

    Args:
        ca_file: PEM file of the authorities to trust; ``None``: the system's. Each context with
            authorities takes a megabyte; without ``verify`` none are read.
        verify: demand a valid certificate for the name; else encrypt without knowing to whom,
            which is what opportunistic TLS means (RFC 7435 section 3).

    Raises:
        BadCertificate: ``ca_file`` cannot be read or holds no certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context
    read_file(ca_file)
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise BadCertificate(f"{ca_file} contains no PEM certificate") from None
    return context


def read_file(path: Path) -> bytes:
    """Read a file of a certificate or key.

    Raises:
        BadCertificate: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCertificate(f"cannot read {path}: {error.strerror}") from None


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Give bytes a path for a moment: OpenSSL loads a key from a file only."""
    # Security: a file in memory, so that no key of the store is ever written to a disk.
    if sys.platform == "linux":
        file = os.fdopen(os.memfd_create("pem"), "wb")
        path = f"/proc/self/fd/{file.fileno()}"
    else:
        file = tempfile.NamedTemporaryFile()  # noqa: SIM115 closed below
        path = file.name
    with file:
        file.write(content)
        file.flush()
        yield path


def _no_password(key: str) -> Callable[[], str]:
    def refuse() -> str:
        raise BadCertificate(f"{key} is encrypted; use a key without a password")

    return refuse
