"""How flags of a message are stored: bits and text (RFC 9051 section 2.3.2).

System flags are bits of ``message.flags``; keywords are text, sorted, divided by a space.
"""

from __future__ import annotations

from collections.abc import Iterable

FLAG_BITS = {
    "\\Seen": 1,
    "\\Answered": 2,
    "\\Flagged": 4,
    "\\Deleted": 8,
    "\\Draft": 16,
}
r"""Bit of each system flag in ``message.flags``. ``\Recent`` is never stored."""

_BY_LOWER = {name.lower(): bit for name, bit in FLAG_BITS.items()}


def pack_flags(flags: Iterable[str]) -> tuple[int, str]:
    """Give the values of ``message.flags`` and ``message.keywords``; case does not matter."""
    bits, keywords = 0, set()
    for flag in flags:
        bit = _BY_LOWER.get(flag.lower())
        if bit is None:
            keywords.add(flag)
        else:
            bits |= bit
    return bits, " ".join(sorted(keywords))


def unpack_flags(bits: int, keywords: str) -> frozenset[str]:
    """Give the flags back: the inverse of ``pack_flags``."""
    return frozenset([name for name, bit in FLAG_BITS.items() if bits & bit] + keywords.split())
