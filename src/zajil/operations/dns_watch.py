"""Notices that DNS records of our domains, which were right, are gone or different."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zajil.config.options import Configuration
from zajil.dns.flow import Resolve
from zajil.operations.dns_advice import all_records
from zajil.operations.dns_check import CheckedRecord, check_dns
from zajil.operations.dns_record import DnsRecord
from zajil.store.engine.open import Store
from zajil.store.reports.alerts import FoundRecords, keep_found_records, load_found_records

_RIGHT = ("found", "unsigned")
_WRONG = ("missing", "other")


@dataclass(frozen=True, slots=True)
class LostRecords:
    """Records of one domain that were right before."""

    domain: str
    records: tuple[str, ...]
    """``MX example.org``."""


async def find_lost_records(
    store: Store, configuration: Configuration, resolve: Resolve, now_ms: int
) -> Sequence[LostRecords]:
    """Look up the records of all domains, and remember those that are right.

    What DNS does not answer is left as it was.

    Raises:
        StoreUnavailable: nothing was remembered.
    """
    wanted = await store.read(lambda conn: all_records(conn, configuration))
    before = await store.read(load_found_records)
    checked = {domain: await check_dns(records, resolve) for domain, records in wanted.items()}
    now, lost = compare_with_before(checked, before)
    if now != before:
        await store.write(keep_found_records, FoundRecords(now, now_ms))
    return lost


def compare_with_before(
    checked: Mapping[str, Sequence[CheckedRecord]], before: Mapping[str, frozenset[str]]
) -> tuple[dict[str, frozenset[str]], list[LostRecords]]:
    """Return what was right at some time, by domain, and what of it no longer is.

    Records that are not wanted any more are forgotten.
    """
    now: dict[str, frozenset[str]] = {}
    lost: list[LostRecords] = []
    for domain, records in checked.items():
        known = before.get(domain, frozenset())
        names = {name_of(one.record): one.state for one in records if not one.record.is_optional}
        right = {name for name, state in names.items() if state in _RIGHT}
        now[domain] = frozenset(right | (known & names.keys()))
        gone = tuple(name for name, state in names.items() if name in known and state in _WRONG)
        if gone:
            lost.append(LostRecords(domain, gone))
    return {domain: names for domain, names in now.items() if names}, lost


def name_of(record: DnsRecord) -> str:
    """Return what names a record for people: type and name."""
    return f"{record.type} {record.name}"
