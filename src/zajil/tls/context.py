"""TLS as we speak it: a context for those who connect to us, one for those we connect to.

TLS 1.2 and 1.3 only (RFC 8996), without compression and renegotiation (RFC 9325).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from zajil.core.errors import NOT_DONE, Invalid


class BadCertificate(Invalid):
    """A certificate, key or list of authorities cannot be used; the text is for the operator."""

    exit_status = NOT_DONE


# RFC 9325 section 4.2: forward secrecy and authenticated encryption only. TLS 1.3 brings its own.
_SERVER_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Make a context of our listeners; ``tls.keeper`` holds the one in use.

    Raises:
        BadCertificate: a file cannot be read, is not PEM, or the key is not the certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SERVER_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # One ticket is enough for one client and costs half of OpenSSL's two.
    context.num_tickets = 1
    for path in (certificate, key):
        read_file(path)
    try:
        # A password is never asked for on a terminal: a server must start alone.
        context.load_cert_chain(certificate, key, password=_no_password(key))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise BadCertificate(f"{key} is not the key of {certificate}") from None
        raise BadCertificate(f"{certificate} and {key} are not a PEM certificate and key") from None
    return context


def client_context(ca_file: Path | None, verify: bool) -> ssl.SSLContext:
    """Make the context of our own connections to other servers.

    Args:
        ca_file: PEM file of the authorities to trust; ``None``: the system's.
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


def _no_password(key: Path) -> Callable[[], str]:
    def refuse() -> str:
        raise BadCertificate(f"{key} is encrypted; use a key without a password")

    return refuse
