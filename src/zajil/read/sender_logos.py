"""Logos of senders: looked up when a message is read, kept for everybody who reads here (BIMI).

What the servers of the domain learn is that somebody here read a message of it, once in the time
that the answer is kept: the record and the certificate are asked for by this server, and nothing
of the message or its reader is in the request. So who uses a domain or a signed selector of its own
for each recipient learns that the message was read (docs/run/web.md).

Security: the logo is the one in the certificate. What ``l=`` names is not fetched.
"""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from zajil.core.clock import Clock
from zajil.dns.flow import Resolve, run_flow
from zajil.mailauth.bimi import BimiFound, look_up_bimi
from zajil.mailauth.logotype import BadLogo
from zajil.mailauth.mark_certificate import MAX_BYTES, Mark, MarkRoots, verify_mark
from zajil.net.logger import get_logger
from zajil.read.guarded_fetch import FetchFailed, GuardedFetcher
from zajil.read.logo_question import LogoQuestion
from zajil.store.engine.errors import StoreError
from zajil.store.engine.open import Store
from zajil.store.mail.sender_logos import KeptLogo, get_logo, keep_logos

_HOUR_MS = 60 * 60 * 1000
LONGEST_MS = 24 * _HOUR_MS
"""How long a logo is kept at most; the TTL of its record may make it less, but not ..."""
SHORTEST_MS = _HOUR_MS
"""... less than this, which is also how long nobody is asked again where there was none."""
_SECONDS = 10.0
"""For a look-up: a browser waits for it with one of its few connections."""
_AT_A_TIME = 8
"""Look-ups of one worker; beyond that there is no logo for now."""


class LogoFinder:
    """Finds logos, and keeps what was found in the store."""

    def __init__(
        self,
        store: Store,
        resolve: Resolve,
        fetcher: GuardedFetcher,
        roots: MarkRoots,
        clock: Clock,
        *,
        seconds: float = _SECONDS,
    ) -> None:
        """Make one for a worker.

        Args:
            store: for what was found.
            resolve: asks DNS.
            fetcher: asks the servers that records name.
            roots: certificates that confirm logos.
            clock: the time.
            seconds: for a look-up.
        """
        self._seconds = seconds
        self._store = store
        self._resolve = resolve
        self._fetcher = fetcher
        self._roots = roots
        self._clock = clock
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._locks: WeakValueDictionary[LogoQuestion, asyncio.Lock] = WeakValueDictionary()

    async def find(self, question: LogoQuestion) -> KeptLogo:
        """Return what is known of a logo; what is not known is looked up, once.

        Nobody waits for the look-ups of others: where there are too many, there is no logo for now,
        and that is not kept. What was found is returned also where it cannot be kept.
        """
        lock = self._locks.setdefault(question, asyncio.Lock())
        async with lock:
            known = await self._known(question)
            if known is not None:
                return known
            if self._slots.locked():
                return self._none(question)
            async with self._slots:
                known = await self._look_up(question)
            try:
                await self._store.write(keep_logos, known)
            except StoreError as error:
                get_logger().warning("cannot keep a logo", reason=str(error))
            return known

    async def _known(self, question: LogoQuestion) -> KeptLogo | None:
        now_ms = self._clock.now_ms()
        return await self._store.read(
            lambda conn: get_logo(conn, question.domain, question.selector, now_ms)
        )

    def _none(self, question: LogoQuestion) -> KeptLogo:
        until_ms = self._clock.now_ms() + SHORTEST_MS
        return KeptLogo(domain=question.domain, selector=question.selector, until_ms=until_ms)

    async def _look_up(self, question: LogoQuestion) -> KeptLogo:
        none, now_ms = self._none(question), self._clock.now_ms()
        try:
            async with asyncio.timeout(self._seconds):
                flow = look_up_bimi(question.domain, question.selector)
                found = await run_flow(flow, self._resolve)
                if found.result != "pass" or found.record is None or found.record.authority is None:
                    return none
                mark = await self._fetch(found.record.authority, found)
        except (BadLogo, FetchFailed, TimeoutError) as error:
            reason = str(error) or "it takes too long"
            get_logger().info("logo.failed", domain=question.domain, reason=reason[:500])
            return none
        kept_ms = min(max(found.ttl_seconds * 1000, SHORTEST_MS), LONGEST_MS)
        return KeptLogo(
            domain=question.domain,
            selector=question.selector,
            until_ms=min(now_ms + kept_ms, mark.expires_ms),
            svg=mark.svg,
            name=mark.name.rpartition("._bimi.")[2],
            issuer=mark.issuer,
        )

    async def _fetch(self, url: str, found: BimiFound) -> Mark:
        """Fetch a certificate and verify it.

        Raises:
            FetchFailed: there is none.
            BadLogo: it does not confirm a logo for the domain.
        """
        answer = await self._fetcher.get(
            url,
            most_bytes=MAX_BYTES,
            seconds=self._seconds,
            accept="application/pem-certificate-chain, */*;q=0.5",
            https_only=True,
        )
        if answer.status != 200:
            raise FetchFailed(f"the server answered {answer.status}")
        now_s = self._clock.now_ms() // 1000
        return await asyncio.to_thread(verify_mark, answer.data, self._roots, found.names, now_s)
