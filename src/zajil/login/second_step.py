"""The second step of a log-in with a browser: a code or a passkey after the right password.

Between the steps the browser carries what was proved in a signed text, and no session exists. The
same key signs the challenges of passkeys. Workers share the key through the store.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

from zajil.core.clock import Clock, Random
from zajil.core.ids import AccountId
from zajil.core.service import Service
from zajil.login.account import Origin
from zajil.login.one_time_codes import hash_recovery_code, step_of_code
from zajil.login.service import LoginService
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.people.accounts import AccountRow, get_account
from zajil.store.people.code_failures import CodeFailure, count_code_failure, may_try_code
from zajil.store.people.second_factors import (
    Factors,
    PasskeyRow,
    PasskeyUse,
    RecoveryCodeUse,
    TotpUse,
    find_passkey,
    read_factors,
    read_web_secret,
    use_passkey,
    use_recovery_code,
    use_totp,
)

STEP_MS = 600_000
"""How long a step and a challenge are good for."""
_NONCE, _TIME, _MAC = 16, 8, 32
"""Bytes of the pieces of a challenge."""


class SecondStep:
    """Signs and checks what stands between the two steps."""

    def __init__(self, store: Store, clock: Clock, random: Random, login: LoginService) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._login = login
        self._key: bytes | None = None

    async def factors(self, account_id: AccountId) -> Factors:
        """Return the second factors of an account."""
        return await self._store.read(lambda conn: read_factors(conn, account_id))

    async def begin(self, account_id: AccountId, browser: str) -> str:
        """Return a signed text: the owner of this browser knows the password of the account.

        Args:
            account_id: of the account.
            browser: the anonymous token of the browser; the text is worth nothing in another one.
        """
        row = await self._store.read(lambda conn: get_account(conn, account_id))
        if row is None:
            return ""
        until_ms = self._clock.now_ms() + STEP_MS
        mac = await self._sign(_step_text(row, browser, until_ms))
        return f"{account_id}.{until_ms}.{mac.hex()}"

    async def account_of(self, text: str, browser: str) -> AccountId | None:
        """Return the account whose password was right; ``None``: the text is old or not ours."""
        number, _, rest = text.partition(".")
        time, _, mac = rest.partition(".")
        if not _is_number(number) or not _is_number(time) or int(time) <= self._clock.now_ms():
            return None
        row = await self._store.read(lambda conn: get_account(conn, AccountId(int(number))))
        if row is None or not row.active:
            return None
        right = (await self._sign(_step_text(row, browser, int(time)))).hex()
        return row.account_id if hmac.compare_digest(right.encode(), mac.encode()) else None

    async def check_code(self, account_id: AccountId, code: str, peer: str) -> bool | None:
        """Check a code of the authenticator app, or a recovery code; each is good once.

        Returns:
            ``None``: too many were wrong; this one was not looked at.
        """
        now_ms = self._clock.now_ms()

        def load(conn: Snapshot) -> tuple[bool, Factors]:
            return may_try_code(conn, account_id, now_ms), read_factors(conn, account_id)

        may_try, factors = await self._store.read(load)
        if not may_try:
            return None
        if await self._use_code(account_id, factors, code, now_ms):
            return True
        await self._store.write(count_code_failure, CodeFailure(account_id, now_ms))
        self._login.note_failure(
            Origin(peer, Service.WEB), str(account_id), "code", "wrong code of the second factor"
        )
        return False

    async def new_challenge(self, browser: str) -> str:
        """Return a challenge for passkeys in base64url, good in one browser for ``STEP_MS``."""
        until = (self._clock.now_ms() + STEP_MS).to_bytes(_TIME, "big")
        head = self._random(_NONCE) + until
        return encode(head + await self._sign(b"challenge" + head + browser.encode()))

    async def is_challenge(self, challenge: str, browser: str) -> bool:
        """Check whether a challenge is ours, of this browser, and not too old."""
        data = decode(challenge)
        if len(data) != _NONCE + _TIME + _MAC:
            return False
        head, mac = data[: _NONCE + _TIME], data[_NONCE + _TIME :]
        if int.from_bytes(head[_NONCE:], "big") <= self._clock.now_ms():
            return False
        right = await self._sign(b"challenge" + head + browser.encode("utf-8", "replace"))
        return hmac.compare_digest(right, mac)

    async def find_passkey(self, credential_id: str) -> PasskeyRow | None:
        """Return a passkey by its id; ``None``: nobody has it."""
        if len(credential_id) > 2000 or not credential_id.isascii():
            return None
        return await self._store.read(lambda conn: find_passkey(conn, credential_id))

    async def use_passkey(self, passkey: PasskeyRow, sign_count: int, challenge: str) -> bool:
        """Note that a passkey signed a challenge; ``False``: it signed this one before."""
        use = PasskeyUse(passkey.credential_id, sign_count, self._clock.now_ms(), challenge)
        return await self._store.write(use_passkey, use)

    async def _use_code(
        self, account_id: AccountId, factors: Factors, code: str, now_ms: int
    ) -> bool:
        if factors.totp is not None:
            step = step_of_code(factors.totp.secret, code, now_ms)
            if step is not None:
                return await self._store.write(use_totp, TotpUse(account_id, step))
        if not factors.any:
            return False
        use = RecoveryCodeUse(account_id, hash_recovery_code(code))
        return await self._store.write(use_recovery_code, use)

    async def _sign(self, text: bytes) -> bytes:
        if self._key is None:
            self._key = await self._store.read(read_web_secret)
        return hmac.digest(self._key, text, hashlib.sha256)


def encode(data: bytes) -> str:
    """Return bytes in base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes of base64url without padding; empty: it is none."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


def _step_text(row: AccountRow, browser: str, until_ms: int) -> bytes:
    # With the hash of the password, so that a change of it ends the step.
    return f"step {row.account_id} {until_ms} {row.password_hash} {browser}".encode()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
