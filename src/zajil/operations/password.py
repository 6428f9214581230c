"""Passwords on their way in: good enough, hashed outside of any transaction (design D11)."""

from __future__ import annotations

from argon2 import PasswordHasher, profiles

from zajil.core.app_password import generate_messages
from zajil.core.clock import Random
from zajil.core.errors import Invalid
from zajil.core.password import LONGEST_PASSWORD, UnusablePassword, prepare_password

SHORTEST = 8
"""NIST SP 800-63B: shorter ones are guessed, rules about their letters do not help."""
LONGEST = LONGEST_PASSWORD
"""``login.service`` refuses longer ones unread."""

_GROUPS, _GROUP = 5, 4


class BadPassword(Invalid, ValueError):
    """A password that we do not take."""


def hash_password(password: str) -> str:
    """Give the argon2id hash in PHC form; takes 64 MiB and tens of milliseconds.

    Raises:
        BadPassword: shorter than ``SHORTEST`` characters, longer than ``LONGEST``, or with
            characters that nobody types on purpose.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadPassword(f"a password has {SHORTEST} to {LONGEST} characters")
    try:
        prepared = prepare_password(password)
    except UnusablePassword as error:
        raise BadPassword(str(error)) from None
    # RFC 9106 section 4, the second recommendation: 64 MiB, three passes, four lanes.
    return PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY).hash(prepared)


def generate_password(random: Random) -> str:
    """Make a password that can be read out over the telephone: 99 bits in groups of four."""
    letters = generate_messages(_GROUPS * _GROUP, random)
    return "-".join(letters[i * _GROUP : (i + 1) * _GROUP] for i in range(_GROUPS))
