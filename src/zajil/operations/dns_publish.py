"""Write the DNS records of domains by the API of a provider, after a plan that the operator sees.

Laws:
- What this server does not own is not removed: mail servers, addresses, services of others stay.
- A policy that may stand only once (SPF, DMARC, a DKIM key ...) is replaced; an SPF record keeps
  all that it permits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from zajil.dns.flow import Resolve, run_flow
from zajil.operations.dns_compare import compare, unquote
from zajil.operations.dns_record import DnsRecord
from zajil.resolver.provider import find_zone
from zajil.resolver.zone_access import Provider, ZoneRecord

Step = Literal["add", "replace", "leave", "by hand"]
"""``leave``: something of others is there; ``by hand``: this provider cannot write it."""


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What will be done about one record."""

    step: Step
    record: DnsRecord
    zone: str | None
    """That the provider has; ``None``: unknown."""
    value: str
    """To be written; of TXT: the joined strings without quotes."""
    existing: tuple[str, ...] = ()
    """What is there now, where it matters."""
    note: str = ""
    """Why it is not written, and what to do; one sentence in English."""


async def plan_changes(
    records: Sequence[DnsRecord], provider: Provider, resolve: Resolve
) -> list[PlannedChange]:
    """Compare records with those that the provider has; what is right already is left out.

    Blocks while the provider answers.

    Args:
        records: of one or more domains; equal ones count once.
        provider: access to the zones.
        resolve: finds the zones.

    Raises:
        ProviderFailed: it could not be asked.
    """
    zones: dict[str, str | None] = {}
    planned: list[PlannedChange] = []
    for record in dict.fromkeys(records):
        value = unquote(record.value)
        if record.type == "PTR" or record.is_open:
            planned.append(PlannedChange("by hand", record, None, value))
            continue
        if record.name not in zones:
            zones[record.name] = await run_flow(find_zone(record.name), resolve)
        zone = zones[record.name]
        if zone is None:
            planned.append(PlannedChange("by hand", record, None, value, note=_NO_ZONE))
            continue
        change = _compare(record, zone, provider)
        if change is not None:
            planned.append(change)
    return [_hold_back(change, planned, zones, provider) for change in planned]


_NO_ZONE = "DNS does not say which zone this name is in: register the domain, or repair its zone."
_NOT_OURS = "It is not of this server: replace it yourself if it is old."
_SEVERAL = "Only one may stand there: remove the others yourself."
_ALIAS = "Nothing can stand beside a CNAME: remove that, or write this at the name it leads to."


def _hold_back(
    change: PlannedChange,
    planned: Sequence[PlannedChange],
    zones: Mapping[str, str | None],
    provider: Provider,
) -> PlannedChange:
    """Leave out an MX record whose host will have no address: servers refuse the whole update."""
    host = change.value.rpartition(" ")[2].removesuffix(".")
    if change.record.type != "MX" or change.step != "add" or host not in zones:
        return change
    zone = zones[host]
    is_planned = any(
        one.step == "add" and one.record.name == host and one.record.type in ("A", "AAAA")
        for one in planned
    )
    if is_planned or zone is None:
        return change
    if any(provider.list_records(zone, host, kind) for kind in ("A", "AAAA")):
        return change
    note = f"{host} has no address yet: publish its A or AAAA record first, then repeat this."
    return replace(change, step="by hand", note=note)


def apply_changes(planned: Sequence[PlannedChange], provider: Provider) -> int:
    """Write what is planned, zone by zone; returns the number of records written. Blocks.

    Raises:
        ProviderFailed: some zones may have been written.
    """
    by_zone: dict[str, list[PlannedChange]] = {}
    for change in planned:
        if change.step in ("add", "replace") and change.zone is not None:
            by_zone.setdefault(change.zone, []).append(change)
    written = 0
    for zone, changes in by_zone.items():
        remove = [
            ZoneRecord(one.record.name, one.record.type, value)
            for one in changes
            if one.step == "replace"
            for value in one.existing
        ]
        add = [ZoneRecord(one.record.name, one.record.type, one.value) for one in changes]
        provider.change(zone, remove, add)
        written += len(add)
    return written


def count_steps(planned: Sequence[PlannedChange]) -> Mapping[Step, int]:
    """Return how many changes of each kind there are."""
    counts: dict[Step, int] = {}
    for change in planned:
        counts[change.step] = counts.get(change.step, 0) + 1
    return counts


def _compare(record: DnsRecord, zone: str, provider: Provider) -> PlannedChange | None:
    there = provider.list_records(zone, record.name, record.type)
    raw = [one.value for one in there]
    # Answers have names without their final dot, which the comparison expects.
    plain = [value if record.type == "TXT" else value.removesuffix(".") for value in raw]
    state, found = compare(record, plain)
    value = unquote(record.value)
    if state == "found":
        return None
    same_kind = tuple(one for one, text in zip(raw, plain, strict=True) if text in found)
    if record.type == "CNAME" and not raw:
        own = [
            f"{kind} {one.value}"
            for kind in ("A", "AAAA")
            for one in provider.list_records(zone, record.name, kind)
        ]
        if own:  # a name with an alias has nothing else (RFC 1034 section 3.6.2)
            return PlannedChange("leave", record, zone, value, tuple(own), _NOT_OURS)
    if not same_kind:
        alias = provider.list_records(zone, record.name, "CNAME") if record.type != "CNAME" else []
        if alias:
            existing = tuple(f"CNAME {one.value}" for one in alias)
            return PlannedChange("leave", record, zone, value, existing, _ALIAS)
        return PlannedChange("add", record, zone, value)
    if record.type == "TLSA":  # the key of another server of the name, or an old one of ours
        return PlannedChange("add", record, zone, value, same_kind)
    if record.type != "TXT":
        return PlannedChange("leave", record, zone, value, same_kind, _NOT_OURS)
    if len(same_kind) > 1:
        return PlannedChange("leave", record, zone, value, same_kind, _SEVERAL)
    if value.startswith("v=spf1 "):
        merged = merge_spf(value, same_kind[0])
        if merged == same_kind[0]:
            return None
        return PlannedChange("replace", record, zone, merged, same_kind)
    return PlannedChange("replace", record, zone, value, same_kind)


def merge_spf(ours: str, theirs: str) -> str:
    """Return an SPF record that permits what it did, and this server.

    Args:
        ours: ``v=spf1``, mechanisms, ``-all``.
        theirs: the record that is there.
    """
    words = theirs.split()
    present = {word.casefold() for word in words}
    added = [one for one in ours.split()[1:-1] if one.casefold() not in present]
    return " ".join([words[0], *added, *words[1:]])
