"""The certificates of a running server: one keeper per process, for all its listeners.

A client names the host that it wants (SNI, RFC 6066 section 3). It gets, in this order: an own file
with this name, an own file with a wildcard for it, a certificate of the store with this name. A
client that names no host, or another one, gets the certificate of ``server.hostname``.

Laws:
- Every handshake that begins after a change presents the new certificate, on listeners and after
  STARTTLS alike; connections that are open stay as they are.
- A certificate that cannot be used replaces nothing.
- The keeper is made before the workers are forked, so that its ticket keys are the same in all of
  them and a client resumes with any. They stay when certificates are replaced.
"""

from __future__ import annotations

import functools
import hashlib
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from zajil.core.errors import Invalid
from zajil.tls.certificate import certificate_facts
from zajil.tls.context import (
    BadCertificate,
    CertificateAndKey,
    read_pair,
    server_context_of,
)

KeyFiles = tuple[Path, Path]
"""PEM files: a certificate with its chain, and its key."""
_MAIL: tuple[str, ...] = ()
_WEB = ("http/1.1",)
_CHALLENGE = ("acme-tls/1",)
"""RFC 8737 section 4: the authority asks for this protocol alone."""


class NoCertificate(Invalid):
    """A keeper was made without any certificate."""


class TlsKeeper:
    """Holds the certificates that the server presents."""

    def __init__(
        self,
        own: Sequence[KeyFiles],
        *,
        hostname: str | None = None,
        fallback: CertificateAndKey | None = None,
    ) -> None:
        """Load the own files.

        Args:
            own: the main one first.
            hostname: ``server.hostname``: clients that name no host get its certificate;
                ``None``: they get the first one.
            fallback: what clients get while there is no other certificate.

        Raises:
            BadCertificate: as ``server_context``.
            NoCertificate: neither files nor a fallback.
        """
        self._hostname = hostname
        self._own = [_OwnFiles(files) for files in own]
        self._offered: dict[str, _Served] = {}
        self._challenges: dict[str, _Served] = {}
        first = self._own[0].served if self._own else None
        if first is None and fallback is not None:
            first = _Served(fallback)
        if first is None:
            raise NoCertificate("there is no certificate")
        self._fallback = first
        self._bases = {protocols: self._base(protocols) for protocols in (_MAIL, _WEB)}

    @property
    def context(self) -> ssl.SSLContext:
        """What the next handshake of a mail service uses."""
        return self._bases[_MAIL]

    @property
    def web_context(self) -> ssl.SSLContext:
        """What the next handshake of HTTPS uses; it answers ALPN with ``http/1.1``."""
        return self._bases[_WEB]

    def web_context_for(self, hello: bytes) -> ssl.SSLContext:
        """Return what a handshake of HTTPS uses: another context for an authority that checks a
        challenge (TLS-ALPN-01, RFC 8737), which is recognized only while one waits for it.

        Args:
            hello: the first bytes of the client.
        """
        if not self._challenges or _CHALLENGE[0].encode() not in hello:
            return self.web_context
        first = next(iter(self._challenges.values()))
        context = server_context_of(first.pair, _CHALLENGE)
        context.sni_callback = self._choose_challenge
        return context

    def answer(self, challenges: Mapping[str, CertificateAndKey]) -> None:
        """Answer these challenges of TLS-ALPN-01 from now on, and no others.

        Args:
            challenges: host name to the certificate that the authority looks for.
        """
        self._challenges = {name: _Served(pair) for name, pair in challenges.items()}

    def has_own(self, name: str) -> bool:
        """Whether an own file has a certificate for a name."""
        return any(wanted in own.served.names for wanted in _patterns(name) for own in self._own)

    @property
    def own_certificates(self) -> tuple[Path, ...]:
        """The own files of certificates, the main one first."""
        return tuple(own.files[0] for own in self._own)

    def replace(self, own: Sequence[KeyFiles]) -> bool:
        """Present other own files from now on; return whether they or their contents differ.

        Raises:
            BadCertificate: as ``server_context``; all old certificates stay.
        """
        fresh = [_OwnFiles(files) for files in own]
        differs = [one.digest for one in fresh] != [one.digest for one in self._own]
        self._own = fresh
        if fresh:
            self._fallback = fresh[0].served
        return differs

    def look(self) -> tuple[list[Path], list[str]]:
        """Read the own files that have changed since the last look.

        Returns:
            The certificates that were replaced, and why others were not: one sentence each, which
            is not repeated until the files change again.
        """
        replaced, problems = [], []
        for own in self._own:
            try:
                if own.look():
                    replaced.append(own.files[0])
            except BadCertificate as error:
                problems.append(str(error))
        if replaced:
            self._fallback = self._own[0].served
        return replaced, problems

    def offer(self, certificates: Mapping[str, CertificateAndKey]) -> None:
        """Present these certificates of the store from now on, and no others of it.

        Args:
            certificates: host name in ASCII form and lower case (may begin with ``*.``) to its
                certificate. One that cannot be used is ignored in the handshake.
        """
        offered: dict[str, _Served] = {}
        for name, pair in certificates.items():
            known = self._offered.get(name)
            offered[name] = known if known and known.pair == pair else _Served(pair)
        self._offered = offered

    def find(self, name: str | None) -> CertificateAndKey:
        """Return what a client gets that asks for a host name; ``None``: it names no host."""
        return self._find(name).pair

    def _find(self, name: str | None) -> _Served:
        return self._named(name) or self._named(self._hostname) or self._fallback

    def _named(self, name: str | None) -> _Served | None:
        if not name:
            return None
        exact, wildcard = _patterns(name)
        for wanted in (exact, wildcard):
            for own in self._own:
                if wanted in own.served.names:
                    return own.served
        return self._offered.get(exact) or self._offered.get(wildcard)

    def _base(self, protocols: tuple[str, ...]) -> ssl.SSLContext:
        context = server_context_of(self._fallback.pair, protocols)
        # A certificate is never loaded into this context itself: OpenSSL keeps one for each kind of
        # key, and clients would still get the old one after a change from RSA to ECDSA.
        context.sni_callback = functools.partial(self._choose, protocols)
        return context

    def _choose(
        self,
        protocols: tuple[str, ...],
        connection: ssl.SSLObject,
        name: str | None,
        _: ssl.SSLContext,
    ) -> None:
        """Called in each handshake, whether the client names a host or not."""
        try:
            connection.context = self._find(name).context(protocols)
        except BadCertificate:
            connection.context = self._fallback.context(protocols)

    def _choose_challenge(
        self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext
    ) -> int | None:
        served = self._challenges.get((name or "").lower())
        if served is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = served.context(_CHALLENGE)
        return None


