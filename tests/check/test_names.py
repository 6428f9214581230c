"""Names of ours, read once and again after the directory changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kit.clock import FakeClock
from kit.store import NOW_MS, running
from zajil.check.content.protected_names import OurNames
from zajil.core.address import parse_address
from zajil.store.engine.open import Store
from zajil.store.people.accounts import NewAccount, create_account
from zajil.store.people.domains import DomainRow, create_domain


def add(login: str, name: str) -> NewAccount:
    return NewAccount(
        login, parse_address(f"{login}@north.test"), name, "!", admin=False, created_ms=NOW_MS
    )


def run(store: Store, story: Callable[[OurNames, FakeClock], Awaitable[None]]) -> None:
    store.write_now(create_domain, DomainRow("north.test", NOW_MS))
    store.write_now(create_account, add("amal", "Amal Haddad"))
    store.write_now(create_account, add("info", "Support"))

    async def tell() -> None:
        async with running(store):
            clock = FakeClock(NOW_MS)
            await story(OurNames(store, ["bank.example"], clock), clock)

    asyncio.run(tell())


async def until_known(store: Store, names: OurNames, clock: FakeClock, name: str) -> None:
    """Ask again and again, each time long after the last time."""
    while not (await names.protected()).is_ours(name):
        clock.advance(30_000)
        await store.read(lambda conn: None)


def test_what_is_ours(store: Store) -> None:
    async def story(names: OurNames, clock: FakeClock) -> None:
        protected = await names.protected()
        assert protected.domains == {"north.test"}
        assert protected.is_ours("Amal Haddad (CEO)")
        assert not protected.is_ours("Amal")
        assert not protected.is_ours("Support")  # a word that is everybody's
        assert protected.imitated("n0rth.test") == "north.test"
        assert protected.imitated("bank-example.com") == "bank.example"

    run(store, story)


def test_a_new_name_is_known_soon_and_no_mail_waits_for_it(store: Store) -> None:
    async def story(names: OurNames, clock: FakeClock) -> None:
        assert not (await names.protected()).is_ours("Noor Saleh")
        await store.write(create_account, add("noor", "Noor Saleh"))
        # A script may add thousands: it is not read again at once.
        assert not (await names.protected()).is_ours("Noor Saleh")
        await until_known(store, names, clock, "Noor Saleh")

    run(store, story)


def test_where_many_live_their_names_are_not_compared(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do not know each other, and many share a name."""
    monkeypatch.setattr("zajil.check.content.protected_names.MOST_NAMES", 1)

    async def story(names: OurNames, clock: FakeClock) -> None:
        protected = await names.protected()
        assert not protected.is_ours("Amal Haddad")
        assert protected.is_ours("north.test")

    run(store, story)


def test_a_store_that_is_away_is_asked_again(store: Store) -> None:
    clock = FakeClock(NOW_MS)
    names = OurNames(store, ["bank.example"], clock)
    protected = asyncio.run(names.protected())  # it is not started
    assert not protected.is_ours("Amal Haddad")
    store.write_now(create_domain, DomainRow("north.test", NOW_MS))
    store.write_now(create_account, add("amal", "Amal Haddad"))

    async def later() -> None:
        async with running(store):
            await until_known(store, names, clock, "Amal Haddad")

    asyncio.run(later())
