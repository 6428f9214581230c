"""Expansion of an alias or a forwarding to accounts and remote addresses. Pure.

Each address is expanded once, so loops end. Limits protect against very large alias directories.
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
from zajil.core.ids import AccountId

MAX_TARGETS = 1000
"""Copies that one alias may turn a mail into; more are cut off (attack: amplification)."""


@dataclass(slots=True)
class Expansion:
    """Where an alias, or an account that forwards its mail, leads."""

    entries: list[AccountEntry] = field(default_factory=list)
    remote: list[Address] = field(default_factory=list)
    via: list[Address] = field(default_factory=list)
    """Every alias and every account with a forwarding that was passed, in order."""
    nowhere: list[Address] = field(default_factory=list)
    """Targets in our domains that nobody has."""

    def add(self, entry: AccountEntry) -> None:
        """Add the copy of an account, once."""
        if all(entry.account_id != other.account_id for other in self.entries):
            self.entries.append(entry)


def expand_alias(
    start: Entry, postmaster: AccountEntry | None = None
) -> Generator[Address, DirectoryAnswer, Expansion]:
    """Follow an alias, or an account's forwarding, to its end; asks for each target once.

    An account that keeps no copy gets one all the same where its forwarding leads nowhere.

    Args:
        start: where to start.
        postmaster: as ``find_entry`` takes it.
    """
    found = Expansion()
    seen = {start.address.key}
    arrived: set[str] = set()
    """Keys of targets that get a copy."""
    passed: list[AccountEntry] = []
    """Accounts that keep no copy."""
    resolved: set[AccountId] = set()
    """Those of them whose forwarding led somewhere."""
    waiting: list[tuple[Address, AccountEntry | None]] = []
    """Targets to look at, each with the account that forwards to it."""
    _enter(start, found, passed, waiting)
    while waiting and len(seen) <= MAX_TARGETS:
        address, sender = waiting.pop()
        if address.key in seen:
            if sender is not None and address.key in arrived:
                resolved.add(sender.account_id)
            continue
        seen.add(address.key)
        answer = yield address
        entry: Entry | None = None
        if not answer.is_local:
            found.remote.append(address)
        else:
            entry = yield from find_entry(address, answer, postmaster)
            if entry is None:
                found.nowhere.append(address)
                continue
            leads_on = isinstance(entry, AliasEntry) or entry.forward_to
            if leads_on and entry.address.key in seen and entry.address.key != address.key:
                continue  # reached by another name of what was expanded before
            seen.add(entry.address.key)
            _enter(entry, found, passed, waiting)
        if entry is None or entry in found.entries:
            arrived.add(address.key)
        if sender is not None:
            resolved.add(sender.account_id)
    for account in passed:
        if account.account_id not in resolved:
            found.add(account)
    if not found.entries and not found.remote:
        found.entries += passed
    return found


def _enter(
    entry: Entry,
    found: Expansion,
    passed: list[AccountEntry],
    waiting: list[tuple[Address, AccountEntry | None]],
) -> None:
    if isinstance(entry, AliasEntry):
        found.via.append(entry.address)
        waiting.extend((target, None) for target in reversed(entry.targets))
        return
    # A suspended account keeps its copy: what an alias brings is not lost either.
    targets = entry.forward_to if entry.active else ()
    if targets:
        found.via.append(entry.address)
        waiting.extend((target, entry) for target in reversed(targets))
    if not targets or entry.keeps_copy:
        found.add(entry)
    else:
        passed.append(entry)


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
