"""The DNS records a domain needs so that its mail arrives, here and elsewhere.

Those of the server's own name are in ``dns_host``; this module adds those of the domain.
"""

from __future__ import annotations

from collections.abc import Sequence

from zajil.config.options import Configuration
from zajil.core.directory import REPORTS_LOCAL_PART, TLS_REPORTS_LOCAL_PART
from zajil.core.public_names import POLICY_LABEL, SETTINGS_LABELS
from zajil.core.service import Service
from zajil.keys.record import record_value, zone_text
from zajil.mailauth.dkim_key import key_name
from zajil.operations.dkim_keys import show_keys
from zajil.operations.dns_host import host_records, spf_value
from zajil.operations.dns_record import DnsRecord
from zajil.operations.mail_servers import offered_ports
from zajil.operations.mta_sts import policy_id
from zajil.operations.server_facts import NOTHING_KNOWN, ServerFacts, find_facts
from zajil.store.engine.reader import Snapshot
from zajil.store.people.dkim_keys import DkimKeyRow, KeyState
from zajil.store.people.domains import list_domains
from zajil.tracking.check_names import mark

_KEY_PURPOSES = {
    KeyState.PUBLISHED: mark(
        "A new key for our signatures (DKIM). Nothing is signed with it until this record is found."
    ),
    KeyState.ACTIVE: mark(
        "Others verify with it that mail is from the domain, and unchanged (DKIM)."
    ),
    KeyState.RETIRED: mark(
        "Leave it in place: mail that was signed with this key may be under way (DKIM)."
    ),
    KeyState.REVOKED: mark("The key is revoked: put this in the place of its record (DKIM)."),
}


def records_for(
    domain: str,
    configuration: Configuration,
    keys: Sequence[DkimKeyRow],
    facts: ServerFacts = NOTHING_KNOWN,
) -> list[DnsRecord]:
    """Return the records to publish for a domain that this server is home to.

    Args:
        domain: ASCII form.
        configuration: of the server; its own name and its listeners matter.
        keys: all signing keys of the domain.
        facts: what else is known of the server.
    """
    hostname = configuration.server.hostname
    return [
        DnsRecord(
            domain, "MX", f"10 {hostname}.", mark("Mail for the domain comes to this server.")
        ),
        *host_records(domain, configuration, facts),
        DnsRecord(
            domain,
            "TXT",
            spf_value("mx", configuration),
            mark("Only this server sends mail for the domain (SPF)."),
        ),
        *key_records(keys),
        DnsRecord(
            f"_dmarc.{domain}",
            "TXT",
            f'"v=DMARC1; p=none; rua=mailto:{REPORTS_LOCAL_PART}@{domain}"',
            mark(
                "Others report what they see sent in the domain's name (DMARC). When the reports "
                "show that all mail of yours passes, make it p=quarantine, and p=reject in the end."
            ),
        ),
        DnsRecord(
            f"_smtp._tls.{domain}",
            "TXT",
            f'"v=TLSRPTv1; rua=mailto:{TLS_REPORTS_LOCAL_PART}@{domain}"',
            mark("Others report when they could not deliver mail encrypted (TLSRPT)."),
        ),
        *_service_records(domain, configuration),
        *_web_records(domain, configuration),
    ]


def all_records(
    conn: Snapshot, configuration: Configuration, domains: Sequence[str] = ()
) -> dict[str, list[DnsRecord]]:
    """Return the records of several domains, with what is known of this machine.

    Args:
        conn: of the store.
        configuration: of the server.
        domains: ASCII forms; empty: all.

    Raises:
        NoSuchDomain: one is not a domain of this server.
    """
    facts = find_facts(configuration, conn)
    names = list(domains) or [one.ascii_name for one in list_domains(conn)]
    return {name: records_for(name, configuration, show_keys(conn, name), facts) for name in names}


def key_records(keys: Sequence[DkimKeyRow]) -> list[DnsRecord]:
    """Return the record of each key, as it should be now (RFC 6376 section 3.6.1)."""
    return [
        DnsRecord(
            key_name(row.domain, row.selector),
            "TXT",
            zone_text(record_value(row)),
            _KEY_PURPOSES[row.state],
            is_optional=row.state is KeyState.REVOKED,
        )
        for row in keys
    ]


_PRIORITIES = {
    Service.SUBMISSIONS: 0,
    Service.SUBMISSION: 10,
    Service.IMAPS: 0,
    Service.IMAP: 10,
    Service.POP3S: 20,
    Service.POP3: 30,
}
"""Services of mail programs with the priority of their records: TLS from the first byte comes first
(RFC 8314 section 3), and IMAP before POP3 (RFC 6186 section 3.3)."""


def _service_records(domain: str, configuration: Configuration) -> list[DnsRecord]:
    """SRV records by which mail programs set themselves up (RFC 6186 section 3)."""
    offered = mark("Mail programs find the server by themselves.")
    absent = mark("The server does not offer this service (RFC 6186 section 3.4).")
    host = configuration.clients.hostname or configuration.server.hostname
    ports = offered_ports(configuration)
    found: list[DnsRecord] = []
    for service, priority in _PRIORITIES.items():
        value, purpose = "0 0 0 .", absent
        if service in ports:
            value, purpose = f"{priority} 1 {ports[service]} {host}.", offered
        is_optional = service not in ports or not service.has_implicit_tls
        name = f"_{service}._tcp.{domain}"
        found.append(DnsRecord(name, "SRV", value, purpose, is_optional=is_optional))
    return found


def _web_records(domain: str, configuration: Configuration) -> list[DnsRecord]:
    """Names of the domain that lead to our web pages, where programs and servers look."""
    hostname, listen = configuration.server.hostname, configuration.listen
    if not (listen.web or listen.https):
        return []
    autoconfig, autodiscover = (f"{label}.{domain}" for label in SETTINGS_LABELS)
    names = [
        (autoconfig, mark("Thunderbird and others find their settings here."), False),
        (autodiscover, mark("Outlook finds its settings here."), True),
    ]
    found: list[DnsRecord] = []
    if listen.https:
        purpose = mark(
            "Other servers read here that mail for the domain must be encrypted (MTA-STS). The id "
            "changes with the policy."
        )
        value = f'"v=STSv1; id={policy_id(configuration)}"'
        found.append(DnsRecord(f"_mta-sts.{domain}", "TXT", value, purpose))
        names.insert(0, (f"{POLICY_LABEL}.{domain}", mark("The MTA-STS policy is here."), False))
        value = f"0 1 443 {hostname}."
        purpose = mark("Outlook finds its settings here.")
        found.append(
            DnsRecord(f"_autodiscover._tcp.{domain}", "SRV", value, purpose, is_optional=True)
        )
    return found + [
        DnsRecord(name, "CNAME", f"{hostname}.", purpose, is_optional=is_optional)
        for name, purpose, is_optional in names
        if name != hostname
    ]
