"""A directory in memory: what ``route`` asks, without a store."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TypeVar

from zajil.core.address import Address, parse_address
from zajil.core.directory import AccountEntry, AliasEntry, DirectoryAnswer, Entry
from zajil.core.ids import AccountId, MailboxId
from zajil.route.recipient import RecipientRoute, route_recipient

T = TypeVar("T")


def address(text: str) -> Address:
    """Parse an address that is known to be good."""
    return parse_address(text)


def account(number: int, text: str, *, active: bool = True) -> AccountEntry:
    """Make an account; its mailboxes have numbers that tell whose they are."""
    own = parse_address(text)
    return AccountEntry(
        account_id=AccountId(number),
        address=own,
        inbox=MailboxId(number * 10),
        junk=MailboxId(number * 10 + 1),
        active=active,
    )


OURS = {"north.test", parse_address("x@زاجل.test").domain}
AMAL = account(1, "amal@north.test")
SAMI = account(2, "sami@north.test")
SALMA = account(3, "سلمى@زاجل.test")
SLEEPER = account(4, "sleeper@north.test", active=False)


class Book:
    """Accounts and aliases; ``salma@north.test`` is a second address of SALMA."""

    def __init__(
        self, accounts: Sequence[AccountEntry], aliases: Mapping[str, Sequence[str]]
    ) -> None:
        self.entries: dict[str, Entry] = {entry.address.key: entry for entry in accounts}
        if SALMA in accounts:
            self.entries["salma@north.test"] = SALMA
        for name, targets in aliases.items():
            own = parse_address(name)
            self.entries[own.key] = AliasEntry(own, tuple(map(parse_address, targets)))
        self.asked: list[Address] = []

    def answer(self, who: Address) -> DirectoryAnswer:
        """Return what is known of an address."""
        self.asked.append(who)
        is_local = who.domain in OURS
        return DirectoryAnswer(is_local, self.entries.get(who.key) if is_local else None)

    def run(self, flow: Generator[Address, DirectoryAnswer, T]) -> T:
        """Drive a flow to its end."""
        try:
            who = next(flow)
            while True:
                who = flow.send(self.answer(who))
        except StopIteration as stop:
            result: T = stop.value
            return result

    def route(
        self, who: str | Address, *, postmaster: AccountEntry | None = None
    ) -> RecipientRoute:
        """Route one recipient."""
        named = parse_address(who) if isinstance(who, str) else who
        return self.run(route_recipient(named, postmaster))
