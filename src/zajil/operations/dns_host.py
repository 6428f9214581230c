"""The DNS records of the server's own name: addresses, SPF, TLSA, CAA."""

from __future__ import annotations

from ipaddress import ip_address

from zajil.config.options import Configuration
from zajil.keys.record import zone_text
from zajil.operations.dns_record import DnsRecord
from zajil.operations.server_facts import ServerFacts
from zajil.tracking.check_names import mark


def host_records(domain: str, configuration: Configuration, facts: ServerFacts) -> list[DnsRecord]:
    """Return the records of the host name, as a server of a domain needs them.

    Args:
        domain: ASCII form.
        configuration: of the server.
        facts: what else is known of it.
    """
    hostname = configuration.server.hostname
    return [
        *_addresses(configuration, facts),
        *_policy(domain, configuration),
        *_tls_records(hostname, facts),
    ]


def spf_value(first: str, configuration: Configuration) -> str:
    """Return an SPF record that permits this server and those it sends through.

    Args:
        first: ``mx`` or ``a`` (RFC 7208 section 5).
        configuration: names the others.
    """
    others = [*configuration.dns.spf_mechanisms, *(configuration.smarthost.spf or "").split()]
    return zone_text(" ".join(["v=spf1", first, *others, "-all"]))


def _addresses(configuration: Configuration, facts: ServerFacts) -> list[DnsRecord]:
    """Where the server is, and that its address says so too."""
    hostname = configuration.server.hostname
    bound = [listener.rpartition(":")[0].strip("[]") for listener in configuration.listen.smtp]
    public = [text for text in bound if ip_address(text).is_global]
    found: list[DnsRecord] = []
    for kind, mark_of, purpose, only, missing in (
        (
            "A",
            ".",
            mark("Where the server is."),
            mark("Where the server is: the only public IPv4 address of this machine."),
            mark("<the IPv4 address of this server>"),
        ),
        (
            "AAAA",
            ":",
            mark("The same with IPv6."),
            mark("The same with IPv6: the only public IPv6 address of this machine."),
            mark("<its IPv6 address, if it has one>"),
        ),
    ):
        values = [text for text in public if mark_of in text]
        own = [text for text in facts.addresses if mark_of in text]
        if not values and not public and len(own) == 1:
            values, purpose = own, only
        optional = kind == "AAAA" and not values
        found += [
            DnsRecord(hostname, kind, text, purpose, is_optional=optional)
            for text in values or [missing]
        ]
    reverse = mark(
        "The address must have the server's name: many servers reject mail without it. The "
        "provider of the address sets it, often in its control panel."
    )
    known = [one.value for one in found if not one.is_open]
    names = known or [mark("<the address of this server>")]
    return found + [DnsRecord(name, "PTR", f"{hostname}.", reverse) for name in names]


def _policy(domain: str, configuration: Configuration) -> list[DnsRecord]:
    """SPF of the server's own name; one name has one policy (RFC 7208 section 4.5)."""
    hostname = configuration.server.hostname
    if hostname == domain:
        return []
    purpose = mark("Bounces name no sender: there the server's own name is looked up (SPF).")
    value = spf_value("a", configuration)
    return [DnsRecord(hostname, "TXT", value, purpose)]


def _tls_records(hostname: str, facts: ServerFacts) -> list[DnsRecord]:
    purpose = mark(
        "Other servers verify the key of this server with it (DANE). It has an effect only where "
        "the zone is signed with DNSSEC."
    )
    found = [
        DnsRecord(f"_25._tcp.{hostname}", "TLSA", f"3 1 1 {digest}", purpose, is_optional=True)
        for digest in facts.tls_keys
    ]
    issuer = facts.issuer
    if issuer is not None:
        value = (
            f'0 issue "{issuer.domain}; accounturi={issuer.account_uri}; '
            f'validationmethods={issuer.challenge}"'
        )
        purpose = mark("Only this server's account at the authority gets certificates (CAA).")
        found.append(DnsRecord(hostname, "CAA", value, purpose, is_optional=True))
    return found
