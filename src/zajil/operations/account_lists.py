"""Many accounts at once, from a list that was read from a file.

``account_csv`` and ``passwd_file`` read the lists. A second run changes nothing: an account that is
there is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from zajil.core.actor import Actor
from zajil.core.address import Address
from zajil.core.errors import ZajilError
from zajil.core.login_name import parse_login
from zajil.operations.account_changes import clean_display_name
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.operations.credentials import (
    choose_login,
    generate_password,
    hash_password,
    prepare_usable,
)
from zajil.operations.many_changes import AT_ONCE, change_each
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.mail.room import NewQuota, set_quota
from zajil.store.people.accounts import NewAccount, create_account, find_by_login
from zajil.store.people.aliases import find_alias
from zajil.store.people.domains import is_domain
from zajil.tracking.audit import AccountCreated, AuditEvent, QuotaChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAccount:
    """One line of a list."""

    line: int
    """From 1."""
    address: Address
    login: str | None = None
    """``None``: derived from the address."""
    display_name: str = ""
    password: str | None = field(default=None, repr=False)
    """As typed; ``None`` with ``password_hash`` absent: one is generated."""
    password_hash: str | None = field(default=None, repr=False)
    """Of another program (``login.foreign_hashes``)."""
    quota: int | None = None
    """Bytes; 0: no limit; ``None``: as the configuration says."""


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that made no account."""

    line: int
    who: str
    """The name as the line has it; may be empty."""
    reason: str


@dataclass(frozen=True, slots=True)
class ReadList:
    """A list as it was read."""

    accounts: tuple[ListedAccount, ...]
    refused: tuple[RefusedLine, ...]


@dataclass(frozen=True, slots=True)
class ListedResult:
    """An account of a list that was created."""

    line: int
    address: Address
    login: str
    """Empty in a dry run of a line that has none."""


@dataclass(slots=True)
class ListOutcome:
    """What became of a list."""

    added: list[ListedResult] = field(default_factory=list)
    """In a dry run: that would be added."""
    unchanged: list[ListedAccount] = field(default_factory=list)
    """Were there before."""
    refused: list[RefusedLine] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Ready:
    """An account whose password is hashed."""

    listed: ListedAccount
    display_name: str
    password_hash: str
    generated: str | None


async def add_listed_accounts(
    context: OperationContext,
    actor: Actor,
    listed: ReadList,
    *,
    dry_run: bool = False,
    keep_passwords: Callable[[Sequence[tuple[Address, str]]], None] = lambda _made: None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ListOutcome:
    """Create the accounts of a list; what cannot be created is named, and the others are.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        listed: as it was read.
        dry_run: check everything and write nothing.
        keep_passwords: takes the passwords that were generated, before the accounts are made:
            nothing that happens later can lose them.
        progress: is told how many lines are done, of how many.

    Raises:
        NotAllowed: the actor is not an administrator.
        StoreUnavailable: the accounts before it are made, and a second run adds the others.
    """
    require_admin(actor)
    outcome = ListOutcome(refused=list(listed.refused))
    total, claimed = len(listed.accounts), set[str]()
    for start in range(0, total, AT_ONCE):
        part = listed.accounts[start : start + AT_ONCE]
        fit = await context.read(partial(_sort_out, part=part, outcome=outcome, claimed=claimed))
        if dry_run:
            outcome.added += [ListedResult(one.line, one.address, one.login or "") for one in fit]
        else:
            ready = [await _prepare(context, one) for one in fit]
            made = [(one.listed.address, one.generated) for one in ready]
            keep_passwords([(address, text) for address, text in made if text is not None])
            await _create(context, actor, ready, outcome)
        progress(start + len(part), total)
    outcome.refused.sort(key=lambda one: one.line)
    return outcome


def _sort_out(
    conn: Snapshot, part: Sequence[ListedAccount], outcome: ListOutcome, claimed: set[str]
) -> list[ListedAccount]:
    """Return those of a part that can be created; the others go to the outcome."""
    fit: list[ListedAccount] = []
    for one in part:
        reason = _obstacle(conn, one, claimed)
        if reason is not None:
            outcome.refused.append(RefusedLine(one.line, one.address.unicode, reason))
        elif find_by_login(conn, one.address.key) is not None:
            outcome.unchanged.append(one)
        else:
            fit.append(one)
        claimed |= {one.address.key, one.login or ""} - {""}
    return fit


def _obstacle(conn: Snapshot, one: ListedAccount, claimed: set[str]) -> str | None:
    if one.address.key in claimed or (one.login is not None and one.login in claimed):
        return "an earlier line has the same address or login name"
    if not is_domain(conn, one.address.domain):
        return f"{one.address.domain} is not a domain of this server; see `zajil domain add`"
    if find_alias(conn, one.address) is not None:
        return "the address is an alias"
    try:
        clean_display_name(one.display_name)
        holder = None if one.login is None else find_by_login(conn, parse_login(one.login))
        if one.password is not None:
            prepare_usable(one.password)
    except ZajilError as error:
        return str(error)
    if holder is not None and holder.address.key != one.address.key:
        return f"the login name {one.login} belongs to {holder.address.unicode}"
    return None


async def _prepare(context: OperationContext, one: ListedAccount) -> _Ready:
    name = clean_display_name(one.display_name)
    if one.password_hash is not None:
        return _Ready(one, name, one.password_hash, None)
    generated = generate_password(context.random) if one.password is None else None
    chosen = generated or one.password or ""
    hashed = await context.compute(lambda: hash_password(chosen))
    return _Ready(one, name, hashed, generated)


async def _create(
    context: OperationContext, actor: Actor, ready: Sequence[_Ready], outcome: ListOutcome
) -> None:
    by, now_ms = context.stamp(actor), context.clock.now_ms()

    def create(tx: Transaction, one: _Ready) -> Recorded[ListedResult]:
        return _create_one(tx, one, by, now_ms)

    for one, result in await change_each(context, ready, create):
        if isinstance(result, ZajilError):
            who = one.listed
            outcome.refused.append(RefusedLine(who.line, who.address.unicode, str(result)))
        else:
            outcome.added.append(result)


def _create_one(
    tx: Transaction, one: _Ready, by: tuple[int, str, str, str], now_ms: int
) -> Recorded[ListedResult]:
    listed, address = one.listed, one.listed.address
    login = listed.login or choose_login(
        address.local_part, lambda name: find_by_login(tx, name) is not None
    )
    new = NewAccount(
        login=parse_login(login),
        address=address,
        display_name=one.display_name,
        password_hash=one.password_hash,
        admin=False,
        created_ms=now_ms,
    )
    (account_id,) = create_account(tx, [new])
    events: list[AuditEvent] = [
        AccountCreated(*by, account_id, new.login, str(address), admin=False)
    ]
    if listed.quota is not None:
        set_quota(tx, [NewQuota(account_id, listed.quota, None)])
        events.append(QuotaChanged(*by, account_id, new.login, listed.quota, None))
    return ListedResult(listed.line, address, new.login), events
