"""Whose an address is, from memory where it was asked before (decision 0001).

All domains and the entries that were asked for are kept, and all are dropped when the directory
changes; how much room an account has is asked again before it can have run out. ``peek`` never
waits: RCPT is answered without a task switch in the common case.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import Address, parse_address
from zajil.core.clock import Clock
from zajil.core.directory import AccountEntry, AliasEntry, DirectoryAnswer, Entry
from zajil.core.ids import AccountId, MailboxId
from zajil.store.mail.caps import Caps
from zajil.store.mail.room import load_usage
from zajil.store.schema import account, address, domain, mailbox

R = TypeVar("R")

_MAX_ENTRIES = 100_000
"""Addresses kept, found or not: whoever guesses addresses must not fill the memory."""

_MESSAGES_PER_SECOND, _BYTES_PER_SECOND = 5000, 100_000_000
"""More than one account ever gets: so long the room it has lasts."""
_SHORTEST_MS = 200
"""Less is not worth remembering."""

_UNKNOWN: tuple[None, None] = (None, None)
_ELSEWHERE = DirectoryAnswer(is_local=False, entry=None)
_NOBODY_HERE = DirectoryAnswer(is_local=True, entry=None)


def _ask_store(_who: Address) -> None:
    """Leave it to the domains of the store."""


class _Read(Protocol):
    def __call__(self, query: Callable[[Connection], R], /) -> Awaitable[R]: ...


class Directory:
    """The cache of one worker."""

    def __init__(self, read: _Read, caps: Caps, clock: Clock) -> None:
        self._read = read
        self._caps = caps
        self._clock = clock
        self._domains: frozenset[str] | None = None
        self.postmaster: AccountEntry | None = None
        """Who gets mail to postmaster and abuse where nobody has these addresses: the first admin.
        As last read; renewed together with the domains."""
        self.hostname = ""
        """The server's own name, where it is no domain of ours: only the addresses that must exist
        (RFC 5321 section 4.5.1) are taken there, because our own mail may come from them."""
        self.is_here: Callable[[Address], bool | None] = _ask_store
        """Whether an address belongs to this store; where there are several (shards), their
        domains and accounts are known elsewhere. ``None``: this store knows by its domains."""
        self._answers: dict[str, tuple[DirectoryAnswer, int | None]] = {}
        """Each with the time until which it may be given; ``None``: until the directory changes."""
        self._generation = 0

    async def load(self) -> None:
        """Fetch the domains, so that ``peek`` knows who is not ours."""
        generation = self._generation
        domains, postmaster = await self._read(lambda c: (load_domains(c), find_postmaster(c)))
        if generation == self._generation:
            self._domains, self.postmaster = domains, postmaster

    def is_ours(self, domain: str) -> bool:
        """Whether a domain is one of ours, from memory; no before the domains were ever read."""
        return self._domains is not None and domain in self._domains

    async def domains(self) -> frozenset[str]:
        """Return the domains of ours in ASCII form, from the store if need be.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        known = self._domains
        if known is None:
            known = await self._read(load_domains)
        return known

    def peek(self, who: Address) -> DirectoryAnswer | None:
        """Answer from memory; ``None``: it is not there, ask ``find``."""
        if self._domains is None:
            return None
        is_here = self.is_here(who)
        if is_here is False:
            return _ELSEWHERE
        if is_here is None and who.domain not in self._domains:
            return _NOBODY_HERE if who.domain == self.hostname else _ELSEWHERE
        answer, until_ms = self._answers.get(who.key, _UNKNOWN)
        if until_ms is not None and self._clock.now_ms() >= until_ms:
            return None
        return answer

    async def find(self, who: Address) -> DirectoryAnswer:
        """Answer, from the store if need be.

        Raises:
            StoreUnavailable: it cannot be read: answer 4yz.
        """
        known = self.peek(who)
        if known is not None:
            return known
        if self._domains is None:
            await self.load()
        generation = self._generation
        is_here = self.is_here(who)
        if is_here is False:
            return _ELSEWHERE
        is_ours = is_here is True
        answer = await self._read(lambda conn: look_up(conn, who, self._caps, is_ours=is_ours))
        if not answer.is_local and who.domain == self.hostname:
            return _NOBODY_HERE
        fresh_ms = answer.entry.fresh_ms if isinstance(answer.entry, AccountEntry) else None
        # What was read before a change must not outlive it.
        if generation == self._generation and fresh_ms != 0:
            if len(self._answers) >= _MAX_ENTRIES:
                self._answers.clear()
            if answer.is_local:
                until_ms = None if fresh_ms is None else self._clock.now_ms() + fresh_ms
                self._answers[who.key] = answer, until_ms
        return answer

    def forget(self) -> None:
        """Drop everything: the directory changed."""
        self._generation += 1
        self._domains = None
        self._answers.clear()


