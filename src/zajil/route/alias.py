"""What an alias stands for: expanded to accounts and foreign addresses. Pure.

Loops stop by themselves: an address is expanded once. The caps protect against a directory that
an operator (or an import) made explosive.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from zajil.core.address import Address
from zajil.core.directory import AccountEntry, AliasEntry, DirectoryAnswer

MAX_TARGETS = 1000
"""Copies that one alias may turn a mail into; more are cut off (attack: amplification)."""


@dataclass(slots=True)
class Expansion:
    """Where an alias leads."""

    entries: list[AccountEntry] = field(default_factory=list)
    remote: list[Address] = field(default_factory=list)
    via: list[Address] = field(default_factory=list)
    """Every alias that was passed, in order."""
    nowhere: list[Address] = field(default_factory=list)
    """Targets in our domains that nobody has."""


def expand_alias(alias: AliasEntry) -> Generator[Address, DirectoryAnswer, Expansion]:
    """Follow an alias to its end; asks the directory for each target once."""
    found = Expansion(via=[alias.address])
    seen = {alias.address.key}
    waiting = list(reversed(alias.targets))
    while waiting and len(seen) <= MAX_TARGETS:
        address = waiting.pop()
        if address.key in seen:
            continue
        seen.add(address.key)
        answer = yield address
        match answer.entry:
            case AccountEntry() as entry:
                # A suspended account keeps its copy: what an alias brings is not lost either.
                found.entries.append(entry)
            case AliasEntry() as inner:
                found.via.append(inner.address)
                waiting.extend(reversed(inner.targets))
            case None if answer.is_local:
                found.nowhere.append(address)
            case None:
                found.remote.append(address)
    return found
