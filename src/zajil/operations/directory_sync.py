"""Accounts follow the people of a directory.

Laws:
- People are known by an id that never changes: one with a new address keeps the account and its
  mail, and the old address becomes an alias.
- Who is gone, or disabled there, is suspended here. Nothing is ever deleted.
- A directory that is away, or has lost many people at once, changes nothing.
- An account that an operator made or suspended is left alone, unless it is asked for (``adopts``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from zajil.config.options_directory import DirectoryOptions
from zajil.core.actor import Actor
from zajil.core.errors import Refused, ZajilError
from zajil.core.ids import AccountId
from zajil.login.directory.connection import DirectoryUnavailable
from zajil.login.directory.ldap import DirectoryPeople, read_people
from zajil.login.directory.person import DirectoryPerson
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.operations.directory_account import Followed, follow, suspend
from zajil.operations.many_changes import AT_ONCE, change_each
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.people.accounts import AccountRow, list_accounts
from zajil.store.people.identities import (
    LDAP,
    DirectoryState,
    Identity,
    list_identities,
    load_directory_state,
    put_directory_state,
)

_FEW = 5
"""So many people may always be gone at once."""
_PART = 5
"""More than a fifth of all people gone at once is taken for a fault of the directory."""


class TooManyLost(Refused):
    """The directory has lost so many people that it is taken for a fault; nothing was changed."""


@dataclass(slots=True)
class SyncOutcome:
    """What became of the people of a directory; in a dry run: what would become of them."""

    created: list[str] = field(default_factory=list)
    """Addresses."""
    changed: list[str] = field(default_factory=list)
    suspended: list[str] = field(default_factory=list)
    """Who is gone or disabled."""
    unchanged: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    """DN or address, and why something was left out."""


@dataclass(frozen=True, slots=True)
class _Plan:
    due: tuple[DirectoryPerson, ...]
    gone: tuple[tuple[Identity, str], ...]
    """Each with the address of the account."""
    known: int
    """People with an account that the directory has not suspended."""


async def sync_directory(
    context: OperationContext,
    actor: Actor,
    options: DirectoryOptions,
    *,
    dry_run: bool = False,
    adopts: bool = False,
    accepts_losses: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> SyncOutcome:
    """Read the directory and let the accounts follow it; how that went is kept in the store.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        options: ``[directory]``.
        dry_run: change nothing.
        adopts: link people with accounts that have their address and no person yet.
        accepts_losses: suspend accounts even if very many people are gone.
        progress: is told how many people are done, of how many.

    Raises:
        NotAllowed: the actor is not an administrator.
        DirectoryUnavailable, NoLdapLibrary: nothing was changed.
        TooManyLost: nothing was changed.
        StoreUnavailable: some people may be done; the next time does the others.
    """
    require_admin(actor)
    try:
        found = await context.compute(lambda: read_people(options))
        outcome = await _follow_all(
            context,
            actor,
            found,
            dry_run=dry_run,
            adopts=adopts,
            accepts_losses=accepts_losses,
            progress=progress,
        )
    except (DirectoryUnavailable, TooManyLost) as error:
        problem = "losses" if isinstance(error, TooManyLost) else "unavailable"
        if not dry_run:
            await _note(context, problem, str(error))
        raise
    if not dry_run:
        await _note(context)
    return outcome


async def _note(context: OperationContext, problem: str = "", reason: str = "") -> None:
    now_ms = context.clock.now_ms()
    before = await context.read(lambda conn: load_directory_state(conn, LDAP))
    done_ms = now_ms if not problem else before.done_ms if before is not None else 0
    await context.write(put_directory_state, DirectoryState(LDAP, now_ms, done_ms, problem, reason))


async def _follow_all(
    context: OperationContext,
    actor: Actor,
    found: DirectoryPeople,
    *,
    dry_run: bool,
    adopts: bool,
    accepts_losses: bool,
    progress: Callable[[int, int], None],
) -> SyncOutcome:
    # In the thread of the reader: a hundred thousand people take a second.
    plan = await context.read(lambda conn: _plan(conn, found))
    if not accepts_losses:
        _refuse_losses(plan, len(found.people))
    outcome = SyncOutcome(
        unchanged=len(found.people) - len(plan.due),
        problems=[(one.dn, one.reason) for one in found.left_out],
    )
    if dry_run:
        await _foretell(context, plan, adopts, outcome)
        return outcome
    by, now_ms = context.stamp(actor), context.clock.now_ms()
    total = len(plan.due) + len(plan.gone)

    def follow_one(tx: Transaction, person: DirectoryPerson) -> Recorded[Followed]:
        return follow(tx, person, by=by, now_ms=now_ms, adopts=adopts)

    def suspend_one(tx: Transaction, one: tuple[Identity, str]) -> Recorded[None]:
        return suspend(tx, one[0], by=by)

    for start in range(0, len(plan.due), AT_ONCE):
        part = plan.due[start : start + AT_ONCE]
        for person, followed in await change_each(context, part, follow_one):
            _tell(outcome, person, followed)
        progress(start + len(part), total)
    for start in range(0, len(plan.gone), AT_ONCE):
        gone = plan.gone[start : start + AT_ONCE]
        for (_, address), error in await change_each(context, gone, suspend_one):
            if isinstance(error, ZajilError):
                outcome.problems.append((address, str(error)))
            else:
                outcome.suspended.append(address)
        progress(len(plan.due) + start + len(gone), total)
    return outcome


def _tell(outcome: SyncOutcome, person: DirectoryPerson, followed: Followed | ZajilError) -> None:
    address = person.address.unicode
    if isinstance(followed, ZajilError):
        outcome.problems.append((person.dn, str(followed)))
        return
    outcome.problems += [(person.dn, problem) for problem in followed.problems]
    if followed.is_new:
        outcome.created.append(address)
    if followed.is_suspended:
        outcome.suspended.append(address)
    elif followed.is_changed and not followed.is_new:
        outcome.changed.append(address)
    elif not followed.is_new:
        outcome.unchanged += 1


async def _foretell(
    context: OperationContext, plan: _Plan, adopts: bool, outcome: SyncOutcome
) -> None:
    """Say what would be done, as far as that can be known without doing it."""
    rows = await context.read(list_accounts)
    by_address = {row.address.key: row for row in rows}
    identities = await context.read(lambda conn: list_identities(conn, LDAP))
    for person in plan.due:
        address = person.address.unicode
        if person.subject in identities:
            (outcome.suspended if person.is_disabled else outcome.changed).append(address)
        elif person.address.key not in by_address:
            outcome.created.append(address)
        elif adopts:
            outcome.changed.append(address)
        else:
            outcome.problems.append((person.dn, "an account with this address exists"))
    outcome.suspended += [address for _, address in plan.gone]


def _refuse_losses(plan: _Plan, people: int) -> None:
    gone = len(plan.gone)
    if (plan.known and not people) or gone > max(_FEW, plan.known // _PART):
        raise TooManyLost(
            f"{gone} of {plan.known} people are no longer found in the directory: nothing was "
            "changed. If that is right, run `zajil directory sync --accept-losses`"
        )


def _plan(conn: Snapshot, found: DirectoryPeople) -> _Plan:
    identities = list_identities(conn, LDAP)
    rows = {row.account_id: row for row in list_accounts(conn)}
    there = {person.subject for person in found.people}
    # Whoever is there and cannot be used, such as one without an address, is not gone.
    there |= {one.subject for one in found.left_out}
    known = {name: one for name, one in identities.items() if not one.suspended}
    return _Plan(
        due=tuple(one for one in found.people if _is_due(one, identities, rows)),
        gone=tuple(
            (one, rows[one.account_id].address.unicode)
            for subject, one in known.items()
            if subject not in there and one.account_id in rows
        ),
        known=len(known),
    )


def _is_due(
    person: DirectoryPerson,
    identities: Mapping[str, Identity],
    rows: Mapping[AccountId, AccountRow],
) -> bool:
    one = identities.get(person.subject)
    row = None if one is None else rows.get(one.account_id)
    if one is None or row is None:
        return not person.is_disabled
    person = person.keeping(row.address)
    wanted = replace(
        row,
        address=person.address,
        display_name=person.display_name or row.display_name,
        quota_size=row.quota_size if person.quota is None else person.quota,
        admin=row.admin if person.is_admin is None else person.is_admin,
        active=row.active and not person.is_disabled,
    )
    return (
        row != wanted
        or set(one.aliases) != set(person.aliases)
        or (one.suspended and not person.is_disabled)
    )


@dataclass(frozen=True, slots=True)
class DirectoryView:
    """The accounts that come from the directory, and how the last comparison went."""

    accounts: tuple[tuple[AccountRow, Identity], ...]
    """By login name."""
    state: DirectoryState | None
    """``None``: they were never compared."""


def show_directory(conn: Snapshot) -> DirectoryView:
    """Return what comes from the directory."""
    identities = {one.account_id: one for one in list_identities(conn, LDAP).values()}
    rows = [row for row in list_accounts(conn) if row.account_id in identities]
    return DirectoryView(
        tuple((row, identities[row.account_id]) for row in rows), load_directory_state(conn, LDAP)
    )
