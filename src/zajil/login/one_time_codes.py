"""Codes of authenticator apps (TOTP, RFC 6238), and recovery codes. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32encode

import pyotp

from zajil.core.app_password import generate_characters
from zajil.core.clock import Random

STEP_SECONDS = 30
"""RFC 6238 section 4.1: X."""
RECOVERY_CODES = 10
"""Made at a time."""
_SECRET_SIZE = 20
"""Bytes: as long as the output of SHA-1 (RFC 4226 section 4, R6)."""
_SECRET = re.compile(r"[A-Z2-7]{32}\Z")
_GROUPS, _GROUP = 4, 4


def new_secret(random: Random) -> str:
    """Return a new secret of an authenticator app, in base32."""
    return b32encode(random(_SECRET_SIZE)).decode()


def is_secret(text: str) -> bool:
    """Check whether a text has the form of ``new_secret``."""
    return _SECRET.match(text) is not None


def provisioning_uri(secret: str, account: str, issuer: str) -> str:
    """Return the ``otpauth://`` URI that a QR code carries."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def step_of_code(secret: str, code: str, now_ms: int) -> int | None:
    """Return the time step of a code; ``None``: it is wrong.

    The step before and the one after are accepted, for clocks that differ and slow fingers
    (RFC 6238 section 5.2).
    """
    typed = code.replace(" ", "")
    if not (typed.isascii() and typed.isdigit() and len(typed) == 6):
        return None
    totp = pyotp.TOTP(secret)
    now = now_ms // 1000 // STEP_SECONDS
    found = None
    for step in (now - 1, now, now + 1):
        # All are compared, so that the time tells nothing.
        if hmac.compare_digest(totp.generate_otp(step), typed):
            found = step
    return found


def new_recovery_codes(random: Random) -> tuple[str, ...]:
    """Return new recovery codes, of 79 random bits each, in groups of four."""
    return tuple(_new_recovery_code(random) for _ in range(RECOVERY_CODES))


def hash_recovery_code(code: str) -> str:
    """Return the form of a recovery code that is stored; case, spaces and hyphens do not count.

    One round of SHA-256 is enough, because a code is 79 random bits and not a password.
    """
    typed = re.sub(r"[\s-]", "", code[:100]).lower()
    return hashlib.sha256(typed.encode("utf-8", "replace")).hexdigest()


def _new_recovery_code(random: Random) -> str:
    characters = generate_characters(_GROUPS * _GROUP, random)
    return "-".join(characters[at : at + _GROUP] for at in range(0, len(characters), _GROUP))
