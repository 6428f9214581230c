"""Compare the DNS records that a domain should have with those that it has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from zajil.dns.flow import Answer, Outcome, Question, Resolve
from zajil.operations.dns_advice import DnsRecord

RecordState = Literal["found", "missing", "other", "optional", "unknown", "unchecked"]
"""``other``: something else is there; ``optional``: missing, and not needed by all; ``unknown``:
DNS did not answer; ``unchecked``: this type is not looked up."""
_CHECKED = ("A", "AAAA", "MX", "TXT", "PTR", "SRV")
_MOST_FOUND = 10
"""Values of one answer that are shown."""


@dataclass(frozen=True, slots=True)
class CheckedRecord:
    """A record, and what DNS says of it."""

    record: DnsRecord
    state: RecordState = "unchecked"
    found: tuple[str, ...] = ()
    """What is there now, where it is of the same kind."""


async def check_dns(records: Sequence[DnsRecord], resolve: Resolve) -> list[CheckedRecord]:
    """Look up each record; returns them in their order. Waits for the slowest answer.

    Args:
        records: as ``dns_advice.records_for`` gives them.
        resolve: a resolver; what it remembers is good for the TTL of the old records.
    """
    return list(await asyncio.gather(*[_check(one, records, resolve) for one in records]))


async def _check(
    record: DnsRecord, records: Sequence[DnsRecord], resolve: Resolve
) -> CheckedRecord:
    if record.type not in _CHECKED:
        return CheckedRecord(record)
    if record.type == "PTR":
        return await _check_reverse(record, records, resolve)
    answer = await resolve(Question(record.name, record.type))
    if answer.outcome is Outcome.FAILED:
        return CheckedRecord(record, "unknown")
    return _compare(record, answer)


def _compare(record: DnsRecord, answer: Answer) -> CheckedRecord:
    wanted = unquote(record.value)
    found = tuple(one for one in answer.values if _is_same_kind(wanted, one))[:_MOST_FOUND]
    if is_open(record):
        # The operator knows the address of the server; any is taken.
        absent: RecordState = "optional" if record.type == "AAAA" else "missing"
        return CheckedRecord(record, "found" if found else absent, found)
    if not found:
        return CheckedRecord(record, "optional" if _is_none(record) else "missing")
    is_same = [_normal(record, one) == _normal(record, wanted) for one in found]
    # One of several addresses or mail servers is enough; of policies and keys one may stand there.
    good = any(is_same) if record.type != "TXT" else all(is_same) and len(found) == 1
    return CheckedRecord(record, "found" if good else "other", found)


async def _check_reverse(
    record: DnsRecord, records: Sequence[DnsRecord], resolve: Resolve
) -> CheckedRecord:
    """Check that the addresses of the server have its name."""
    hostname = record.value.removesuffix(".")
    addresses = [record.name]
    if not _is_address(record.name):
        answers = [await resolve(Question(hostname, kind)) for kind in ("A", "AAAA")]
        addresses = [value for answer in answers for value in answer.values][:_MOST_FOUND]
        if not addresses:
            failed = any(one.outcome is Outcome.FAILED for one in answers)
            return CheckedRecord(record, "unknown" if failed else "missing")
    found: list[str] = []
    states: list[RecordState] = []
    for address in addresses:
        answer = await resolve(Question(ip_address(address).reverse_pointer, "PTR"))
        found += [f"{address} → {name}" for name in answer.values]
        names = [name.casefold() for name in answer.values]
        if answer.outcome is Outcome.FAILED:
            states.append("unknown")
        elif not names:
            states.append("missing")
        else:
            states.append("found" if hostname.casefold() in names else "other")
    worst: Sequence[RecordState] = ("unknown", "missing", "other", "found")
    return CheckedRecord(record, next(one for one in worst if one in states), tuple(found))


def _is_none(record: DnsRecord) -> bool:
    """Return whether a record says that there is no such service: few programs ask for it."""
    return record.type == "SRV" and record.value.endswith(" .")


def is_open(record: DnsRecord) -> bool:
    """Return whether the operator must fill in a value that this server does not know."""
    return record.value.startswith("<")


def unquote(value: str) -> str:
    """Return the text of a TXT record from its strings in quotes; other values as they are."""
    if not value.startswith('"'):
        return value
    text = value.strip('"').replace('" "', "")
    return text.replace('\\"', '"').replace("\\\\", "\\")


def _is_same_kind(wanted: str, found: str) -> bool:
    """Return whether a value may stand in the place of the wanted one: v=spf1, v=DMARC1 ..."""
    if not wanted.startswith("v="):
        return True
    first = wanted.split(maxsplit=1)[0].rstrip(";").casefold()
    if first == "v=dkim1":  # RFC 6376 section 3.6.1: v= may be left out
        return True
    return found.casefold().startswith(first)


def _normal(record: DnsRecord, value: str) -> str:
    """Return what matters of a value.

    That is the host of MX, port and host of SRV, the key of DKIM, that DMARC has a policy.
    """
    text = value.removesuffix(".").casefold()
    if record.type == "MX":
        return text.rpartition(" ")[2]
    if record.type == "SRV":  # port and host; priority and weight are the operator's choice
        return " ".join(text.split()[2:])
    tags = {
        name.strip(): rest.strip()
        for name, equals, rest in (part.partition("=") for part in value.split(";"))
        if equals
    }
    if "._domainkey." in record.name:
        return "".join(tags.get("p", "").split())
    if record.name.startswith("_dmarc."):
        return "policy" if tags.get("p", "").casefold() in _POLICIES else text
    return " ".join(text.split())


_POLICIES = ("none", "quarantine", "reject")


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False