def _patterns(name: str) -> tuple[str, str]:
    """Return a name and the wildcard that fits it (RFC 9525 section 6.3: one label)."""
    exact = name.lower().rstrip(".")
    return exact, "*." + exact.partition(".")[2]


class _Served:
    """One certificate, and the contexts made from it when they are first needed."""

    __slots__ = ("_contexts", "names", "pair")

    def __init__(self, pair: CertificateAndKey) -> None:
        self.pair = pair
        self.names: frozenset[str] = frozenset()
        """Only of own files: those of the store are found by the name they were offered for."""
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}

    def context(self, protocols: tuple[str, ...]) -> ssl.SSLContext:
        """Return the context; raises ``BadCertificate``."""
        if protocols not in self._contexts:
            self._contexts[protocols] = server_context_of(self.pair, protocols)
        return self._contexts[protocols]


class _OwnFiles:
    """Files of a certificate and its key, and what was read from them."""

    def __init__(self, files: KeyFiles) -> None:
        """Read them; raises ``BadCertificate``."""
        self.files = files
        self._seen = self._state()
        self.served, self.digest = self._load()

    def look(self) -> bool:
        """Read them again if they changed; return whether the contents differ.

        Raises:
            BadCertificate: what was read before stays.
        """
        state = self._state()
        if state == self._seen:
            return False
        self._seen = state
        served, digest = self._load()
        differs = digest != self.digest
        self.served, self.digest = served, digest
        return differs

    def _load(self) -> tuple[_Served, bytes]:
        certificate, key = self.files
        pair = read_pair(certificate, key)
        context = server_context_of(pair, _MAIL, certificate=str(certificate), key=str(key))
        served = _Served(pair)
        served._contexts[_MAIL] = context
        names = certificate_facts(pair.certificate, str(certificate)).names
        served.names = frozenset(name.lower() for name in names)
        both = hashlib.sha256(pair.certificate).digest() + hashlib.sha256(pair.key).digest()
        return served, both

    def _state(self) -> tuple[tuple[int, int, int], ...]:
        """Return what changes when a file is written or exchanged."""
        found = []
        for path in self.files:
            try:
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except OSError as error:
                found.append((0, 0, -(error.errno or 0)))
        return tuple(found)
