"""Passwords against a real store: remembered while they are right, forgotten with any change."""

from __future__ import annotations

import asyncio
import os

from argon2 import PasswordHasher

from zajil.login.service import LoginService
from zajil.net.system import SystemClock
from zajil.store.accounts import NewActive, NewPassword, set_active, set_password
from zajil.store.open import Store
from zajil.testing.store import make_account, running

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def test_a_changed_password_is_not_remembered(store: Store) -> None:
    """Design D11: what was verified is dropped on any change."""
    amal = make_account(store, "amal@south.test", password_hash=HASHER.hash("old"))

    async def run() -> None:
        async with running(store):
            login = LoginService(store, SystemClock(), os.urandom, free_failures=0)

            async def works(password: str) -> bool:
                given = await login.log_in("amal", password, peer="192.0.2.1", service="imap")
                return given is not None

            assert await works("old")
            assert await works("old")  # from memory
            new = NewPassword(amal.account_id, HASHER.hash("new"))
            await store.write(set_password, new)
            assert not await works("old")
            assert await works("new")
            await store.write(set_active, NewActive(amal.account_id, active=False))
            assert not await works("new")
            assert await login.find(amal.account_id) is None

    asyncio.run(run())


def test_what_is_absurdly_long_is_not_hashed(store: Store) -> None:
    make_account(store, "amal@south.test", password_hash=HASHER.hash("x" * 2000))

    async def run() -> None:
        async with running(store):
            login = LoginService(store, SystemClock(), os.urandom, free_failures=0)
            peer = "192.0.2.1"
            assert await login.log_in("amal", "x" * 2000, peer=peer, service="imap") is None
            assert await login.log_in("a" * 500, "x", peer=peer, service="imap") is None

    asyncio.run(run())
