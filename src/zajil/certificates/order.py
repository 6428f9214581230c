"""One order, from the challenge to the chain: what blocks runs in a thread, the store is written
between.

Laws:
- The key is in the store before the order: a process that is killed loses an order, never a key.
- An answer to a challenge is in the store before the authority is told to look for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from zajil.certificates.host_key import (
    hash_of_chain,
    make_account_key,
    make_challenge_certificate,
    make_request,
)
from zajil.config.options_acme import AcmeOptions, DnsProviderOptions
from zajil.core.clock import Clock
from zajil.core.errors import Unavailable
from zajil.dns.flow import Outcome, Question, Resolve, run_flow
from zajil.resolver.provider import find_zone, open_provider
from zajil.resolver.zone_access import Provider, ProviderFailed, ZoneRecord
from zajil.store.engine.open import Store
from zajil.store.people.certificates import (
    AcmeAccount,
    AcmeChallenge,
    forget_acme_registration,
    keep_acme_account,
    load_acme_account,
    put_challenges,
    remove_challenges,
)
from zajil.store.people.host_keys import HostKeyRow, load_host_key
from zajil.tls.certificate import DAY_MS, certificate_facts
from zajil.tls.context import CertificateAndKey, server_context_of

if TYPE_CHECKING:
    from zajil.certificates.authority import Authority, Pending, RenewalWindow

T = TypeVar("T")

_SETTLE_SECONDS = 2.0
"""All workers have loaded the answer to a TLS-ALPN-01 challenge by then: a lost hint costs one."""
_LOOK_SECONDS = 1.0
_PATIENCE_SECONDS = 300.0


class OrderImpossible(Unavailable):
    """Something of ours is missing for the challenge; the text says what."""


class Orders:
    """Obtains certificates from the authority that is configured."""

    def __init__(
        self,
        store: Store,
        options: AcmeOptions,
        provider: DnsProviderOptions,
        resolve_anew: Resolve,
        clock: Clock,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        """Do nothing yet.

        Args:
            store: is started.
            options: ``[acme]``.
            provider: ``[dns_provider]``, for DNS-01.
            resolve_anew: asks DNS, without a cache.
            clock: the time.
            patience_seconds: for each step, whatever the authority or the DNS provider does.
        """
        self._store = store
        self._options = options
        self._patience_seconds = patience_seconds
        self._provider = provider
        self._resolve = resolve_anew
        self._clock = clock
        self._account = asyncio.Lock()

    async def open(self) -> Authority:
        """Begin a conversation; the account is made the first time. The caller closes it.

        Raises:
            AuthorityFailed: the authority cannot be reached, or refuses the account.
            StoreUnavailable: nothing was done.
        """
        from zajil.certificates.authority import Authority, AuthorityFailed

        async with self._account:
            account = await self._load_account()
            authority = await self._ask(lambda: Authority(self._options, account))
            if account.uri is None:
                try:
                    uri = await self._ask(authority.register)
                except AuthorityFailed:
                    authority.close()
                    raise
                known = replace(account, uri=uri, caa_domain=authority.caa_identity())
                await self._store.write(keep_acme_account, known)
        return authority

    async def obtain(
        self, authority: Authority, name: str, key: HostKeyRow, replaces: bytes | None
    ) -> bytes:
        """Order a certificate; give its chain in PEM.

        Args:
            authority: of ``open``.
            name: ASCII form; may begin with ``*.``.
            key: for which the certificate is to be.
            replaces: chain of the certificate in use.

        Raises:
            AuthorityFailed: the authority refused, or what it issued is not for this key.
            OrderImpossible: our side of the challenge cannot be done.
            StoreUnavailable: the key cannot be read, or the answer not be written.
        """
        private_key = await self._store.read(lambda conn: load_host_key(conn, key.key_hash))
        if private_key is None:
            raise OrderImpossible(f"the key of {name} is gone")
        request = make_request(name, private_key)
        from zajil.certificates.authority import AuthorityFailed

        try:
            pending = await self._ask(lambda: authority.begin(request, replaces))
        except AuthorityFailed as error:
            if error.is_account_gone:  # the next order registers the same key anew
                await self._store.write(forget_acme_registration, self._options.directory or "")
            raise
        chain = await self._answer(authority, name, pending)
        self._check(chain, name, key, private_key)
        return chain

    async def renewal_window(self, authority: Authority, chain: bytes) -> RenewalWindow | None:
        """Ask when a certificate should be renewed; ``None``: the authority does not say.

        Raises:
            AuthorityFailed: there was no answer.
        """
        return await self._ask(lambda: authority.renewal_window(chain))

    async def _ask(self, work: Callable[[], T]) -> T:
        """Ask the authority something."""
        from zajil.certificates.authority import AuthorityFailed

        await self._store.standing.require()
        try:
            return await in_thread(work, self._patience_seconds)
        except TimeoutError:
            raise AuthorityFailed("the authority did not finish in time") from None

    def _check(self, chain: bytes, name: str, key: HostKeyRow, private_key: bytes) -> None:
        """Refuse what would break every handshake, or be ordered again at once.

        That is what is no certificate, or one for another key, another name or another time.
        """
        from zajil.certificates.authority import AuthorityFailed
        from zajil.tls.context import BadCertificate

        now_ms = self._clock.now_ms()
        try:
            if hash_of_chain(chain) != key.key_hash:
                raise AuthorityFailed("the authority issued a certificate for another key")
            server_context_of(CertificateAndKey(chain, private_key))
            facts = certificate_facts(chain)
        except BadCertificate as error:
            raise AuthorityFailed(
                f"the authority issued a certificate that cannot be used: {error}"
            ) from None
        if name not in [one.lower() for one in facts.names]:
            raise AuthorityFailed("the authority issued a certificate for another name")
        if not facts.not_before_ms - DAY_MS <= now_ms < facts.not_after_ms:
            raise AuthorityFailed(
                "the authority issued a certificate that is not valid now: is the clock of this "
                "machine right?"
            )

    async def _load_account(self) -> AcmeAccount:
        directory = self._options.directory or ""
        account = await self._store.read(lambda conn: load_acme_account(conn, directory))
        if account is not None:
            return account
        fresh = AcmeAccount(directory, make_account_key(), None, self._clock.now_ms())
        await self._store.write(keep_acme_account, fresh)
        # Another node may have been quicker; then its key is the one.
        return await self._store.read(lambda conn: load_acme_account(conn, directory)) or fresh

    async def _answer(self, authority: Authority, name: str, pending: Pending) -> bytes:
        if pending.body is None:
            return await self._ask(lambda: authority.finish(pending))
        if self._options.challenge == "dns-01":
            return await self._answer_in_dns(authority, name, pending)
        now_ms = self._clock.now_ms()
        pair = None
        if self._options.challenge == "tls-alpn-01":
            pair = make_challenge_certificate(name, pending.answer, now_ms)
        challenge = AcmeChallenge(
            pending.token,
            name,
            pending.answer,
            now_ms,
            pair.certificate if pair else None,
            pair.key if pair else None,
        )
        await self._store.write(put_challenges, challenge)
        try:
            if pair is not None:
                await asyncio.sleep(_SETTLE_SECONDS)
            return await self._ask(lambda: authority.finish(pending))
        finally:
            with suppress(Unavailable):  # the next order for the name removes it
                await self._store.write(remove_challenges, name)

    async def _answer_in_dns(self, authority: Authority, name: str, pending: Pending) -> bytes:
        where = f"_acme-challenge.{name.removeprefix('*.')}"
        zone = await run_flow(find_zone(where), self._resolve)
        if zone is None:
            raise OrderImpossible(f"the zone of {where} cannot be found in DNS")
        record = ZoneRecord(where, "TXT", pending.record, self._provider.ttl_ms // 1000)
        provider = open_provider(self._provider)
        await self._store.standing.require()
        try:
            try:
                await in_thread(lambda: provider.change(zone, [], [record]), self._patience_seconds)
            except TimeoutError:
                raise OrderImpossible("the DNS provider did not answer in time") from None
            await self._await_record(record)
            return await self._ask(lambda: authority.finish(pending))
        finally:
            await self._remove(provider, zone, record)

    async def _await_record(self, record: ZoneRecord) -> None:
        """Wait until DNS has the record; after ``dns_provider.wait`` the authority may look."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._provider.wait_ms / 1000):
                while True:
                    answer = await self._resolve(Question(record.name, "TXT"))
                    if answer.outcome is Outcome.FOUND and record.value in answer.values:
                        return
                    await asyncio.sleep(_LOOK_SECONDS)

    async def _remove(self, provider: Provider, zone: str, record: ZoneRecord) -> None:
        with suppress(ProviderFailed, TimeoutError):  # it does no harm
            await in_thread(lambda: provider.change(zone, [record], []), self._patience_seconds)


async def in_thread(work: Callable[[], T], seconds: float) -> T:
    """Run what blocks for minutes in a thread of its own.

    A server that stops does not wait for it, as it would for a thread of the loop's executor; when
    the caller is cancelled, or the time is over, the result is dropped.

    Raises:
        TimeoutError: it took longer than ``seconds``.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as caught:
            error = caught
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="acme", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await future
