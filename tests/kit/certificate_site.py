"""A server with a certificate that is due, beside an authority that may be odd."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

from kit.clock import FakeClock
from kit.odd_authority import OddAuthority
from kit.store import running
from kit.zone import ZoneResolver
from zajil.certificates.order import Orders
from zajil.certificates.upkeep import CertificateUpkeep
from zajil.config.options_acme import DnsProviderOptions
from zajil.store.engine.open import Store
from zajil.store.people.certificates import CertificateRow, list_certificates

HOST = "mail.x.test"


@dataclass(slots=True)
class Site:
    """A server with a certificate that is due, and its authority."""

    store: Store
    authority: OddAuthority
    clock: FakeClock
    old: bytes
    more: tuple[str, ...] = ()
    """Further names."""

    def upkeep(self, resolver: ZoneResolver | None = None) -> CertificateUpkeep:
        """Make what a new worker would."""
        options = self.authority.options().model_copy(update={"names": self.more})
        here = {name: {"A": ["127.0.0.1"]} for name in (HOST, *self.more)}
        resolver = resolver or ZoneResolver(here)
        provider = DnsProviderOptions()
        orders = Orders(self.store, options, provider, resolver.resolve, self.clock, 2.0)
        return CertificateUpkeep(
            self.store,
            options,
            orders,
            resolver.resolve,
            self.clock,
            os.urandom,
            hostname=HOST,
            has_own=lambda name: False,
        )

    def look(self) -> CertificateRow:
        """Do what is due, and return what is known then."""

        self.look_at_all()
        return self.row

    def look_at_all(self) -> None:
        """Do what is due."""

        async def run() -> None:
            async with running(self.store):
                await self.upkeep().look()

        asyncio.run(run())

    @property
    def row(self) -> CertificateRow:
        """What is known of the name."""
        [row] = self.store.read_now(list_certificates)
        return row
