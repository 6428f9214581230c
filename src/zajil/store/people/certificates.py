"""Certificates by ACME (RFC 8555): what was obtained, what is next, and answers to challenges.

Laws:
- A certificate that cannot be renewed stays, whatever fails.
- Each change of what is presented touches ``CERTIFICATES``: all workers load it.
- Private keys leave the store for ``certificates`` and for the workers alone, never for a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import NotFound
from zajil.core.value_class import value_class
from zajil.store.engine.batch import CERTIFICATES, touch
from zajil.store.schema import acme_account, acme_challenge, host_certificate, host_key


class NoSuchCertificate(NotFound):
    """The server asks no authority for a certificate of this name."""


@value_class(frozen=True, slots=True)
class AcmeAccount:
    """Our account at an authority."""

    directory: str
    """Address of the authority's directory."""
    private_key: bytes
    """PKCS #8 in PEM."""
    uri: str | None
    """``None``: not registered yet."""
    created_ms: int
    caa_domain: str | None = None
    """Name of the authority in CAA records (RFC 8659); ``None``: it does not say."""


@value_class(frozen=True, slots=True, kw_only=True)
class CertificateRow:
    """What is known of one name, without its private key."""

    name: str
    """ASCII form; may begin with ``*.``."""
    key_hash: str | None = None
    """Of the key in the certificate (``store.people.host_keys``)."""
    chain: bytes | None = None
    """PEM; ``None``: there is no certificate yet."""
    not_before_ms: int | None = None
    not_after_ms: int | None = None
    renew_ms: int | None = None
    """When it is due for renewal."""
    ask_ms: int | None = None
    """When the authority is asked again for a better time (RFC 9773)."""
    tried_ms: int | None = None
    """When an order was last tried."""
    next_try_ms: int | None = None
    """Not to be tried before, after a failure."""
    failures: int = 0
    """Since the last success."""
    error: str | None = None
    """Why the last try failed."""
    waits_for: str | None = None
    """What must happen before it is tried, one sentence; ``None``: nothing."""


@value_class(frozen=True, slots=True, kw_only=True)
class NewCertificate:
    """A certificate that was just issued."""

    name: str
    key_hash: str
    chain: bytes
    not_before_ms: int
    not_after_ms: int
    renew_ms: int
    ask_ms: int
    at_ms: int


@value_class(frozen=True, slots=True)
class OrderFailed:
    """An order that failed."""

    name: str
    error: str
    at_ms: int
    next_try_ms: int


@value_class(frozen=True, slots=True)
class RenewalTime:
    """When a certificate is due, and when to ask again."""

    name: str
    renew_ms: int
    ask_ms: int


@value_class(frozen=True, slots=True)
class AcmeChallenge:
    """What the authority will look for."""

    token: str
    name: str
    answer: str
    """The key authorization (RFC 8555 section 8.1)."""
    created_ms: int
    certificate: bytes | None = None
    """For TLS-ALPN-01 (RFC 8737): PEM; ``None``: for another challenge."""
    private_key: bytes | None = None


@value_class(frozen=True, slots=True)
class Presented:
    """A certificate with its key."""

    name: str
    chain: bytes
    private_key: bytes


def keep_acme_account(tx: Connection, items: Sequence[AcmeAccount]) -> list[None]:
    """Keep accounts; the key of one that is there stays.

    Unit of work: idempotent; touches nothing.
    """
    for item in items:
        known = acme_account.c.directory == item.directory
        if tx.execute(sa.select(acme_account.c.directory).where(known)).first() is None:
            tx.execute(sa.insert(acme_account).values(asdict(item)))
        elif item.uri is not None:
            tx.execute(
                sa.update(acme_account)
                .where(known)
                .values(uri=item.uri, caa_domain=item.caa_domain)
            )
    return [None] * len(items)


def forget_acme_registration(tx: Connection, items: Sequence[str]) -> list[None]:
    """Forget the addresses of our accounts at these authorities, by their directories; the keys
    stay.

    Unit of work: idempotent; touches nothing.
    """
    known = acme_account.c.directory.in_(list(items))
    tx.execute(sa.update(acme_account).where(known).values(uri=None))
    return [None] * len(items)


def load_acme_account(conn: Connection, directory: str) -> AcmeAccount | None:
    """Return our account at an authority."""
    query = sa.select(acme_account).where(acme_account.c.directory == directory)
    row = conn.execute(query).one_or_none()
    return None if row is None else AcmeAccount(**row._mapping)


def list_certificates(conn: Connection) -> list[CertificateRow]:
    """Return all names that were ever asked for, by name."""
    query = sa.select(host_certificate).order_by(host_certificate.c.name)
    return [CertificateRow(**row._mapping) for row in conn.execute(query)]


def keep_certificates(tx: Connection, items: Sequence[NewCertificate]) -> list[None]:
    """Present these certificates from now on.

    Unit of work: idempotent.
    """
    for item in items:
        values = {
            "key_hash": item.key_hash,
            "chain": item.chain,
            "not_before_ms": item.not_before_ms,
            "not_after_ms": item.not_after_ms,
            "renew_ms": item.renew_ms,
            "ask_ms": item.ask_ms,
            "tried_ms": item.at_ms,
            "next_try_ms": None,
            "failures": 0,
            "error": None,
            "waits_for": None,
        }
        _write(tx, item.name, values)
    touch(tx, CERTIFICATES)
    return [None] * len(items)


