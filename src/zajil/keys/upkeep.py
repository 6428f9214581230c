"""Performs due actions for the keys of all domains periodically, and notifies the operator.

The operator publishes the records: this task only checks for them. It runs in one worker of all
nodes; if two run at the same time, each action is performed once (``store.people.dkim_keys``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from zajil.config.options_keys import KeyOptions
from zajil.core.clock import Clock
from zajil.core.errors import AlreadyExists
from zajil.dns.flow import Resolve, run_flow
from zajil.keys.generate import generate_keys
from zajil.keys.lookup import Seen, look_for_record
from zajil.keys.record import record_value, zone_text
from zajil.keys.rotation import find_due, next_look_ms
from zajil.mailauth.dkim_key import key_name
from zajil.net.logger import get_logger
from zajil.store.engine.batch import DIRECTORY
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.people.dkim_keys import (
    Algorithm,
    DkimKeyRow,
    KeysOf,
    KeyState,
    activate_dkim_keys,
    add_dkim_keys,
    discard_dkim_keys,
    domains_without_keys,
    forget_dkim_keys,
    list_dkim_keys,
    note_found,
    note_missing,
    revoke_dkim_keys,
)
from zajil.store.people.domains import NoSuchDomain
from zajil.tracking.events import DkimKeyRotated

_REMIND_MS = 86_400_000
"""Once a day a record that is still missing is told of again."""


class KeyUpkeep:
    """Looks after the keys of one store."""

    def __init__(self, store: Store, resolve: Resolve, options: KeyOptions, clock: Clock) -> None:
        self._store = store
        self._resolve = resolve
        self._options = options
        self._clock = clock
        self._told_ms: dict[str, int] = {}
        """When a missing record was told of, by its name."""
        self._log = get_logger()

    async def run(self) -> None:
        """Look, and look again when something may be due; until cancelled.

        A store or a name server that is away is asked again at the next look.
        """
        changed = asyncio.Event()
        unsubscribe = self._store.changes.subscribe(DIRECTORY, changed.set)
        try:
            while True:
                changed.clear()
                wait_ms = await self._look_and_forgive()
                # An operator's command is noticed, and a busy directory does not make us busy.
                await asyncio.sleep(min(wait_ms, 5_000) / 1000)
                try:
                    async with asyncio.timeout(wait_ms / 1000):
                        await changed.wait()
                except TimeoutError:
                    continue
        finally:
            unsubscribe()

    async def _look_and_forgive(self) -> int:
        try:
            return await self.look()
        except StoreUnavailable as error:
            self._log.warning("cannot update the signing keys", reason=str(error))
            return 60_000

    async def look(self) -> int:
        """Do what is due now; give after how many milliseconds to look again.

        Raises:
            StoreUnavailable: what was done is done; the rest at the next look.
        """
        rows, empty = await self._store.read(
            lambda conn: (list_dkim_keys(conn), domains_without_keys(conn))
        )
        domains: dict[str, list[DkimKeyRow]] = {name: [] for name in empty}
        for row in rows:
            domains.setdefault(row.domain, []).append(await self._see(row))
        for domain, keys in domains.items():
            await self._do(domain, keys)
        rows = await self._store.read(list_dkim_keys)
        return next_look_ms(rows, self._clock.now_ms())

    async def _see(self, row: DkimKeyRow) -> DkimKeyRow:
        """Look whether the record of a key that waits for it is in DNS; give the row as it is."""
        if row.state is not KeyState.PUBLISHED:
            return row
        seen = (await run_flow(look_for_record(row), self._resolve)).seen
        now_ms = self._clock.now_ms()
        item = KeysOf(row.domain, (row.selector,), now_ms)
        if seen == "unknown":
            return row
        if seen == "found":
            if row.found_ms is None:
                await self._store.write(note_found, item)
            return replace(row, found_ms=row.found_ms or now_ms)
        if row.found_ms is not None:
            await self._store.write(note_missing, item)
        self._remind(row, seen, now_ms)
        return replace(row, found_ms=None)

    async def _do(self, domain: str, keys: Sequence[DkimKeyRow]) -> None:
        now_ms = self._clock.now_ms()
        due = find_due(keys, self._options, now_ms)
        if due.make:
            await self._make(domain, keys, due.make)
        for unit, selectors, state in (
            (activate_dkim_keys, due.activate, KeyState.ACTIVE),
            (revoke_dkim_keys, due.revoke, KeyState.REVOKED),
        ):
            if selectors:
                done = await self._store.write(unit, KeysOf(domain, selectors, now_ms))
                self._tell(domain, [row for row in keys if row.selector in done], state)
        if due.forget:
            await self._store.write(forget_dkim_keys, KeysOf(domain, due.forget, now_ms))
        if due.discard:
            self._log.warning(
                "signing keys with a creation time in the future were removed; "
                "remove their DNS records",
                domain=domain,
                selectors=due.discard,
            )
            await self._store.write(discard_dkim_keys, KeysOf(domain, due.discard, now_ms))

    async def _make(
        self, domain: str, keys: Sequence[DkimKeyRow], algorithms: Sequence[Algorithm]
    ) -> None:
        """Make new keys, to be published."""
        now_ms = self._clock.now_ms()
        new = await asyncio.to_thread(
            generate_keys,
            domain,
            algorithms,
            KeyState.PUBLISHED,
            rsa_bits=self._options.rsa_bits,
            now_ms=now_ms,
            there=keys,
        )
        try:
            added = await self._store.write(add_dkim_keys, new)
        except (AlreadyExists, NoSuchDomain):
            return  # the domain was removed, or another node was quicker
        if added:
            names = {key.selector for key in new.keys}
            rows = await self._store.read(lambda conn: list_dkim_keys(conn, domain))
            made = [row for row in rows if row.selector in names]
            self._tell(domain, made, KeyState.PUBLISHED)
            for row in made:
                self._remind(row, "missing", now_ms)

    def _remind(self, row: DkimKeyRow, seen: Seen, now_ms: int) -> None:
        name = key_name(row.domain, row.selector)
        if now_ms - self._told_ms.get(name, -_REMIND_MS) < _REMIND_MS:
            return
        self._told_ms[name] = now_ms
        self._log.warning(
            "the DNS record of a signing key is missing",
            seen=seen,
            record=_record_line(row),
        )

    def _tell(self, domain: str, rows: Sequence[DkimKeyRow], state: KeyState) -> None:
        now_ms = self._clock.now_ms()
        for row in rows:
            if state is KeyState.REVOKED:
                self._log.warning(
                    "a signing key was revoked: replace or remove its DNS record",
                    record=_record_line(replace(row, state=state)),
                )
        events = key_events(rows, state, now_ms)
        if events:
            self._store.write_later(record_events, EventBatch(None, None, now_ms, events))


def _record_line(row: DkimKeyRow) -> str:
    return f"{key_name(row.domain, row.selector)}. TXT {zone_text(record_value(row))}"


def key_events(
    rows: Sequence[DkimKeyRow], state: KeyState, now_ms: int
) -> tuple[DkimKeyRotated, ...]:
    """Record that keys have a new state."""
    return tuple(
        [
            DkimKeyRotated(now_ms, row.domain, row.selector, row.algorithm, state.value)
            for row in rows
        ]
    )