def load_domains(conn: Connection) -> frozenset[str]:
    """Return the ASCII names of all domains of ours."""
    return frozenset(conn.scalars(sa.select(domain.c.ascii_name)))


def find_postmaster(conn: Connection) -> AccountEntry | None:
    """Return the account of the first admin that is not suspended."""
    first = conn.scalar(
        sa.select(account.c.address)
        .where(account.c.admin.is_(True), account.c.active.is_(True))
        .order_by(account.c.id)
        .limit(1)
    )
    entry = look_up(conn, parse_address(first)).entry if first else None
    return entry if isinstance(entry, AccountEntry) else None


def find_entry(
    conn: Connection, account_id: AccountId, caps: Caps | None = None
) -> AccountEntry | None:
    """Return the entry of an account; ``None``: it is gone. ``caps``: as ``look_up``."""
    own = conn.scalar(sa.select(account.c.address).where(account.c.id == account_id))
    entry = look_up(conn, parse_address(own), caps).entry if own else None
    return entry if isinstance(entry, AccountEntry) else None


def _forwarding(row: Any) -> tuple[tuple[Address, ...], bool]:
    if row.forward_to is None:
        return (), True
    return tuple(map(parse_address, json.loads(row.forward_to))), bool(row.keeps_copy)


def look_up(
    conn: Connection, who: Address, caps: Caps | None = None, *, is_ours: bool = False
) -> DirectoryAnswer:
    """Ask the store about one address.

    Args:
        conn: a snapshot.
        who: the address.
        caps: limits of accounts that have none of their own; ``None``: nobody asks for room.
        is_ours: the domain is known to be ours; else it is looked up.
    """
    is_local = is_ours or conn.scalar(_DOMAIN, {"name_": who.domain}) is not None
    row = conn.execute(_ENTRY, {"key_": who.key}).one_or_none() if is_local else None
    if row is None:
        return DirectoryAnswer(is_local, None)
    entry: Entry
    if row.targets is not None:
        targets = tuple(parse_address(text) for text in json.loads(row.targets))
        entry = AliasEntry(parse_address(row.address), targets)
    else:
        forward_to, keeps_copy = _forwarding(row)
        entry = AccountEntry(
            account_id=AccountId(row.account_id),
            address=parse_address(row.own_address),
            inbox=MailboxId(row.inbox),
            junk=MailboxId(row.junk),
            active=bool(row.active),
            forward_to=forward_to,
            keeps_copy=keeps_copy,
        )
        # One that was moved to another shard has no mailboxes any more, and is suspended.
        if caps is not None and row.inbox is not None:
            entry = _with_room(conn, entry, caps, row.inbox_messages)
    return DirectoryAnswer(True, entry)


def _with_room(
    conn: Connection, entry: AccountEntry, caps: Caps, inbox_messages: int
) -> AccountEntry:
    """Add how much room the account has, and how long that may be believed."""
    usage = load_usage(conn, caps, entry.account_id)
    if usage is None:
        return entry
    free = [] if usage.free_messages is None else [usage.free_messages]
    if caps.mailbox_messages:
        free.append(caps.mailbox_messages - inbox_messages)
    times = [count * 1000 // _MESSAGES_PER_SECOND for count in free]
    if usage.free_size is not None:
        times.append(usage.free_size * 1000 // _BYTES_PER_SECOND)
    fresh_ms = min(times, default=None)
    # Near a limit each mail asks the store: nobody tells us of what other workers accept.
    if fresh_ms is not None and fresh_ms < _SHORTEST_MS:
        fresh_ms = 0
    is_full = any([count <= 0 for count in (*free, *_given(usage.free_size))])
    return replace(entry, is_full=is_full, free_size=usage.free_size, fresh_ms=fresh_ms)


def _given(free: int | None) -> tuple[int, ...]:
    return () if free is None else (free,)


_inbox, _junk = mailbox.alias("inbox"), mailbox.alias("junk")

_DOMAIN = sa.select(domain.c.ascii_name).where(domain.c.ascii_name == sa.bindparam("name_"))
_ENTRY = (
    sa.select(
        address.c.address,
        address.c.targets,
        address.c.account_id,
        account.c.address.label("own_address"),
        account.c.active,
        account.c.forward_to,
        account.c.keeps_copy,
        _inbox.c.id.label("inbox"),
        _inbox.c.messages.label("inbox_messages"),
        # Whoever deleted Junk gets junk where he sees it.
        sa.func.coalesce(_junk.c.id, _inbox.c.id).label("junk"),
    )
    .select_from(address)
    .outerjoin(account, account.c.id == address.c.account_id)
    .outerjoin(_inbox, sa.and_(_inbox.c.account_id == account.c.id, _inbox.c.role == "inbox"))
    .outerjoin(_junk, sa.and_(_junk.c.account_id == account.c.id, _junk.c.role == "junk"))
    .where(address.c.key == sa.bindparam("key_"))
)
