"""Compare the DNS records that a domain should have with those that it has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Literal

from zajil.dns.flow import Answer, Outcome, Question, Resolve, run_flow
from zajil.mailauth.spf import SpfQuery, check_spf
from zajil.operations.dns_compare import compare
from zajil.operations.dns_record import DnsRecord
from zajil.tracking.check_names import mark

RecordState = Literal[
    "found", "missing", "other", "optional", "unknown", "unchecked", "cached", "unsigned"
]
"""``other``: something else is there; ``optional``: missing, and not needed by all; ``unknown``:
DNS did not answer; ``unchecked``: this type is not looked up; ``cached``: the zone has it, and the
resolver still has the old answer; ``unsigned``: it is there without DNSSEC, which it needs."""
_CHECKED = ("A", "AAAA", "MX", "TXT", "PTR", "SRV", "CNAME", "TLSA", "CAA")
_MOST_FOUND = 10
"""Values of one answer that are shown."""
GOOD_STATES = ("found", "optional", "unchecked")
"""Nothing is to be done."""

ADVICE: dict[str, str] = {
    "missing": mark("Add this record to the zone."),
    "other": mark("Another value is there now: replace it by this record."),
    "unknown": mark("DNS did not answer. Try again; if it stays so, check the name servers."),
    "cached": mark(
        "The zone has the record. Your resolver still has the old answer; wait until it expires."
    ),
    "unsigned": mark(
        "The record has an effect only with DNSSEC: sign the zone, and use a resolver on this "
        "machine that validates."
    ),
}
"""What to do about a record, by its state; a key of the catalogs."""

Ask = Callable[[Question], Awaitable[Answer | None]]
"""Asks the name servers of a zone themselves, as ``resolver.authority.Authorities.ask``."""


@dataclass(frozen=True, slots=True)
class CheckedRecord:
    """A record, and what DNS says of it."""

    record: DnsRecord
    state: RecordState = "unchecked"
    found: tuple[str, ...] = ()
    """What is there now, where it is of the same kind."""
    authentic: bool = False
    """The answer was validated by DNSSEC."""
    ttl_seconds: int = 0
    """How long the resolver keeps this answer."""


def is_all_right(checked: Sequence[CheckedRecord]) -> bool:
    """Return whether no record needs anything to be done."""
    return all(is_good(one) for one in checked)


def is_good(checked: CheckedRecord) -> bool:
    """Return whether nothing must be done; an optional record may lack what it needs."""
    return checked.state in GOOD_STATES or (
        checked.state == "unsigned" and checked.record.is_optional
    )


async def check_dns(
    records: Sequence[DnsRecord], resolve: Resolve, ask_zone: Ask | None = None
) -> list[CheckedRecord]:
    """Look up each record; returns them in their order. Waits for the slowest answer.

    Args:
        records: as ``dns_advice.records_for`` gives them.
        resolve: a resolver; what it remembers is good for the TTL of the old records.
        ask_zone: asks the name servers of the zone where the resolver has not what is wanted;
            ``None``: only the resolver is asked.
    """
    return list(await asyncio.gather(*[_check(one, records, resolve, ask_zone) for one in records]))


async def _check(
    record: DnsRecord, records: Sequence[DnsRecord], resolve: Resolve, ask_zone: Ask | None
) -> CheckedRecord:
    if record.type not in _CHECKED:
        return CheckedRecord(record)
    if record.type == "PTR":
        return await _check_reverse(record, records, resolve)
    if record.type == "CNAME":
        return await _check_alias(record, resolve)
    question = Question(record.name, record.type)
    answer = await resolve(question)
    if answer.outcome is Outcome.FAILED:
        return CheckedRecord(record, "unknown")
    checked = await _judge(record, answer, resolve)
    if record.type in ("A", "AAAA") and answer.outcome is Outcome.FOUND:
        # RFC 5321 section 5.1: the host of an MX record is no alias.
        alias = await resolve(Question(record.name, "CNAME"))
        if alias.outcome is Outcome.FOUND:
            found = tuple(f"CNAME {value}" for value in alias.values)
            return replace(checked, state="other", found=found)
    if checked.state in ("missing", "other") and ask_zone is not None:
        fresh = await ask_zone(question)
        if fresh is not None and (await _judge(record, fresh, resolve)).state == "found":
            return replace(checked, state="cached")
    return checked


async def _judge(record: DnsRecord, answer: Answer, resolve: Resolve) -> CheckedRecord:
    state, found = compare(record, answer.values)
    checked = CheckedRecord(
        record, state, found[:_MOST_FOUND], answer.authentic, answer.ttl_seconds
    )
    if state == "found" and record.type == "TLSA" and not answer.authentic:
        return replace(checked, state="unsigned")
    is_policy = record.type == "TXT" and record.value.startswith('"v=spf1 ')
    if state == "other" and is_policy and await _permits(record.name, record, resolve):
        return replace(checked, state="found")
    return checked


async def _permits(domain: str, record: DnsRecord, resolve: Resolve) -> bool:
    """Return whether another SPF record permits what ours would: mail from these hosts."""
    if record.value.startswith('"v=spf1 mx'):
        mail = await resolve(Question(domain, "MX"))
        hosts = [value.rpartition(" ")[2] for value in mail.values[:1]]
    else:
        hosts = [domain]
    addresses: list[str] = []
    for host in hosts:
        addresses += await _addresses_of(host, resolve)
    if not addresses:
        return False
    for address in addresses:
        query = SpfQuery(ip_address(address), f"postmaster@{domain}", domain)
        if (await run_flow(check_spf(query), resolve)).result != "pass":
            return False
    return not await _permits_everybody(domain, resolve)


async def _permits_everybody(domain: str, resolve: Resolve) -> bool:
    """Return whether mail from an address that nobody has passes: the record protects nothing."""
    query = SpfQuery(ip_address("192.0.2.1"), f"postmaster@{domain}", domain)
    return (await run_flow(check_spf(query), resolve)).result == "pass"


async def _check_alias(record: DnsRecord, resolve: Resolve) -> CheckedRecord:
    """Check that a name leads to the server, by an alias or by addresses of its own."""
    target = record.value.removesuffix(".")
    here, there = await asyncio.gather(_answers(record.name, resolve), _answers(target, resolve))
    if any(one.outcome is Outcome.FAILED for one in here):
        return CheckedRecord(record, "unknown")
    found = tuple(value for answer in here for value in answer.values)[:_MOST_FOUND]
    ttl, authentic = here[0].ttl_seconds, all(one.authentic for one in here)
    if not found:
        absent: RecordState = "optional" if record.is_optional else "missing"
        return CheckedRecord(record, absent, (), authentic, ttl)
    wanted = {value for answer in there for value in answer.values}
    state: RecordState = "found" if wanted.intersection(found) else "other"
    return CheckedRecord(record, state, found, authentic, ttl)


async def _check_reverse(
    record: DnsRecord, records: Sequence[DnsRecord], resolve: Resolve
) -> CheckedRecord:
    """Check that the addresses of the server have its name."""
    hostname = record.value.removesuffix(".")
    addresses = [record.name]
    if not _is_address(record.name):
        answers = await _answers(hostname, resolve)
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


async def _answers(host: str, resolve: Resolve) -> list[Answer]:
    return [await resolve(Question(host, kind)) for kind in ("A", "AAAA")]


async def _addresses_of(host: str, resolve: Resolve) -> list[str]:
    return [value for answer in await _answers(host, resolve) for value in answer.values]


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False