def note_order_failed(tx: Connection, items: Sequence[OrderFailed]) -> list[None]:
    """Note why an order failed; the certificate in use stays.

    Unit of work: counts each item as one failure.
    """
    for item in items:
        failures = _write(tx, item.name, {}).failures + 1
        values = {
            "tried_ms": item.at_ms,
            "next_try_ms": item.next_try_ms,
            "failures": failures,
            "error": item.error,
            "waits_for": None,
        }
        _write(tx, item.name, values)
    return [None] * len(items)


def note_waiting(tx: Connection, items: Sequence[tuple[str, str | None]]) -> list[None]:
    """Note what names wait for: pairs of a name and a sentence, or ``None``.

    Unit of work: idempotent.
    """
    for name, reason in items:
        _write(tx, name, {"waits_for": reason})
    return [None] * len(items)


def note_renewal_time(tx: Connection, items: Sequence[RenewalTime]) -> list[None]:
    """Note when certificates are due.

    Unit of work: idempotent.
    """
    for item in items:
        _write(tx, item.name, {"renew_ms": item.renew_ms, "ask_ms": item.ask_ms})
    return [None] * len(items)


def request_renewal(tx: Connection, items: Sequence[str]) -> list[None]:
    """Have names renewed at once, whatever failed before.

    Unit of work: idempotent; the worker that orders hears of it.

    Raises:
        NoSuchCertificate: the name is unknown.
    """
    for name in items:
        found = tx.execute(
            sa.update(host_certificate)
            .where(host_certificate.c.name == name)
            .values(renew_ms=0, ask_ms=None, next_try_ms=None, failures=0)
        )
        if found.rowcount == 0:
            raise NoSuchCertificate(f"there is no certificate for {name}")
    touch(tx, CERTIFICATES)
    return [None] * len(items)


def forget_certificates(tx: Connection, items: Sequence[str]) -> list[None]:
    """Forget names and their keys.

    Unit of work: idempotent.
    """
    tx.execute(sa.delete(host_certificate).where(host_certificate.c.name.in_(list(items))))
    tx.execute(sa.delete(host_key).where(host_key.c.name.in_(list(items))))
    touch(tx, CERTIFICATES)
    return [None] * len(items)


def load_presented(conn: Connection) -> list[Presented]:
    """Return all certificates with their keys, for the workers."""
    query = sa.select(
        host_certificate.c.name, host_certificate.c.chain, host_key.c.private_key
    ).join_from(host_certificate, host_key, host_key.c.key_hash == host_certificate.c.key_hash)
    rows = conn.execute(query.where(host_certificate.c.chain.is_not(None)))
    return [Presented(row.name, bytes(row.chain), bytes(row.private_key)) for row in rows]


def put_challenges(tx: Connection, items: Sequence[AcmeChallenge]) -> list[None]:
    """Answer these challenges from now on; older ones of the same names are removed.

    Unit of work: idempotent.
    """
    for item in items:
        tx.execute(sa.delete(acme_challenge).where(acme_challenge.c.name == item.name))
        tx.execute(sa.insert(acme_challenge).values(asdict(item)))
    touch(tx, CERTIFICATES)
    return [None] * len(items)


def remove_challenges(tx: Connection, items: Sequence[str]) -> list[None]:
    """Answer no challenge of these names any more.

    Unit of work: idempotent.
    """
    tx.execute(sa.delete(acme_challenge).where(acme_challenge.c.name.in_(list(items))))
    touch(tx, CERTIFICATES)
    return [None] * len(items)


def find_challenge(conn: Connection, token: str) -> str | None:
    """Return what ``/.well-known/acme-challenge/TOKEN`` answers (RFC 8555 section 8.3)."""
    query = sa.select(acme_challenge.c.answer).where(acme_challenge.c.token == token)
    found: str | None = conn.scalar(query)
    return found


def load_challenge_certificates(conn: Connection) -> list[Presented]:
    """Return the certificates that answer TLS-ALPN-01 challenges."""
    query = sa.select(acme_challenge).where(acme_challenge.c.certificate.is_not(None))
    return [
        Presented(row.name, bytes(row.certificate), bytes(row.private_key))
        for row in conn.execute(query)
    ]


def _write(tx: Connection, name: str, values: dict[str, object]) -> CertificateRow:
    """Change the row of a name, which is made if need be; give it as it was before."""
    this = host_certificate.c.name == name
    row = tx.execute(sa.select(host_certificate).where(this).with_for_update()).one_or_none()
    if row is None:
        tx.execute(sa.insert(host_certificate).values({"failures": 0, **values, "name": name}))
        return CertificateRow(name=name)
    if values:
        tx.execute(sa.update(host_certificate).where(this).values(values))
    return CertificateRow(**row._mapping)
