"""Restore one account of a backup, or a part of it, into the store, while the server may run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from zajil.core.actor import Actor
from zajil.core.errors import Refused
from zajil.core.ids import AccountId, BlobId, MailboxId
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_admin
from zajil.store.backup.read import Snapshot
from zajil.store.backup.target import DamagedBackup
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot as ReadSnapshot
from zajil.store.engine.writer import Transaction
from zajil.store.mail.blobs import NoSuchBlob, StagedBlob
from zajil.store.mail.caps import Caps
from zajil.store.mail.mailbox_changes import TooManyMailboxes
from zajil.store.mail.room import OverQuota, Usage, excess_of, load_usage
from zajil.store.people.accounts import AccountRow, NoSuchAccount, find_by_login
from zajil.store.restore.accounts import RestoredAccount, restore_accounts
from zajil.store.restore.contacts import RestoreContacts, missing_contacts, restore_contacts
from zajil.store.restore.load import Needed, find_account_there, loaded_account
from zajil.store.restore.mailboxes import RestoreMailboxes, restore_mailboxes
from zajil.store.restore.messages import (
    RestoreMessages,
    links_of,
    missing_batches,
    present_blobs,
    restore_messages,
)
from zajil.store.restore.plan import RestorePlan, find_target, missing_blobs, plan_restore
from zajil.store.restore.source import AccountSource, Choice, chosen_mailboxes
from zajil.tracking.audit import AccountRestored, AuditEvent, ContactsRestored, MessagesRestored

Progress = Callable[[int, int], None]
"""Told how many messages are done, and how many there are."""

_TRIES = 3
"""How often a portion is tried whose blobs are removed meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreWanted:
    """What is to be restored."""

    choice: Choice = field(default_factory=Choice)
    into: str | None = None
    """Login name or address of the account that gets it; ``None``: the account that it was."""
    ignores_quota: bool = False
    snapshot: str = ""
    """Name of the snapshot, for the audit trail."""


@dataclass(slots=True, kw_only=True)
class Restored:
    """What was restored."""

    plan: RestorePlan
    """What was missing before."""
    account: RestoredAccount | None = None
    """``None``: the account was there."""
    messages: int = 0
    lost: dict[BlobId, Any] = field(default_factory=dict)
    """Rows of messages in the backup whose bytes it does not have, or has damaged."""


class WouldExceedQuota(Refused):
    """The account has no room for what is missing; the text says what to do."""


@contextmanager
def account_in_backup(
    store: Store, snapshot: Snapshot, who: str, wanted: RestoreWanted, *, mail: bool = True
) -> Iterator[AccountSource]:
    """Read an account from a snapshot for the time of the block.

    Args:
        store: that it will be restored into.
        snapshot: of a backup.
        who: login name or address that the account had then, or has now.
        wanted: what of it.
        mail: its messages as well.

    Raises:
        NoSuchAccountThere: the snapshot does not have it.
        NoSuchAccount, AddressTaken: as ``plan_account``.
        WrongSchema, DamagedBackup, TargetUnavailable, StoreUnavailable: it cannot be read.
    """
    now = store.read_now(lambda conn: find_by_login(conn, who))
    was = find_account_there(snapshot, who, None if now is None else now.account_id)
    target = store.read_now(lambda conn: _target(conn, was, wanted))
    needed = Needed(choice=wanted.choice, mail=mail, account=target is None)
    with loaded_account(snapshot, was, needed, store.data_dir) as source:
        yield source


def plan_account(conn: ReadSnapshot, source: AccountSource, wanted: RestoreWanted) -> RestorePlan:
    """Return what would be restored.

    Raises:
        NoSuchAccount: there is no account ``wanted.into``.
        AddressTaken: the account is gone, and somebody else has its address or login name.
        NotInBackup: the backup has no such mailbox.
    """
    target = _target(conn, source.account, wanted)
    return plan_restore(conn, source, target, wanted.choice)


def _target(conn: ReadSnapshot, was: AccountRow, wanted: RestoreWanted) -> AccountRow | None:
    if wanted.into is not None:
        return find_account(conn, wanted.into)
    return find_target(conn, was)


