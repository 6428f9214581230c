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
        entry = answer.entry
        base, plus, _ = address.local_part.partition("+")
        if answer.is_local and entry is None and plus and base:
            entry = (yield Address(base, address.domain)).entry
        match entry:
            case AccountEntry():
                # A suspended account keeps its copy: what an alias brings is not lost either.
                if all(entry.account_id != other.account_id for other in found.entries):
                    found.entries.append(entry)
            case AliasEntry():
                if entry.address.key in seen and entry.address.key != address.key:
                    continue  # reached by a subaddress of an alias that was expanded before
                seen.add(entry.address.key)
                found.via.append(entry.address)
                waiting.extend(reversed(entry.targets))
            case None if answer.is_local:
                found.nowhere.append(address)
            case None:
                found.remote.append(address)
    return found
