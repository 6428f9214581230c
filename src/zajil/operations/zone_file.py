"""The records of a domain as a zone file that a name server loads (RFC 1035 section 5). Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime

from zajil.operations.dns_record import DnsRecord

_STAND_IN = "192.0.2.1"
"""Stands for an address that is not known: nobody has it, it is for documentation."""
_TIMERS = "7200 3600 1209600 3600"
"""Refresh, retry, expire, negative TTL (RFC 2308 section 5)."""


def zone_file(
    domain: str, hostname: str, records: Sequence[DnsRecord], now_ms: int, *, whole: bool
) -> str:
    """Write records as a zone file; what belongs to another zone stands in comments.

    Args:
        domain: ASCII form; the name of the zone.
        hostname: the server's own name.
        records: as ``dns_advice.records_for`` gives them.
        now_ms: for the serial number, which is the day.
        whole: with SOA and NS, so that the file is a zone by itself; else for a zone that exists.
    """
    lines = [*_head(domain, hostname, now_ms)] if whole else []
    is_placed = any(one.is_in(domain) and not one.is_open for one in _addresses(records))
    for record in records:
        lines += ["", *(f"; {text}" for text in _wrap(record.purpose))]
        if not record.is_in(domain):
            lines.append(f"; It belongs to another zone: {record.line}")
        elif not record.is_open:
            lines.append(record.line)
        elif record.type == "A" and not is_placed:
            lines.append(f"; REPLACE {_STAND_IN} by {record.value.strip('<>')}:")
            lines.append(f"{record.name}. IN A {_STAND_IN}")
        else:
            lines.append(f"; Fill in: {record.line}")
    return "\n".join(lines).lstrip("\n") + "\n"


def _head(domain: str, hostname: str, now_ms: int) -> list[str]:
    serial = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%d00")
    return [
        "; A whole zone. For a zone that exists, leave out SOA and NS (`--without-soa`).",
        "$TTL 3600",
        f"{domain}. IN SOA {hostname}. postmaster.{domain}. {serial} {_TIMERS}",
        "",
        "; REPLACE by the name servers of the zone:",
        f"{domain}. IN NS {hostname}.",
    ]


def _addresses(records: Sequence[DnsRecord]) -> list[DnsRecord]:
    return [one for one in records if one.type in ("A", "AAAA")]


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, 90)
