"""A site that shows logos of senders, and the server that has the certificates for them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage

from kit.certificates import TestAuthority
from kit.marks import MarkAuthority
from kit.site import Site, visiting
from kit.web_server import WebServer, answer, web_server
from zajil.store.engine.open import Store

PASSED = (
    b"Authentication-Results: mx.north.test; dmarc=pass header.from=south.test policy.dmarc=reject"
    b"\r\n"
)
AUTHORITY = MarkAuthority()
ZoneRecords = dict[str, dict[str, list[str]] | None]
Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


@dataclass(frozen=True, slots=True)
class LogoSite:
    """What a test acts on."""

    site: Site
    marks: WebServer
    """Has the certificate for ``south.test`` at ``/c.pem``."""
    zone: ZoneRecords
    """DNS; it may be changed."""


def make_contexts(authority: TestAuthority) -> Contexts:
    """Return the TLS context of a server of certificates, and of who asks it."""
    return authority.server_context("marks.test"), authority.client_context()


def proved(message: EmailMessage) -> bytes:
    """Return a message of south.test that passed DMARC here."""
    return PASSED + message.as_bytes()


@asynccontextmanager
async def logo_site(
    store: Store, tls: Contexts, *, roots: bytes | None = AUTHORITY.root
) -> AsyncIterator[LogoSite]:
    """Open a site over an empty store.

    Args:
        store: an empty one.
        tls: of ``make_contexts``.
        roots: that confirm logos, PEM; ``None``: none are shown.
    """
    zone: ZoneRecords = {
        "marks.test": {"A": ["127.0.0.1"]},
        "_dmarc.south.test": {"TXT": ["v=DMARC1; p=reject"]},
    }
    served = {"/c.pem": answer(AUTHORITY.issue(), "text/plain")}
    async with (
        web_server(served, tls[0]) as marks,
        visiting(
            store, zone, tls=tls[1], mark_roots=roots, private_networks=("127.0.0.1",)
        ) as site,
    ):
        where = f"https://marks.test:{marks.port}/c.pem"
        zone["default._bimi.south.test"] = {"TXT": [f"v=BIMI1; l=https://x.test/l; a={where}"]}
        yield LogoSite(site, marks, zone)
