"""Classification of an address: local, remote or unknown. Pure: a flow that queries the directory.

The order: the address itself; the same without its subaddress (RFC 5233 section 1: ``user+tag``);
the addresses that every domain must have (RFC 5321 section 4.5.1, RFC 2142 section 5), and the
address for reports about the domain (RFC 9990); the domain's catch-all alias ``*@domain``.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from zajil.core.address import Address
from zajil.core.directory import AccountEntry, DirectoryAnswer, Entry, is_always_accepted
from zajil.core.value_class import value_class
from zajil.route.alias import expand_alias, find_entry

T = TypeVar("T")

DirectoryFlow = Generator[Address, DirectoryAnswer, T]
"""Yields the address it wants to know of, is sent what the directory says."""


@value_class(frozen=True, slots=True)
class Local:
    """It leads to accounts of ours, or elsewhere by an alias or a forwarding."""

    entries: tuple[AccountEntry, ...]
    remote: tuple[Address, ...] = ()
    via: tuple[Address, ...] = ()
    """The aliases and forwardings that were passed; empty where the account gets it itself."""
    is_forwarded: bool = False
    """It is an account's address, whose mail goes on; its sender need not know."""


@value_class(frozen=True, slots=True)
class Remote:
    """The domain is not ours."""

    address: Address


@value_class(frozen=True, slots=True)
class UnknownRecipient:
    """The domain is ours, and nobody has the address."""

    address: Address
    reason: str


@value_class(frozen=True, slots=True)
class Suspended:
    """An operator suspended the account: try again later, nothing is lost."""

    address: Address
    entry: AccountEntry
    """Whose mailboxes are there all the same, for what must not wait: a DSN."""


RecipientRoute = Local | Remote | UnknownRecipient | Suspended


def route_recipient(
    address: Address, postmaster: AccountEntry | None
) -> DirectoryFlow[RecipientRoute]:
    """Return the route of an address.

    Args:
        address: as RCPT gave it; ``Address("postmaster", "")`` is the bare ``<Postmaster>``.
        postmaster: who gets mail to the addresses that must exist and that nobody took.
    """
    if not address.domain:
        if postmaster and address.local_part.lower() == "postmaster":
            return (yield from _follow(address, postmaster, postmaster))
        return UnknownRecipient(address, "an address needs a domain")
    answer = yield address
    if not answer.is_local:
        return Remote(address)
    entry = yield from find_entry(address, answer, postmaster)
    if entry is None:
        return UnknownRecipient(address, "nobody here has this address")
    return (yield from _follow(address, entry, postmaster))


def _follow(
    address: Address, entry: Entry, postmaster: AccountEntry | None
) -> DirectoryFlow[RecipientRoute]:
    """Return who gets the mail of an address in the end."""
    match entry:
        case AccountEntry(active=False):
            return Suspended(address, entry)
        case AccountEntry(forward_to=()):
            return Local((entry,))
    found = yield from expand_alias(entry, postmaster)
    if not found.entries and not found.remote:
        if postmaster and is_always_accepted(address):
            return Local((postmaster,), via=tuple(found.via))
        return UnknownRecipient(address, "the alias leads nowhere")
    is_forwarded = isinstance(entry, AccountEntry)
    return Local(tuple(found.entries), tuple(found.remote), tuple(found.via), is_forwarded)
