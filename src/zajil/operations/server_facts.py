"""What DNS records say of this server beyond its configuration file: addresses, keys, authority."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.certificates.listing import tlsa_hashes
from zajil.config.options import Configuration
from zajil.net.own_addresses import public_addresses
from zajil.store.engine.reader import Snapshot
from zajil.store.people.certificates import load_acme_account


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """The authority that issues the certificates of this server by ACME."""

    domain: str
    """As it stands in CAA records: ``letsencrypt.org`` (RFC 8659 section 4.2)."""
    account_uri: str
    """URL of our account there (RFC 8657 section 3)."""
    challenge: str
    """``http-01``, ``tls-alpn-01`` or ``dns-01`` (RFC 8657 section 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What is known where the records are made."""

    addresses: tuple[str, ...] = ()
    """Public addresses of this machine."""
    tls_keys: tuple[str, ...] = ()
    """SHA-256 of the public key of each certificate that the host name has or will have, in
    hexadecimal: TLSA ``3 1 1`` (RFC 7671 section 5.1)."""
    issuer: Issuer | None = None
    """``None``: certificates do not come by ACME, or there is no account yet."""


NOTHING_KNOWN = ServerFacts()


def find_facts(configuration: Configuration, conn: Snapshot | None = None) -> ServerFacts:
    """Look at this machine, its files and its store; what cannot be read is left out.

    Args:
        configuration: of the server.
        conn: of the store, for what an authority issued; ``None``: there is none yet.
    """
    return ServerFacts(
        addresses=tuple(public_addresses()),
        tls_keys=tlsa_hashes(conn, configuration),
        issuer=None if conn is None else _issuer(conn, configuration),
    )


def _issuer(conn: Snapshot, configuration: Configuration) -> Issuer | None:
    acme = configuration.acme
    if acme.directory is None:
        return None
    account = load_acme_account(conn, acme.directory)
    if account is None or account.uri is None or account.caa_domain is None:
        return None
    return Issuer(domain=account.caa_domain, account_uri=account.uri, challenge=acme.challenge)
