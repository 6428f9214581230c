"""Computations are few at a time, and shared fairly."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Literal

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from zajil.login.passwords import Passwords


class StuckHasher(PasswordHasher):
    """Computes the password "guess" until it is released."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.started = threading.Event()
        self.released = threading.Event()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        """Verify."""
        if password == "guess":
            self.started.set()
            assert self.released.wait(60)
        return super().verify(hash, password)


def test_one_network_computes_once_at_a_time() -> None:
    """Forty guesses of one network leave a place for everybody else's log-in."""

    async def run() -> None:
        hasher = StuckHasher()
        passwords = Passwords(os.urandom, hasher)
        known = hasher.hash("right")
        guesses = [
            asyncio.create_task(passwords.verify(known, "guess", "192.0.2.1")) for _ in range(40)
        ]
        await asyncio.to_thread(hasher.started.wait, 60)
        assert await passwords.verify(known, "right", "198.51.100.1")
        assert not any(task.done() for task in guesses)
        hasher.released.set()
        assert not any(await asyncio.gather(*guesses))

    asyncio.run(run())


def test_a_cancelled_computation_leaves_the_turn_to_the_next() -> None:
    async def run() -> None:
        hasher = StuckHasher()
        passwords = Passwords(os.urandom, hasher)
        known = hasher.hash("right")
        first, second = (
            asyncio.create_task(passwords.verify(known, password, "192.0.2.1"))
            for password in ("guess", "right")
        )
        await asyncio.to_thread(hasher.started.wait, 60)
        first.cancel()
        assert await second
        hasher.released.set()
        await asyncio.gather(first, return_exceptions=True)

    asyncio.run(run())


class RecordingHasher(PasswordHasher):
    """Keeps what it was asked to verify, and how each ended."""

    def __init__(self) -> None:
        super().__init__(time_cost=2, memory_cost=16, parallelism=1)
        self.asked: list[str | bytes] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        """Verify."""
        self.asked.append(hash)
        with pytest.raises(VerifyMismatchError):
            super().verify(hash, password)
        raise VerifyMismatchError


def test_the_password_of_nobody_costs_as_much_as_one_of_an_account() -> None:
    """CVE-2026-27856: its hash is read and computed, with the parameters of any other."""

    async def run() -> None:
        hasher = RecordingHasher()
        assert not await Passwords(os.urandom, hasher).verify(None, "guess")
        (asked,) = hasher.asked
        assert extract_parameters(str(asked)) == extract_parameters(hasher.hash("right"))

    asyncio.run(run())
