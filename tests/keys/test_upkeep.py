"""Keys are made, found, rotated and revoked without anybody's hand, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from kit.clock import FakeClock
from kit.store import NOW_MS, running
from kit.zone import ZoneResolver
from zajil.config.options_keys import KeyOptions
from zajil.keys.record import record_value
from zajil.keys.upkeep import KeyUpkeep
from zajil.mailauth.dkim_key import key_name
from zajil.store.engine.batch import DIRECTORY
from zajil.store.engine.open import Store
from zajil.store.people.dkim_keys import list_dkim_keys, load_active_keys
from zajil.store.people.domains import DomainRow, create_domain

DAY = 86_400_000
# RSA keys of this test are made as others, and there are few of them: they take time.
OPTIONS = KeyOptions(algorithms=("ed25519-sha256",))


@dataclass(slots=True)
class Kept:
    """A store whose keys are looked after, and an operator who publishes."""

    store: Store
    clock: FakeClock
    zone: dict[str, dict[str, Sequence[str]] | None]
    upkeep: KeyUpkeep

    def publish(self) -> None:
        """Put the record of each key into DNS, as it should be now."""
        for row in self.store.read_now(list_dkim_keys):
            self.zone[key_name(row.domain, row.selector)] = {"TXT": [record_value(row)]}

    async def after(self, days: float) -> dict[str, str]:
        """Let days go by, look once, and give the state of each key."""
        self.clock.advance(int(days * DAY))
        await self.upkeep.look()
        rows = await self.store.read(list_dkim_keys)
        return {row.selector: row.state.value for row in rows}


@asynccontextmanager
async def keeping(store: Store, options: KeyOptions = OPTIONS) -> AsyncIterator[Kept]:
    store.write_now(create_domain, DomainRow("north.test", NOW_MS))
    zone: dict[str, dict[str, Sequence[str]] | None] = {}
    clock = FakeClock(NOW_MS)
    upkeep = KeyUpkeep(store, ZoneResolver(zone).resolve, options, clock)
    async with running(store):
        yield Kept(store, clock, zone, upkeep)


def test_a_first_key_signs_when_it_is_found(store: Store) -> None:
    """Never sign with a key nobody can find: the operator may publish by hand."""

    async def run() -> None:
        async with keeping(store) as kept:
            assert await kept.after(0) == {"ed-20231114": "published"}
            assert await kept.after(100) == {"ed-20231114": "published"}
            assert await store.read(load_active_keys) == []
            kept.publish()
            assert await kept.after(0.1) == {"ed-20231114": "active"}

    asyncio.run(run())


def test_a_key_is_replaced_revoked_and_forgotten(store: Store) -> None:
    async def run() -> None:
        async with keeping(store) as kept:
            await kept.after(0)
            kept.publish()
            await kept.after(0)
            assert await kept.after(178) == {"ed-20231114": "active", "ed-20240510": "published"}
            old, new = "ed-20231114", "ed-20240510"
            assert await kept.after(30) == {old: "active", new: "published"}
            kept.publish()
            assert await kept.after(1) == {old: "active", new: "published"}
            assert await kept.after(2) == {old: "retired", new: "active"}
            assert await kept.after(13) == {old: "retired", new: "active"}
            assert await kept.after(1) == {old: "revoked", new: "active"}
            assert await kept.after(30) == {new: "active"}

    asyncio.run(run())


def test_a_record_that_vanishes_again_makes_the_new_key_wait(store: Store) -> None:
    async def run() -> None:
        async with keeping(store) as kept:
            await kept.after(0)
            kept.publish()
            await kept.after(0)
            await kept.after(178)
            kept.publish()
            await kept.after(0)
            del kept.zone["ed-20240510._domainkey.north.test"]
            assert (await kept.after(5))["ed-20240510"] == "published"
            kept.publish()
            await kept.after(0)
            assert (await kept.after(1))["ed-20240510"] == "published"
            assert (await kept.after(1))["ed-20240510"] == "active"

    asyncio.run(run())


def test_a_name_server_that_is_away_changes_nothing(store: Store) -> None:
    async def run() -> None:
        async with keeping(store) as kept:
            await kept.after(0)
            kept.publish()
            kept.zone.update(dict.fromkeys(kept.zone))
            assert await kept.after(1) == {"ed-20231114": "published"}
            kept.publish()
            assert await kept.after(0) == {"ed-20231114": "active"}

    asyncio.run(run())


def test_keys_that_a_wrong_clock_made_are_removed(store: Store) -> None:
    async def run() -> None:
        async with keeping(store) as kept:
            await kept.after(0)
            kept.publish()
            assert await kept.after(1) == {"ed-20231114": "active"}
            assert (await kept.after(400)).keys() > {"ed-20231114"}
            assert await kept.after(-400) == {"ed-20231114": "active"}

    asyncio.run(run())


def test_it_runs_until_it_is_cancelled_and_hears_of_changes(store: Store) -> None:
    async def run() -> None:
        async with keeping(store) as kept:
            made = asyncio.Event()
            store.changes.subscribe(DIRECTORY, made.set)
            task = asyncio.create_task(kept.upkeep.run())
            await made.wait()
            assert await store.read(list_dkim_keys)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    asyncio.run(run())
