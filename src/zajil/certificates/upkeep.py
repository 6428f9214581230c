"""The background task that obtains and renews certificates, in one worker of all nodes.

Each name has an order of its own, and its own pauses: one that fails never delays another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from zajil.certificates.host_key import make_host_key
from zajil.certificates.names import (
    find_addresses,
    needs_address,
    obstacle,
    sort_due,
    wanted_names,
)
from zajil.certificates.order import OrderImpossible, Orders
from zajil.certificates.plan import (
    KeyStep,
    TlsaSeen,
    is_due,
    key_in_state,
    key_step,
    latest_renewal_ms,
    pause_ms,
    renewal_time_ms,
    see_tlsa,
    time_in_window_ms,
)
from zajil.config.options_acme import AcmeOptions
from zajil.core.clock import Clock, Random
from zajil.core.errors import Unavailable
from zajil.dns.flow import Question, Resolve, run_flow
from zajil.net.logger import get_logger
from zajil.store.engine.batch import CERTIFICATES, DIRECTORY
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.people.certificates import (
    CertificateRow,
    NewCertificate,
    OrderFailed,
    RenewalTime,
    forget_certificates,
    keep_certificates,
    list_certificates,
    note_order_failed,
    note_renewal_time,
    note_waiting,
)
from zajil.store.people.host_keys import (
    HostKeyAt,
    HostKeyRow,
    HostKeyState,
    activate_host_keys,
    add_host_keys,
    forget_host_keys,
    list_host_keys,
    note_host_key_found,
    note_host_key_missing,
)
from zajil.tls.certificate import DAY_MS, certificate_facts

_AT_ONCE = 3
"""Orders at a time."""
_SOONEST_MS, _WAITING_MS, _LATEST_MS = 5_000, 60_000, 3_600_000
_ASK_AGAIN_MS = 6 * 3_600_000
"""Also for a new certificate: an authority that wants each one renewed at once gets four orders a
day."""
_REMIND_MS = DAY_MS
_NONE_MS = 3_600_000
"""How long DNS must have no TLSA record of a name before that is believed: a key that is used too
early stops mail from servers that follow DANE."""
_RETIRED_MS = DAY_MS
"""How long a retired key is kept: a worker may not have loaded the new certificate yet."""


class CertificateUpkeep:
    """Looks after the certificates of one store."""

    def __init__(
        self,
        store: Store,
        options: AcmeOptions,
        orders: Orders,
        resolve: Resolve,
        clock: Clock,
        random: Random,
        *,
        hostname: str,
        has_own: Callable[[str], bool],
    ) -> None:
        """Do nothing yet.

        Args:
            store: is started.
            options: ``[acme]``.
            orders: obtains certificates.
            resolve: asks DNS.
            clock: the time.
            random: for delays.
            hostname: ``server.hostname``.
            has_own: whether a name has a certificate in a file.
        """
        self._store = store
        self._options = options
        self._orders = orders
        self._resolve = resolve
        self._clock = clock
        self._random = random
        self._hostname = hostname
        self._has_own = has_own
        self._reminded_ms: dict[str, int] = {}
        """When a missing TLSA record was told of, by the name of the host."""
        self._none_since_ms: dict[str, int] = {}
        """Since when DNS has had no TLSA record, by the name of the host."""
        self._log = get_logger()

    async def run(self) -> None:
        """Look, and look again when something may be due; until cancelled."""
        changed = asyncio.Event()
        ends = [
            self._store.changes.subscribe(topic, changed.set) for topic in (DIRECTORY, CERTIFICATES)
        ]
        try:
            while True:
                changed.clear()
                try:
                    wait_ms = await self.look()
                except StoreUnavailable as error:
                    self._log.warning("cannot update the certificates", reason=str(error))
                    wait_ms = _WAITING_MS
                # Our own writes are changes, too: a busy store does not make us busy.
                await asyncio.sleep(min(wait_ms, _SOONEST_MS) / 1000)
                try:
                    async with asyncio.timeout(wait_ms / 1000):
                        await changed.wait()
                except TimeoutError:
                    continue
        finally:
            for end in ends:
                end()

    async def look(self) -> int:
        """Do what is due now; give after how many milliseconds to look again.

        Raises:
            StoreUnavailable: what was done is done; the rest at the next look.
        """
        domains = await self._store.directory.domains()
        wanted = wanted_names(self._hostname, self._options, domains)
        wanted = [name for name in wanted if not self._has_own(name)]
        await self._note_obstacles(wanted)
        for name in wanted:
            await self._look_after_keys(name)
        rows, keys = await self._load()
        due = [name for name in wanted if is_due(rows[name], _active(keys, name), self._now())]
        turns, away = asyncio.Semaphore(_AT_ONCE), list[Unavailable]()
        outcomes = await asyncio.gather(
            *(
                self._renew(turns, away, rows[name], keys[name])
                for name in sort_due(due, self._hostname)
            ),
            return_exceptions=True,  # all have ended: the next look begins no second order
        )
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        await self._ask_for_times([row for name, row in rows.items() if name in wanted])
        await self._forget(rows, wanted)
        rows, keys = await self._load()
        return self._next_look_ms([row for name, row in rows.items() if name in wanted])

    async def _load(self) -> tuple[dict[str, CertificateRow], dict[str, list[HostKeyRow]]]:
        found, all_keys = await self._store.read(
            lambda conn: (list_certificates(conn), list_host_keys(conn))
        )
        keys: dict[str, list[HostKeyRow]] = {row.name: [] for row in found}
        for key in all_keys:
            keys.setdefault(key.name, []).append(key)
        return {row.name: row for row in found}, keys

    async def _note_obstacles(self, wanted: Sequence[str]) -> None:
        """Find out which names lead here, and note what the others wait for."""
        rows, _ = await self._load()
        own = await run_flow(find_addresses(self._hostname), self._resolve)
        for name in wanted:
            reason = None
            if needs_address(name, self._options):
                addresses = await run_flow(find_addresses(name), self._resolve)
                reason = obstacle(name, addresses, own, self._hostname)
            if name not in rows or rows[name].waits_for != reason:
                await self._store.write(note_waiting, (name, reason))

    async def _look_after_keys(self, name: str) -> None:
        """Make, note or exchange keys of a name, as ``plan`` says."""
        keys = await self._store.read(lambda conn: list_host_keys(conn, name))
        following = key_in_state(keys, HostKeyState.NEXT)
        seen = None
        if following is not None:
            answer = await self._resolve(Question(f"_25._tcp.{name.removeprefix('*.')}", "TLSA"))
            seen = self._believe(name, see_tlsa(answer, following), following)
        now_ms = self._now()
        step = key_step(keys, seen, self._options.key_lifetime_ms, now_ms)
        if step in (KeyStep.MAKE_ACTIVE, KeyStep.MAKE_NEXT):
            is_first = step is KeyStep.MAKE_ACTIVE
            state = HostKeyState.ACTIVE if is_first else HostKeyState.NEXT
            fresh = await asyncio.to_thread(make_host_key, name, state, now_ms)
            if await self._store.write(add_host_keys, fresh) and not is_first:
                # Where DNS has no record, it is used now, not after the next look.
                await self._look_after_keys(name)
            return
        if following is None:
            return
        item = HostKeyAt(name, following.key_hash, now_ms)
        if step is KeyStep.NOTE_FOUND:
            await self._store.write(note_host_key_found, item)
        elif step is KeyStep.NOTE_MISSING:
            await self._store.write(note_host_key_missing, item)
        elif step is KeyStep.ACTIVATE and await self._store.write(activate_host_keys, item):
            self._log.info("a new key of a certificate is in use", name=name)
        if seen is TlsaSeen.MISSING:
            self._remind(name, following, now_ms)

    def _believe(self, name: str, seen: TlsaSeen, following: HostKeyRow) -> TlsaSeen:
        """Doubt for a while that records are gone; for a new key, that there never were any is
        believed at once."""
        now_ms = self._now()
        if seen is not TlsaSeen.NONE:
            if seen is not TlsaSeen.UNKNOWN:
                self._none_since_ms.pop(name, None)
            return seen
        since_ms = self._none_since_ms.setdefault(name, now_ms)
        is_sure = following.created_ms == now_ms or now_ms - since_ms >= _NONE_MS
        return seen if is_sure else TlsaSeen.UNKNOWN

    def _remind(self, name: str, key: HostKeyRow, now_ms: int) -> None:
        if now_ms - self._reminded_ms.get(name, -_REMIND_MS) < _REMIND_MS:
            return
        self._reminded_ms[name] = now_ms
        self._log.warning(
            "the TLSA record of the next key of a certificate is missing",
            record=f"_25._tcp.{name}. TLSA 3 1 1 {key.key_hash}",
        )

    async def _renew(
        self,
        turns: asyncio.Semaphore,
        away: list[Unavailable],
        row: CertificateRow,
        keys: Sequence[HostKeyRow],
    ) -> None:
        """Order a certificate for a name; a failure is noted, and the certificate in use stays.

        Args:
            turns: for a few orders at a time.
            away: why no conversation with the authority can begin; shared by all orders of a look,
                so that not each of them waits for an authority that does not answer.
            row: of the name.
            keys: of the name.
        """
        key = key_in_state(keys, HostKeyState.ACTIVE)
        if key is None:
            return
        from zajil.certificates.authority import AuthorityFailed

        async with turns:
            # On a full disk this fails, and not the write of what was ordered.
            await self._store.write(note_waiting, (row.name, None))
            try:
                if away:
                    raise away[0]
                try:
                    authority = await self._orders.open()
                except AuthorityFailed as error:
                    away.append(error)
                    raise
                try:
                    chain = await self._orders.obtain(authority, row.name, key, row.chain)
                finally:
                    authority.close()
            except (AuthorityFailed, OrderImpossible) as error:
                retry_after_ms = error.retry_after_ms if isinstance(error, AuthorityFailed) else 0
                await self._note_failure(row, str(error), retry_after_ms)
                return
            except StoreUnavailable:
                raise
            except Unavailable as error:  # the DNS provider
                await self._note_failure(row, str(error), 0)
                return
            await self._keep(row.name, key, chain)

    async def _keep(self, name: str, key: HostKeyRow, chain: bytes) -> None:
        facts, now_ms = certificate_facts(chain), self._now()
        fresh = NewCertificate(
            name=name,
            key_hash=key.key_hash,
            chain=chain,
            not_before_ms=facts.not_before_ms,
            not_after_ms=facts.not_after_ms,
            renew_ms=renewal_time_ms(facts.not_before_ms, facts.not_after_ms, self._random),
            ask_ms=now_ms + _ASK_AGAIN_MS,
            at_ms=now_ms,
        )
        while True:  # another order would not be quicker, and authorities count them
            try:
                await self._store.write(keep_certificates, fresh)
                break
            except StoreUnavailable as error:
                self._log.warning(
                    "cannot write a new certificate, trying again", name=name, reason=str(error)
                )
                await asyncio.sleep(_SOONEST_MS / 1000)
        self._log.info("certificate obtained", name=name, issuer=facts.issuer)

    async def _note_failure(self, row: CertificateRow, reason: str, retry_after_ms: int) -> None:
        now_ms, failures = self._now(), row.failures + 1
        next_try_ms = now_ms + pause_ms(failures, retry_after_ms, self._random)
        await self._store.write(
            note_order_failed, OrderFailed(row.name, reason, now_ms, next_try_ms)
        )
        self._log.warning(
            "cannot obtain a certificate",
            name=row.name,
            reason=reason,
            failures=failures,
            next_try_seconds=(next_try_ms - now_ms) // 1000,
        )

    async def _ask_for_times(self, rows: Sequence[CertificateRow]) -> None:
        """Ask the authority when certificates should be renewed (RFC 9773)."""
        from zajil.certificates.authority import AuthorityFailed

        now_ms = self._now()
        asked = [
            (row, row.chain)
            for row in rows
            if row.chain is not None
            and not now_ms < (row.ask_ms or 0) <= now_ms + 2 * DAY_MS
            and now_ms < (row.not_after_ms or 0)
            and row.failures == 0
            and (row.renew_ms or 0) > now_ms
        ]
        if not asked:
            return
        failures = 0
        try:
            authority = await self._orders.open()
        except AuthorityFailed:  # an order tells of it when it matters
            for row, _ in asked:
                later = RenewalTime(row.name, row.renew_ms or 0, now_ms + _LATEST_MS)
                await self._store.write(note_renewal_time, later)
            return
        try:
            for row, chain in asked:
                renew_ms, ask_ms, window = row.renew_ms or 0, now_ms + _ASK_AGAIN_MS, None
                if failures < _AT_ONCE:
                    try:
                        window = await self._orders.renewal_window(authority, chain)
                    except AuthorityFailed:
                        failures += 1
                if window is not None:
                    ask_ms = now_ms + max(window.ask_again_ms, _WAITING_MS)
                    if not window.start_ms <= renew_ms <= window.end_ms:
                        renew_ms = time_in_window_ms(window.start_ms, window.end_ms, self._random)
                    latest_ms = latest_renewal_ms(row.not_before_ms or 0, row.not_after_ms or 0)
                    renew_ms = min(renew_ms, latest_ms)
                await self._store.write(note_renewal_time, RenewalTime(row.name, renew_ms, ask_ms))
        finally:
            authority.close()

    async def _forget(self, rows: Mapping[str, CertificateRow], wanted: Sequence[str]) -> None:
        """Forget names that are not wanted any more, once their certificates have ended."""
        now_ms = self._now()
        await self._store.write(forget_host_keys, now_ms - _RETIRED_MS)
        for name, row in rows.items():
            if name not in wanted and (row.not_after_ms or 0) <= now_ms:
                await self._store.write(forget_certificates, name)

    def _next_look_ms(self, rows: Sequence[CertificateRow]) -> int:
        now_ms = self._now()
        waits = [_LATEST_MS]
        for row in rows:
            if row.waits_for is not None:
                waits.append(_WAITING_MS if row.chain is None else _LATEST_MS)
            elif row.next_try_ms is not None:
                waits.append(row.next_try_ms - now_ms)
            else:
                waits += [(row.renew_ms or 0) - now_ms, (row.ask_ms or 0) - now_ms]
        return max(_SOONEST_MS, min(waits))

    def _now(self) -> int:
        return self._clock.now_ms()


def _active(keys: Mapping[str, Sequence[HostKeyRow]], name: str) -> HostKeyRow | None:
    return key_in_state(keys.get(name, ()), HostKeyState.ACTIVE)
