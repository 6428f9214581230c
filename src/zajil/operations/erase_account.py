"""Erase a person: the account, and all that the server noted of the person elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from zajil.config.options import Configuration
from zajil.config.options_backup import BackupOptions
from zajil.core.actor import Actor
from zajil.core.errors import ZajilError
from zajil.operations.backup import open_backups
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.store.backup.manifest import snapshot_names
from zajil.store.backup.read import Snapshot as BackupSnapshot
from zajil.store.backup.read import open_snapshot
from zajil.store.engine.life import COPIES
from zajil.store.engine.migrate import require_known
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.mail.caps import Caps
from zajil.store.mail.room import Usage, load_usage
from zajil.store.people.accounts import NoSuchAccount, delete_account
from zajil.store.people.aliases import require_other_targets
from zajil.store.people.identities import identities_of
from zajil.store.people.person import NamedPerson, find_person
from zajil.store.people.traces import (
    PORTION,
    EraseMails,
    EraseRows,
    MailTraces,
    erase_audit,
    erase_events,
    erase_failure_reports,
    erase_learned,
    erase_received,
    erase_sent,
    find_audit_traces,
    find_event_traces,
    find_mail_traces,
)
from zajil.tracking.audit import AccountErased

T = TypeVar("T")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasurePlan:
    """What would be erased."""

    person: NamedPerson
    usage: Usage | None = None
    """Messages and bytes; ``None``: the account was removed before."""
    mails: MailTraces
    events: tuple[int, ...]
    """Ids of records that may name the person."""
    changes: tuple[int, ...]
    """Ids of entries of the audit trail that may name the person."""

    sources: tuple[str, ...] = ()
    """Directories that the account comes from."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of the person."""
        mails = (*self.mails.sent, *self.mails.received, *self.mails.waiting)
        return self.person.row is None and not (mails or self.events or self.changes)


@dataclass(slots=True, kw_only=True)
class Erasure:
    """What was erased."""

    plan: ErasurePlan
    sent: int = 0
    """Journeys of mail from the person."""
    received: int = 0
    """Journeys of mail to the person: removed, or without the person now."""
    events: int = 0
    audit_removed: int = 0
    audit_changed: int = 0
    learned: int = 0
    """What the filters of others learned of the person's address: rows."""
    reports: int = 0
    """Reports of others about a message of the person."""


def plan_erasure(conn: Snapshot, login_or_address: str, caps: Caps) -> ErasurePlan:
    """Find everything that names a person.

    Args:
        conn: a snapshot.
        login_or_address: of the account, which may have been removed before.
        caps: limits of accounts that have none of their own.

    Raises:
        NoSuchAccount: there is no such account, and nothing names the address.
        LastTarget: the account is the only target of an alias.
    """
    person = find_person(conn, login_or_address)
    row = person.row
    if row is not None:
        require_other_targets(conn, row.address)
    plan = _find_traces(conn, person)
    if row is not None:
        plan = replace(
            plan,
            usage=load_usage(conn, caps, row.account_id),
            sources=tuple(one.source for one in identities_of(conn, row.account_id)),
        )
    if plan.is_empty:
        raise NoSuchAccount(f"account {login_or_address} does not exist, and no record names it")
    return plan


def _find_traces(conn: Snapshot, person: NamedPerson) -> ErasurePlan:
    return ErasurePlan(
        person=person,
        mails=find_mail_traces(conn, person),
        events=tuple(find_event_traces(conn, person)),
        changes=tuple(find_audit_traces(conn, person)),
    )


def what_is_left(plan: ErasurePlan, configuration: Configuration) -> list[str]:
    """Return what an erasure leaves, and why; one sentence each."""
    left = [
        "messages in mailboxes of other accounts, and their address books: they belong to these "
        "accounts",
        "lines of log files: they are removed when the logs are rotated",
    ]
    waiting = len(plan.mails.waiting)
    if waiting:
        left.append(
            f"{waiting} mails that wait in the queue, with their journeys: they are delivered "
            "first; when the queue is empty, run this command again with the address"
        )
    if plan.sources:
        left.append(
            f"the entry of the person in {', '.join(plan.sources)}: as long as it is there, the "
            "account is created again"
        )
    copies = configuration.server.data_dir / COPIES
    if copies.is_dir() and any(copies.iterdir()):
        left.append(f"copies of the store from before upgrades, in {copies}: remove them")
    if configuration.backup.target is not None:
        left += _in_backups(plan.person, configuration.backup)
    return left


def _in_backups(person: NamedPerson, options: BackupOptions) -> list[str]:
    """Name the snapshots that contain an account; all of them if its id is not known."""
    try:
        backups = open_backups(options)
        found = [
            name
            for name in snapshot_names(backups.target)
            if _has_account(open_snapshot(backups.target, backups.seal, name), person)
        ]
    except ZajilError as error:
        return [f"backups in {options.target}, which cannot be read now ({error})"]
    if not found:
        return []
    return [
        f"backups in {options.target}, until they are deleted (`zajil backup prune`): "
        f"{', '.join(found)}"
    ]


def _has_account(snapshot: BackupSnapshot, person: NamedPerson) -> bool:
    if person.account_id is None:
        return True
    key = (person.account_id,)
    return any(True for _ in snapshot.rows("account", key, key))


async def erase_account(
    context: OperationContext,
    actor: Actor,
    plan: ErasurePlan,
    progress: Progress = lambda _done, _total: None,
) -> Erasure:
    """Remove an account with all its mail, and take its person out of all other records.

    The account goes first, so that nothing new is noted. After an interruption the same command
    continues, also with the address of an account that is gone.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        plan: from ``plan_erasure``.
        progress: told of the records.

    Raises:
        NotAllowed: the actor is not an administrator.
        WrongSchema: a newer version made some of the tables; nothing was changed.
        LastTarget: the account is the only target of an alias; nothing was changed.
        StoreUnavailable: the rest was not erased; it may be done again.
    """
    require_admin(actor)
    await context.read(require_known)
    person = plan.person
    await _remove_account(context, actor, person)
    # Mail may have come meanwhile.
    found = await context.read(lambda conn: _find_traces(conn, person))
    plan = replace(found, usage=plan.usage, sources=plan.sources)
    done, mails = Erasure(plan=plan), plan.mails
    total = sum(map(len, (mails.sent, mails.received, plan.events, plan.changes)))
    count = 0

    def step(portion: Sequence[object]) -> None:
        nonlocal count
        count += len(portion)
        progress(count, total)

    progress(0, total)
    for sent in _portions(mails.sent):
        done.sent += await context.write(erase_sent, EraseMails(person, sent))
        step(sent)
    for received in _portions(mails.received):
        done.received += await context.write(erase_received, EraseMails(person, received))
        step(received)
    for ids in _portions(plan.events):
        done.events += await context.write(erase_events, EraseRows(person, ids))
        step(ids)
    done.learned = await context.write(erase_learned, person)
    done.reports = await context.write(erase_failure_reports, person)
    # Last, and all at once: the names that the account had before are read from here.
    changes = EraseRows(person, plan.changes)
    done.audit_removed, done.audit_changed = await context.write(erase_audit, changes)
    step(plan.changes)
    return done


async def _remove_account(context: OperationContext, actor: Actor, person: NamedPerson) -> None:
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[None]:
        if person.row is not None:
            delete_account(tx, [person.row.account_id])
        return None, [AccountErased(*by, person.account_id, person.pseudonym)]

    await context.change(work)


def _portions(ids: Sequence[T]) -> Iterator[tuple[T, ...]]:
    for start in range(0, len(ids), PORTION):
        yield tuple(ids[start : start + PORTION])
