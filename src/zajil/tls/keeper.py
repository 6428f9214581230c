"""The server's certificate while it runs: one keeper per process, for all its listeners.

Laws:
- Every handshake that begins after ``replace`` presents the new certificate, on listeners and
  after STARTTLS alike; connections that are open stay as they are.
- A certificate that cannot be used replaces nothing.
- The keeper is made before the workers are forked, so that its ticket keys are the same in all of
  them and a client resumes with any. They stay when the certificate is replaced.
"""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

from zajil.tls.context import read_file, server_context


class TlsKeeper:
    """Holds the certificate that the server presents."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load the first certificate.

        Args:
            certificate: PEM file with its chain.
            key: PEM file.

        Raises:
            BadCertificate: as ``server_context``.
        """
        self.certificate = certificate
        """File of the certificate in use."""
        self._digest = _digest(certificate, key)
        self._context = server_context(certificate, key)

    @property
    def context(self) -> ssl.SSLContext:
        """What the next handshake uses; ask for it anew for each connection."""
        return self._context

    def replace(self, certificate: Path, key: Path) -> bool:
        """Present another certificate from now on; return whether it or its key differs.

        Raises:
            BadCertificate: as ``server_context``; the old certificate stays.
        """
        digest = _digest(certificate, key)
        fresh = server_context(certificate, key)

        def choose(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
            # Called in each handshake, whether the client names a host or not.
            connection.context = fresh

        # Loading it into the context itself would not do: OpenSSL keeps one certificate for each
        # kind of key, and clients would still get the old one after a change from RSA to ECDSA.
        self._context.sni_callback = choose
        differs = digest != self._digest
        self.certificate, self._digest = certificate, digest
        return differs


def _digest(certificate: Path, key: Path) -> bytes:
    return b"".join([hashlib.sha256(read_file(path)).digest() for path in (certificate, key)])
