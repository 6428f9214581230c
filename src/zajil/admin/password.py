"""Passwords on their way in: good enough, hashed outside of any transaction (design D11)."""

from __future__ import annotations

from argon2 import PasswordHasher, profiles

from zajil.core.clock import Random

SHORTEST = 8
"""NIST SP 800-63B: shorter ones are guessed, rules about their letters do not help."""
LONGEST = 1024
"""Bounds what one log-in may make us hash; ``login.service`` refuses longer ones unread."""

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read as something else
_GROUPS, _GROUP = 5, 4


class BadPassword(ValueError):
    """A password that we do not take."""


def hash_password(password: str) -> str:
    """Give the argon2id hash in PHC form; takes 64 MiB and tens of milliseconds.

    Raises:
        BadPassword: shorter than ``SHORTEST`` characters or longer than ``LONGEST``.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadPassword(f"a password has {SHORTEST} to {LONGEST} characters")
    # RFC 9106 section 4, the second recommendation: 64 MiB, three passes, four lanes.
    return PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY).hash(password)


def generate_password(random: Random) -> str:
    """Make a password that can be read out over the telephone: 99 bits in groups of four."""
    letters = ""
    while len(letters) < _GROUPS * _GROUP:
        # Bytes past the last whole multiple are thrown away, so that no letter comes more often.
        usable = [byte for byte in random(32) if byte < 256 - 256 % len(_ALPHABET)]
        letters += "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in usable)
    return "-".join(letters[i * _GROUP : (i + 1) * _GROUP] for i in range(_GROUPS))
