"""How flags of a message are stored: bits and text (RFC 9051 section 2.3.2).

System flags are bits of ``message.flags``; keywords are text, sorted, divided by a space.

Law: flags compare without regard to case. A keyword is shown as it was first spelled; a row may
still hold one in two spellings, from a time when they counted as two, and is read as if it had one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from zajil.core.errors import Refused

FLAG_BITS = {
    "\\Seen": 1,
    "\\Answered": 2,
    "\\Flagged": 4,
    "\\Deleted": 8,
    "\\Draft": 16,
}
r"""Bit of each system flag in ``message.flags``. ``\Recent`` is never stored."""

MAX_KEYWORDS = 128
"""Keywords of one message: protects its row, and the FLAGS response that names them all."""


class TooManyKeywords(Refused):
    """A message would get more than ``MAX_KEYWORDS``."""


_BY_LOWER = {name.lower(): bit for name, bit in FLAG_BITS.items()}


def pack_flags(flags: Iterable[str]) -> tuple[int, str]:
    """Return the values of ``message.flags`` and ``message.keywords``; case does not matter."""
    bits = 0
    keywords: dict[str, str] = {}
    for flag in flags:
        folded = flag.lower()
        bit = _BY_LOWER.get(folded)
        if bit is None:
            keywords[folded] = min(flag, keywords.get(folded, flag))
        else:
            bits |= bit
    return bits, " ".join(sorted(keywords.values()))


@lru_cache(maxsize=4096)  # most messages of a mailbox share the flags of others
def unpack_flags(bits: int, keywords: str) -> frozenset[str]:
    """Return the flags: the inverse of ``pack_flags``."""
    words = keywords.split()
    if len(words) > 1:
        words = list({word.lower(): word for word in reversed(words)}.values())
    return frozenset([name for name, bit in FLAG_BITS.items() if bits & bit] + words)


def add_flags(flags: frozenset[str], more: frozenset[str]) -> frozenset[str]:
    """Return the flags with more of them; one that is there already keeps its spelling."""
    known = {flag.lower() for flag in flags}
    return flags | {flag for flag in more if flag.lower() not in known}


def count_keywords(flags: Iterable[str]) -> int:
    """Count the flags that are not system flags."""
    return sum(flag.lower() not in _BY_LOWER for flag in flags)


def remove_flags(flags: frozenset[str], fewer: frozenset[str]) -> frozenset[str]:
    """Return the flags without some of them, however these are spelled."""
    gone = {flag.lower() for flag in fewer}
    return frozenset([flag for flag in flags if flag.lower() not in gone])


def replace_flags(flags: frozenset[str], by: frozenset[str]) -> frozenset[str]:
    """Return other flags; one that was there already keeps its spelling."""
    wanted = {flag.lower() for flag in by}
    return add_flags(frozenset([flag for flag in flags if flag.lower() in wanted]), by)
