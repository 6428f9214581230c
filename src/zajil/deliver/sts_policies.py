"""The MTA-STS policies of the domains we send to: looked up, fetched, kept, refreshed (RFC 8461).

Laws:
- A policy that was fetched holds until its end, whatever DNS and its server say meanwhile: whoever
  can silence them must not be able to switch it off (RFC 8461 section 3.3).
- A policy that cannot be fetched holds up no mail: the mail goes as if there were none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from zajil.core.clock import Clock
from zajil.core.errors import InternalError
from zajil.dns.flow import Outcome, Question, Resolve
from zajil.mailauth.mta_sts import (
    BadStsPolicy,
    StsMode,
    StsPolicy,
    parse_sts_policy,
    parse_sts_record,
)
from zajil.mailauth.tls_session import (
    NoteTlsSession,
    TlsFailure,
    TlsPolicy,
    TlsProblem,
    TlsSession,
)
from zajil.net.logger import get_logger
from zajil.store.engine.open import Store
from zajil.store.queue.sts_policies import (
    KeptPolicy,
    forget_sts_policies,
    get_sts_policy,
    keep_sts_policies,
    list_unchecked_policies,
)

REMEMBERED_MS = 60_000
"""How long an answer is used again without a look at DNS and the store."""
RETRY_MS = 300_000
"""RFC 8461 section 3.3: after a failure, not fetched again for five minutes."""
REFRESH_MS = 86_400_000
"""RFC 8461 section 10.2: fetched anew every day, so that it does not end unnoticed."""
_MOST_REMEMBERED = 10_000
_REFRESHED_AT_ONCE = 200


class PolicyNotFetched(InternalError):
    """The policy file could not be fetched; the text says why."""


FetchPolicy = Callable[[str], Awaitable[bytes]]
"""Fetches ``https://mta-sts.DOMAIN/.well-known/mta-sts.txt``, or raises ``PolicyNotFetched``."""


@dataclass(slots=True, kw_only=True)
class StsPolicies:
    """The policies, as one worker knows them."""

    store: Store
    resolve: Resolve
    fetch: FetchPolicy
    clock: Clock
    note_tls: NoteTlsSession | None = None
    """Counts policies that cannot be fetched, for TLS reports."""
    log: Any = field(default_factory=lambda: get_logger("zajil.deliver"))
    _known: dict[str, tuple[int, StsPolicy | None]] = field(default_factory=dict)
    """Until when, and what."""
    _failed: dict[str, int] = field(default_factory=dict)
    """Until when a domain is not asked again."""
    _looking: dict[str, asyncio.Task[StsPolicy | None]] = field(default_factory=dict)

    async def find(self, domain: str) -> StsPolicy | None:
        """Return the policy that holds for a domain now; ``None``: there is none.

        Waits for DNS, and at the first mail for the policy server.

        Args:
            domain: in A-labels.

        Raises:
            StoreUnavailable: nothing is known; try later.
        """
        domain = domain.lower()
        until_ms, policy = self._known.get(domain, (0, None))
        if self.clock.now_ms() < until_ms:
            return policy
        task = self._looking.get(domain)
        if task is None:
            task = asyncio.create_task(self._look_up(domain))
            self._looking[domain] = task
            task.add_done_callback(lambda _: self._looking.pop(domain, None))
        return await asyncio.shield(task)

    async def refresh(self) -> None:
        """Fetch the policies anew that nobody has looked for since yesterday; a chore."""
        now_ms = self.clock.now_ms()
        await self.store.write(forget_sts_policies, now_ms)
        kept = await self.store.read(
            lambda conn: list_unchecked_policies(conn, now_ms - REFRESH_MS, _REFRESHED_AT_ONCE)
        )
        for one in kept:
            record_id = await self._record_id(one.domain)
            found = await self._fetch(one.domain, record_id or one.record_id)
            await self.store.write(keep_sts_policies, found or replace(one, checked_ms=now_ms))

    async def _look_up(self, domain: str) -> StsPolicy | None:
        now_ms = self.clock.now_ms()
        kept = await self.store.read(lambda conn: get_sts_policy(conn, domain, now_ms))
        record_id = await self._record_id(domain)
        is_new = record_id is not None and (kept is None or kept.record_id != record_id)
        if is_new and record_id is not None and self._failed.get(domain, 0) <= now_ms:
            found = await self._fetch(domain, record_id)
            if found is not None:
                await self.store.write(keep_sts_policies, found)
                kept = found
            else:
                self._failed[domain] = now_ms + RETRY_MS
        policy = None if kept is None else _policy_of(kept)
        for memory in (self._known, self._failed):
            if len(memory) > _MOST_REMEMBERED:
                memory.clear()
        self._known[domain] = (now_ms + REMEMBERED_MS, policy)
        return policy

    async def _record_id(self, domain: str) -> str | None:
        answer = await self.resolve(Question(f"_mta-sts.{domain}", "TXT"))
        return parse_sts_record(answer.values) if answer.outcome is Outcome.FOUND else None

    async def _fetch(self, domain: str, record_id: str) -> KeptPolicy | None:
        try:
            policy = parse_sts_policy(await self.fetch(domain))
        except (PolicyNotFetched, BadStsPolicy) as error:
            self.log.info("no MTA-STS policy could be read", domain=domain, reason=str(error))
            self._count_failure(domain, error)
            return None
        now_ms = self.clock.now_ms()
        return KeptPolicy(
            domain=domain,
            record_id=record_id,
            mode=policy.mode,
            mx=policy.mx,
            until_ms=now_ms + policy.max_age_seconds * 1000,
            checked_ms=now_ms,
        )

    def _count_failure(self, domain: str, error: PolicyNotFetched | BadStsPolicy) -> None:
        if self.note_tls is None:
            return
        is_bad = isinstance(error, BadStsPolicy)
        failure = TlsFailure.POLICY_INVALID if is_bad else TlsFailure.POLICY_FETCH
        problem = TlsProblem(failure, str(error))
        session = TlsSession(TlsPolicy("sts"), problem, f"mta-sts.{domain}")
        self.note_tls(self.clock.now_ms(), domain, session)


def _policy_of(kept: KeptPolicy) -> StsPolicy:
    return StsPolicy(cast(StsMode, kept.mode), kept.mx, 0)
