"""What an alias stands for: expanded to accounts and foreign addresses. Pure.

Loops stop by themselves: an address is expanded once. The caps protect against a directory that
an operator (or an import) made explosive.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from zajil.core.address import Address
from zajil.core.directory import (
    AccountEntry,
    AliasEntry,
    DirectoryAnswer,
    Entry,
    catch_all_of,
    is_always_accepted,
    without_subaddress,
)

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


def expand_alias(
    alias: AliasEntry, postmaster: AccountEntry | None = None
) -> Generator[Address, DirectoryAnswer, Expansion]:
    """Follow an alias to its end; asks the directory for each target once.

    Args:
        alias: where to start.
        postmaster: as ``find_entry`` takes it.
    """
    found = Expansion(via=[alias.address])
    seen = {alias.address.key}
    waiting = list(reversed(alias.targets))
    while waiting and len(seen) <= MAX_TARGETS:
        address = waiting.pop()
        if address.key in seen:
            continue
        seen.add(address.key)
        answer = yield address
        if not answer.is_local:
            found.remote.append(address)
            continue
        entry = yield from find_entry(address, answer, postmaster)
        match entry:
            case AccountEntry():
                # A suspended account keeps its copy: what an alias brings is not lost either.
                if all(entry.account_id != other.account_id for other in found.entries):
                    found.entries.append(entry)
            case AliasEntry():
                if entry.address.key in seen and entry.address.key != address.key:
                    continue  # reached by another name of an alias that was expanded before
                seen.add(entry.address.key)
                found.via.append(entry.address)
                waiting.extend(reversed(entry.targets))
            case None:
                found.nowhere.append(address)
    return found


def find_entry(
    address: Address, answer: DirectoryAnswer, postmaster: AccountEntry | None
) -> Generator[Address, DirectoryAnswer, Entry | None]:
    """Find who gets the mail of an address in a domain of ours; ``None``: nobody does.

    Args:
        address: whose mail it is.
        answer: what the directory said of it.
        postmaster: who gets what nobody has of the addresses that must exist; ``None``: nobody.
    """
    entry = answer.entry
    if entry is None and (base := without_subaddress(address)) is not None:
        entry = (yield base).entry
    if entry is None and postmaster is not None and is_always_accepted(address):
        entry = postmaster
    if entry is None and not address.is_catch_all:
        entry = (yield catch_all_of(address.domain)).entry
    return entry
