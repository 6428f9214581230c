"""The DNS records a domain needs so that its mail arrives, here and elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from zajil.config.options import Configuration
from zajil.core.directory import REPORTS_LOCAL_PART
from zajil.core.service import IMAP_SERVICES, POP3_SERVICES, Service
from zajil.keys.record import record_value, zone_text
from zajil.mailauth.dkim_key import key_name
from zajil.store.people.dkim_keys import DkimKeyRow, KeyState
from zajil.tracking.check_names import mark


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record to publish."""

    name: str
    """ASCII form, without a final dot; of a PTR record: the address it is for."""
    type: str
    value: str
    """As it stands in a zone file; in angle brackets: what the operator must fill in."""
    purpose: str
    """One sentence for a person; a key of the catalogs, as are the values in angle brackets."""


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
    domain: str, configuration: Configuration, keys: Sequence[DkimKeyRow]
) -> list[DnsRecord]:
    """Return the records to publish for a domain that this server is home to.

    Args:
        domain: ASCII form.
        configuration: of the server; its own name and its listeners matter.
        keys: all signing keys of the domain.
    """
    hostname = configuration.server.hostname
    return [
        DnsRecord(
            domain, "MX", f"10 {hostname}.", mark("Mail for the domain comes to this server.")
        ),
        *_server_records(configuration),
        DnsRecord(
            domain,
            "TXT",
            '"v=spf1 mx -all"',
            mark("Only this server sends mail for the domain (SPF)."),
        ),
        *_host_policy(domain, hostname),
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
        *_service_records(domain, configuration),
    ]


def key_records(keys: Sequence[DkimKeyRow]) -> list[DnsRecord]:
    """Return the record of each key, as it should be now (RFC 6376 section 3.6.1)."""
    return [
        DnsRecord(
            key_name(row.domain, row.selector),
            "TXT",
            zone_text(record_value(row)),
            _KEY_PURPOSES[row.state],
        )
        for row in keys
    ]


def _server_records(configuration: Configuration) -> list[DnsRecord]:
    """The server's own name: where it is, and that its address says so too."""
    hostname = configuration.server.hostname
    bound = [listener.rpartition(":")[0].strip("[]") for listener in configuration.listen.smtp]
    public = [text for text in bound if ip_address(text).is_global]
    ipv4 = [text for text in public if ":" not in text] or [
        mark("<the IPv4 address of this server>")
    ]
    ipv6 = [text for text in public if ":" in text] or [mark("<its IPv6 address, if it has one>")]
    return [
        *(DnsRecord(hostname, "A", text, mark("Where the server is.")) for text in ipv4),
        *(DnsRecord(hostname, "AAAA", text, mark("The same with IPv6.")) for text in ipv6),
        DnsRecord(
            public[0] if public else mark("<the address of this server>"),
            "PTR",
            f"{hostname}.",
            mark(
                "The address must have the server's name: many servers reject mail without it. The "
                "provider of the address sets it, often in its control panel."
            ),
        ),
    ]


def _host_policy(domain: str, hostname: str) -> list[DnsRecord]:
    """SPF of the server's own name; one name has one policy (RFC 7208 section 4.5)."""
    if hostname == domain:
        return []
    purpose = mark("Bounces name no sender: there the server's own name is looked up (SPF).")
    return [DnsRecord(hostname, "TXT", '"v=spf1 a -all"', purpose)]


def _service_records(domain: str, configuration: Configuration) -> list[DnsRecord]:
    """SRV records by which mail programs set themselves up (RFC 6186 section 3)."""
    listen, hostname = configuration.listen, configuration.server.hostname
    # RFC 8314 section 3: programs shall use TLS from the first byte, so the others have no record
    # where they are offered too.
    found = [
        DnsRecord(
            f"_{service}._tcp.{domain}",
            "SRV",
            f"0 1 {listeners[0].rpartition(':')[2]} {hostname}.",
            mark("Mail programs find the server by themselves."),
        )
        for service, listeners in (
            (Service.SUBMISSIONS, listen.submissions),
            (Service.IMAPS, listen.imaps),
            (Service.POP3S, listen.pop3s),
        )
        if listeners
    ]
    users = (Service.SUBMISSION, Service.SUBMISSIONS, *IMAP_SERVICES, *POP3_SERVICES)
    absent = [one for one in users if not getattr(listen, one)]
    purpose = mark("The server does not offer this service (RFC 6186 section 3.4).")
    return found + [
        DnsRecord(f"_{service}._tcp.{domain}", "SRV", "0 0 0 .", purpose) for service in absent
    ]
