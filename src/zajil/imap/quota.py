"""The commands of QUOTA. (RFC 9208 section 4.1)"""

from __future__ import annotations

import re

from zajil.core.value_class import value_class
from zajil.imap.grammar import Scanner, bad

_MAX_RESOURCES = 20
_LIMIT = re.compile(rb"[0-9]{1,19}")
_MAX_LIMIT = (1 << 63) - 1
"""RFC 9051 section 9, number64."""


@value_class(frozen=True, slots=True)
class GetQuota:
    """``GETQUOTA root``."""

    root: str


@value_class(frozen=True, slots=True)
class GetQuotaRoot:
    """``GETQUOTAROOT mailbox``."""

    mailbox: str


@value_class(frozen=True, slots=True)
class SetQuota:
    """``SETQUOTA root (resource limit ...)``."""

    root: str
    limits: tuple[tuple[str, int], ...]


def parse_get_quota(scanner: Scanner) -> GetQuota:
    """Parse what follows the name of the command."""
    scanner.space()
    return GetQuota(scanner.astring())


def parse_get_quota_root(scanner: Scanner) -> GetQuotaRoot:
    """Parse what follows the name of the command."""
    scanner.space()
    return GetQuotaRoot(scanner.mailbox())


def parse_set_quota(scanner: Scanner) -> SetQuota:
    """Parse what follows the name of the command."""
    scanner.space()
    root = scanner.astring()
    scanner.space()
    scanner.expect(b"(")
    limits: list[tuple[str, int]] = []
    while not scanner.skip(b")"):
        if limits:
            scanner.space()
        name = scanner.keyword()
        scanner.space()
        limit = int(scanner.match(_LIMIT, "a limit")[0])
        limits.append((name, limit))
        if limit > _MAX_LIMIT or len(limits) > _MAX_RESOURCES:
            raise bad("limits are too large or too many")
    return SetQuota(root, tuple(limits))