async def restore_account(
    context: OperationContext,
    actor: Actor,
    source: AccountSource,
    wanted: RestoreWanted,
    progress: Progress = lambda _done, _total: None,
) -> Restored:
    """Restore what is missing of an account; an account that is gone is created again.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        source: the account in the backup.
        wanted: what of it.
        progress: told of the messages.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchAccount, AddressTaken, NotInBackup: as ``plan_account``; nothing was changed.
        WouldExceedQuota: nothing was changed.
        OverQuota: mail came meanwhile, and there is no room for the rest.
        NoSuchDomain: the account is gone, and its domain as well.
        StoreUnavailable: the rest was not restored; it may be done again.
    """
    require_admin(actor)
    plan = await context.read(lambda conn: plan_account(conn, source, wanted))
    if not wanted.ignores_quota:
        await context.read(lambda conn: _require_room(conn, context.store.caps, plan))
    restored = Restored(plan=plan)
    if plan.target is None:
        restored.account = await _create_account(context, actor, source, wanted)
        account_id = restored.account.account_id
    else:
        account_id = plan.target.account_id
    if plan.missing or plan.new_mailboxes:
        places = await _prepare(context, actor, source, wanted, plan, account_id)
        await _restore_mail(context, source, wanted, places, account_id, restored, progress)
    return restored


def _require_room(conn: ReadSnapshot, caps: Caps, plan: RestorePlan) -> None:
    if plan.target is not None:
        usage = load_usage(conn, caps, plan.target.account_id)
    else:
        size, messages = plan.source.quota_size, plan.source.quota_messages
        usage = Usage(
            account_id=plan.source.account_id,
            most_size=caps.account_size if size is None else size,
            most_messages=caps.account_messages if messages is None else messages,
        )
    reason = None if usage is None else excess_of(usage, plan.missing, plan.missing_size)
    if reason is not None:
        raise WouldExceedQuota(
            f"{plan.missing} messages with {plan.missing_size} bytes are missing, but {reason}; "
            "use --ignore-quota, or `zajil quota set` first"
        )


async def _create_account(
    context: OperationContext, actor: Actor, source: AccountSource, wanted: RestoreWanted
) -> RestoredAccount:
    by, was = context.stamp(actor), source.account

    def work(tx: Transaction) -> Recorded[RestoredAccount]:
        (made,) = restore_accounts(tx, [source])
        address = str(was.address)
        event = AccountRestored(*by, made.account_id, was.login, address, wanted.snapshot)
        return made, [event]

    return await context.change(work)


async def _prepare(
    context: OperationContext,
    actor: Actor,
    source: AccountSource,
    wanted: RestoreWanted,
    plan: RestorePlan,
    account_id: AccountId,
) -> dict[MailboxId, MailboxId]:
    """Create the mailboxes that are gone; return those of the backup with those of the store."""
    by = context.stamp(actor)
    meant = {one.source_id for one in plan.mailboxes}
    boxes = tuple(box for box in chosen_mailboxes(source, wanted.choice) if box.id in meant)
    item = RestoreMailboxes(source, account_id, boxes, ignores_limit=wanted.ignores_quota)

    def work(tx: Transaction) -> Recorded[dict[MailboxId, MailboxId]]:
        (places,) = restore_mailboxes(tx, [item])
        login = (plan.target or plan.source).login
        event: AuditEvent = MessagesRestored(*by, account_id, login, wanted.snapshot, plan.missing)
        return places, [event]

    try:
        return await context.change(work)
    except TooManyMailboxes as error:
        raise WouldExceedQuota(
            f"the mailbox {error} cannot be created: the account has as many mailboxes as it may; "
            "use --ignore-quota"
        ) from None


