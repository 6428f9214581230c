"""Records that were right and are gone are noticed; records that never were there are not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from kit.store import NOW_MS, make_account, open_test_store, running
from kit.zone import Zone, ZoneResolver
from zajil.config.options import Configuration
from zajil.config.options_server import ServerOptions
from zajil.operations.dns_watch import LostRecords, find_lost_records
from zajil.store.engine.open import Store
from zajil.store.reports.alerts import dismiss_alerts

RIGHT: Zone = {
    "north.test": {"MX": ["10 mail.north.test"], "TXT": ["v=spf1 mx -all"]},
    "mail.north.test": {"A": ["192.0.2.1"], "TXT": ["v=spf1 a -all"]},
    "_dmarc.north.test": {"TXT": ["v=DMARC1; p=reject"]},
}


@pytest.fixture
def store(store_url: str, tmp_path: Path) -> Store:
    store = open_test_store(store_url, tmp_path)
    make_account(store, "amal@north.test")
    return store


def look(store: Store, tmp_path: Path, *zones: Zone, dismissed: int = -1) -> list[Sequence[str]]:
    """Look at one zone after the other; give what was lost each time."""
    server = ServerOptions(hostname="mail.north.test", data_dir=tmp_path)
    configuration = Configuration(server=server)

    async def story() -> list[Sequence[str]]:
        found: list[Sequence[str]] = []
        async with running(store):
            for number, zone in enumerate(zones):
                if number == dismissed:
                    await store.write(dismiss_alerts, ("dns", "north.test"))
                resolver = ZoneResolver(zone)
                lost = await find_lost_records(store, configuration, resolver.resolve, NOW_MS)
                assert all(isinstance(one, LostRecords) for one in lost)
                found.append([name for one in lost for name in one.records])
        return found

    return asyncio.run(story())


def test_what_never_was_there_is_not_lost(store: Store, tmp_path: Path) -> None:
    assert look(store, tmp_path, {}, {}) == [[], []]


def test_what_was_right_is_missed_until_it_is_back(store: Store, tmp_path: Path) -> None:
    gone = {name: types for name, types in RIGHT.items() if name != "_dmarc.north.test"}
    other = {**RIGHT, "north.test": {**(RIGHT["north.test"] or {}), "MX": ["10 mx.else.test"]}}
    assert look(store, tmp_path, RIGHT, gone, gone, other, RIGHT) == [
        [],
        ["TXT _dmarc.north.test"],
        ["TXT _dmarc.north.test"],
        ["MX north.test"],
        [],
    ]


def test_dns_that_does_not_answer_has_lost_nothing(store: Store, tmp_path: Path) -> None:
    silent: Zone = dict.fromkeys(RIGHT)
    gone = {name: types for name, types in RIGHT.items() if name != "_dmarc.north.test"}
    assert look(store, tmp_path, RIGHT, silent, gone) == [[], [], ["TXT _dmarc.north.test"]]


def test_what_was_dismissed_is_taken_as_right(store: Store, tmp_path: Path) -> None:
    gone = {name: types for name, types in RIGHT.items() if name != "_dmarc.north.test"}
    found = look(store, tmp_path, RIGHT, gone, gone, dismissed=2)
    assert found == [[], ["TXT _dmarc.north.test"], []]
