"""All certificates of a server: own files and those of an authority, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.certificates.host_key import hash_of_chain
from zajil.config.options import Configuration
from zajil.store.engine.reader import Snapshot
from zajil.store.people.certificates import CertificateRow, list_certificates
from zajil.store.people.host_keys import HostKeyState, list_host_keys
from zajil.tls.certificate import CertificateFacts, certificate_facts, read_certificate
from zajil.tls.context import BadCertificate, read_file


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCertificate:
    """One certificate, or a name that waits for one."""

    name: str
    """Host name; of an own file its first name, or its path if it cannot be read."""
    state: str
    """``own``, ``valid``, ``renewing`` (it is due), ``failing`` (the last try failed), ``waiting``,
    ``expired`` or ``broken`` (the file cannot be read)."""
    facts: CertificateFacts | None = None
    """``None``: there is no certificate."""
    file: str | None = None
    """Of an own certificate."""
    renew_ms: int | None = None
    """When it is renewed, or tried again."""
    tried_ms: int | None = None
    failures: int = 0
    reason: str | None = None
    """Last error, or what it waits for."""


def list_all(conn: Snapshot, configuration: Configuration, now_ms: int) -> list[ListedCertificate]:
    """Return all certificates, own files first. Reads the files."""
    own = own_certificates(configuration, now_ms)
    covered = [one.facts for one in own if one.facts is not None]
    stored = [
        _stored(row, now_ms)
        for row in list_certificates(conn)
        if not any(facts.fits(row.name) for facts in covered)
    ]
    return own + stored if configuration.acme.directory else own


def own_certificates(configuration: Configuration, now_ms: int) -> list[ListedCertificate]:
    """Return the certificates of ``tls.certificate`` and ``tls.more``. Reads the files."""
    found = []
    for path, _ in configuration.tls.own_files:
        try:
            facts = read_certificate(path)
        except BadCertificate as error:
            found.append(
                ListedCertificate(name=str(path), state="broken", file=str(path), reason=str(error))
            )
            continue
        state = "own" if now_ms < facts.not_after_ms else "expired"
        name = facts.names[0] if facts.names else str(path)
        found.append(ListedCertificate(name=name, state=state, facts=facts, file=str(path)))
    return found


def tlsa_hashes(conn: Snapshot | None, configuration: Configuration) -> tuple[str, ...]:
    """Return the values for TLSA records ``3 1 1`` of the host name, the key in use first.

    An own file has priority; beside the active key, the next one is listed, and the one before it
    until a certificate for the new key is there. Reads the file.

    Args:
        conn: of the store; ``None``: there is none, and only an own file is looked at.
        configuration: of the server.

    Returns:
        Empty: there is no key yet.
    """
    hostname = configuration.server.hostname
    for path, _ in configuration.tls.own_files:
        try:
            chain = read_file(path)
            is_main = path == configuration.tls.certificate and configuration.acme.directory is None
            if is_main or certificate_facts(chain, str(path)).fits(hostname):
                return (hash_of_chain(chain),)
        except BadCertificate:
            continue
    if conn is None or configuration.acme.directory is None:
        return ()
    rows = {row.name: row for row in list_certificates(conn)}
    in_use = rows[hostname].key_hash if hostname in rows else None
    keys = list_host_keys(conn, hostname)
    order = (HostKeyState.ACTIVE, HostKeyState.NEXT)
    found = [key.key_hash for state in order for key in keys if key.state is state]
    found += [key.key_hash for key in keys if key.key_hash == in_use]
    return tuple(dict.fromkeys(sorted(found, key=lambda one: one != in_use)))


def _stored(row: CertificateRow, now_ms: int) -> ListedCertificate:
    facts = certificate_facts(row.chain) if row.chain is not None else None
    renew_ms = row.next_try_ms or row.renew_ms
    if facts is not None and facts.not_after_ms <= now_ms:
        state = "expired"
    elif row.error is not None:
        state = "failing"
    elif row.waits_for is not None:
        state = "waiting"
    else:
        state = "valid" if facts is not None and (row.renew_ms or 0) > now_ms else "renewing"
    return ListedCertificate(
        name=row.name,
        state=state,
        facts=facts,
        renew_ms=renew_ms,
        tried_ms=row.tried_ms,
        failures=row.failures,
        reason=row.error or row.waits_for,
    )
