"""A log-in service over a store, with a hasher that is quick and counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from argon2 import PasswordHasher

from kit.operations import runner
from zajil.core.app_password import Scope
from zajil.core.clock import Clock
from zajil.core.service import Service
from zajil.login.passwords import Passwords
from zajil.login.service import LoginService
from zajil.login.tokens import TokenJudge
from zajil.login.verification import PersonPasswords
from zajil.net.limits import SessionCaps
from zajil.net.system import SystemClock
from zajil.operations.app_passwords import create_app_password
from zajil.store.engine.open import Store

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class CountingHasher(PasswordHasher):
    """Says how often it was asked: time is no measure on a busy machine."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.computations = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        """Verify, and count."""
        self.computations += 1
        return super().verify(hash, password)


@dataclass(frozen=True, slots=True)
class Desk:
    """A log-in service, and what it cost."""

    login: LoginService
    hasher: CountingHasher

    async def cost_of(
        self, login: str, password: str, service: Service = Service.IMAP
    ) -> tuple[bool, int]:
        """Log in; give whether it worked, and how many computations that took."""
        before = self.hasher.computations
        account = await self.login.log_in(login, password, peer="192.0.2.1", service=service)
        return account is not None, self.hasher.computations - before


def open_desk(
    store: Store,
    *,
    free_failures: int = 0,
    clock: Clock | None = None,
    tokens: TokenJudge | None = None,
    directory: PersonPasswords | None = None,
    needs_factor: bool = False,
    random: Callable[[int], bytes] = os.urandom,
    sessions: SessionCaps | None = None,
) -> Desk:
    """Make a log-in service in the running loop."""
    hasher = CountingHasher()
    login = LoginService(
        store,
        clock or SystemClock(),
        random,
        free_failures=free_failures,
        tokens=tokens,
        directory=directory,
        needs_factor=needs_factor,
        passwords=Passwords(random, hasher),
        sessions=sessions,
    )
    return Desk(login, hasher)


def add_app_password(store: Store, who: str, name: str, scope: Scope = Scope.ALL) -> str:
    """Make an app password, and give it whole."""
    text: str = runner(store).run(create_app_password, who, name, scope).password.text
    return text