async def _restore_mail(
    context: OperationContext,
    source: AccountSource,
    wanted: RestoreWanted,
    places: dict[MailboxId, MailboxId],
    account_id: AccountId,
    restored: Restored,
    progress: Progress,
) -> None:
    def find_missing(blob_ids: Sequence[BlobId]) -> list[BlobId]:
        return context.store.read_now(lambda conn: missing_blobs(conn, account_id, blob_ids))

    done, total = 0, restored.plan.missing
    progress(done, total)
    for rows in missing_batches(source, list(places), wanted.choice, find_missing):
        links = links_of(source, rows)
        make = partial(
            RestoreMessages,
            account_id=account_id,
            places=places,
            links=links,
            ignores_quota=wanted.ignores_quota,
        )
        restored.messages += await _write_batch(context, source, rows, make, restored.lost)
        done += len(rows)
        progress(done, total)


async def _write_batch(
    context: OperationContext,
    source: AccountSource,
    rows: Sequence[Any],
    make: Callable[..., RestoreMessages],
    lost: dict[BlobId, Any],
) -> int:
    """Write one portion in one commit; return how many messages were put back."""
    wanted = {BlobId(row.blob_id) for row in rows}
    tries = 0
    while True:
        tries += 1
        there = await context.read(partial(present_blobs, blob_ids=wanted))
        staged: list[StagedBlob] = []
        try:
            staged.extend(_stage(context, source, rows, there, lost))
        except BaseException:
            _discard(context, staged)
            raise
        kept = there | {one.blob_id for one in staged}
        item = make(rows=tuple(row for row in rows if row.blob_id in kept), staged=tuple(staged))
        try:
            return await context.write(restore_messages, item)
        except (NoSuchBlob, OverQuota) as error:
            _discard(context, staged)
            if tries == _TRIES or isinstance(error, OverQuota):
                raise


def _discard(context: OperationContext, staged: Sequence[StagedBlob]) -> None:
    for one in staged:
        context.store.blobs.discard(one)


def _stage(
    context: OperationContext,
    source: AccountSource,
    rows: Sequence[Any],
    there: set[BlobId],
    lost: dict[BlobId, Any],
) -> Iterator[StagedBlob]:
    """Take from the backup what the store does not have; note what the backup does not have."""
    wanted = {BlobId(row.blob_id): row for row in rows if row.blob_id not in there}
    found = _open(source, list(wanted))
    for blob_id, row in wanted.items():
        size = row.size - len(row.prefix.encode())
        try:
            yield context.store.blobs.stage_again(blob_id, size, found[blob_id]())
        except (KeyError, DamagedBackup):
            lost[blob_id] = row


def _open(
    source: AccountSource, blob_ids: Sequence[BlobId]
) -> Mapping[BlobId, Callable[[], Iterator[bytes]]]:
    """Open blobs; if a part of the list of them is damaged, those of the other parts."""
    try:
        return source.open_blobs(blob_ids)
    except DamagedBackup:
        found: dict[BlobId, Callable[[], Iterator[bytes]]] = {}
        for blob_id in blob_ids:
            with suppress(DamagedBackup):
                found.update(source.open_blobs([blob_id]))
        return found


async def restore_account_contacts(
    context: OperationContext,
    actor: Actor,
    source: AccountSource,
    wanted: RestoreWanted,
    *,
    is_trial: bool = False,
) -> int:
    """Restore contacts that an account does not have any more, or has deleted; return how many.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        source: the account in the backup.
        wanted: only ``into`` and ``snapshot`` matter.
        is_trial: change nothing.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchAccount: the account is gone: restore it; or there is no account ``wanted.into``.
        AddressTaken: it is gone, and somebody else has its address or login name.
    """
    require_admin(actor)
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[int]:
        target = _target(tx, source.account, wanted)
        if target is None:
            raise NoSuchAccount(
                f"account {source.account.login} does not exist any more; "
                "restore the account itself, without --contacts"
            )
        rows = missing_contacts(tx, source, target.account_id)
        if is_trial or not rows:
            return len(rows), []
        (count,) = restore_contacts(tx, [RestoreContacts(target.account_id, tuple(rows))])
        subject = (target.account_id, target.login)
        return count, [ContactsRestored(*by, *subject, wanted.snapshot, count)]

    return await context.change(work)
