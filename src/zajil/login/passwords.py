"""Verification of a password with one argon2 computation, or with none if the result is cached.

Laws:
- Every check costs exactly one computation: for a wrong password, an unknown name, a name or
  password that no PRECIS profile allows, an account with fifty app passwords (CVE-2026-27856).
- Repeating the same wrong password costs none: it is not a new guess (``login.throttle``), so a
  client could otherwise exhaust the processors with it.
- A hash of another program (``login.foreign_hashes``) is verified after one computation of ours, so
  that an imported account is not recognized by a quick answer.
- Results are cached under a keyed hash of name, scope and password, each with its length: no two
  requests share an entry (CVE-2025-30189). The key exists in this process only.
- At most ``_AT_ONCE`` computations run at a time, because each takes 64 MiB, and one per network:
  many guesses from one network do not delay others.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import ARGON2_VERSION

from zajil.core.clock import Random
from zajil.login.account import Account
from zajil.login.foreign_hashes import is_foreign, matches_foreign

_AT_ONCE = 2
_MOST_REMEMBERED = 10_000
_MOST_WRONG = 1000
"""Wrong answers remembered; the oldest is forgotten first."""


@dataclass(slots=True)
class _Turn:
    """Whose computation of one network runs; kept while anybody of it waits."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Passwords:
    """Computes and remembers; who asks decides what the answer is good for."""

    def __init__(self, random: Random, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._key = random(32)
        # Security: verified in place of a hash we do not have.
        self._nobody = _hash_of_nobody(self._hasher, random)
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._networks: dict[str, _Turn] = {}
        self._remembered: dict[bytes, tuple[Account, int | None]] = {}
        self._wrong: dict[bytes, None] = {}
        self._generation = 0

    @property
    def generation(self) -> int:
        """Grows when everything is forgotten."""
        return self._generation

    def forget(self) -> None:
        """Drop what is remembered: an account or password changed."""
        self._generation += 1
        self._remembered.clear()
        self._wrong.clear()

    def digest(self, login: str, scope: str, password: str) -> bytes:
        """Return what a question is remembered under."""
        parts = [part.encode("utf-8", "replace") for part in (login, scope, password)]
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hashlib.blake2b(framed, key=self._key, digest_size=32).digest()

    def recall(self, question: bytes, now_ms: int) -> Account | None:
        """Return the account that this question led to before."""
        account, until_ms = self._remembered.get(question, (None, None))
        return account if until_ms is None or now_ms < until_ms else None

    def remember(
        self, question: bytes, account: Account, generation: int, until_ms: int | None = None
    ) -> None:
        """Keep a right answer, unless something changed since ``generation``.

        Args:
            question: as ``digest`` gives it.
            account: the answer.
            generation: before the password was verified.
            until_ms: it is kept no longer; ``None``: until anything changes.

        Security: a password that was changed while we computed must not be remembered.
        """
        if generation != self._generation:
            return
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[question] = account, until_ms

    def is_wrong(self, question: bytes) -> bool:
        """Return whether this question led nowhere before."""
        return question in self._wrong

    def remember_wrong(self, question: bytes, generation: int) -> None:
        """Keep a wrong answer, unless something changed since ``generation``."""
        if generation != self._generation:
            return
        if len(self._wrong) >= _MOST_WRONG:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[question] = None

    async def verify(self, password_hash: str | None, password: str, network: str = "") -> bool:
        """Compute once; waits for its turn. Cancelling leaves nothing behind.

        Args:
            password_hash: ``None``: nobody's; the answer is no, and takes as long.
            password: prepared, at most ``LONGEST_PASSWORD`` characters.
            network: who asks.
        """
        turn = self._networks.setdefault(network, _Turn())
        turn.users += 1
        try:
            async with turn.lock, self._at_once:
                known = password_hash or self._nobody
                right = await asyncio.to_thread(self._matches, known, password)
        finally:
            turn.users -= 1
            if not turn.users:
                del self._networks[network]
        return right and password_hash is not None

    async def hash(self, password: str) -> str:
        """Return a hash of our own, in the PHC form; waits for its turn.

        Args:
            password: prepared.
        """
        async with self._at_once:
            return await asyncio.to_thread(self._hasher.hash, password)

    def _matches(self, password_hash: str, password: str) -> bool:
        if is_foreign(password_hash):
            self._matches(self._nobody, password)
            return matches_foreign(password_hash, password)
        try:
            return self._hasher.verify(password_hash, password)
        except (Argon2Error, InvalidHashError):
            return False


def _hash_of_nobody(hasher: PasswordHasher, random: Random) -> str:
    """Return a hash whose password nobody knows, and that takes as long to verify as others.

    Its digest is random: to compute one would delay the start of each worker.
    """
    kind = f"argon2{hasher.type.name.lower()}"
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (
        b64encode(random(size)).rstrip(b"=").decode() for size in (hasher.salt_len, hasher.hash_len)
    )
    return f"${kind}$v={ARGON2_VERSION}${cost}${salt}${digest}"
