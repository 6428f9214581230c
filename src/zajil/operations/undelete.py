"""Take back deleted messages of an account, or remove them for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zajil.core.actor import Actor
from zajil.core.errors import NotFound
from zajil.core.ids import MailboxId
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_owner
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.mail.deleted import (
    Chosen,
    DeletedMessage,
    DeletedQuery,
    find_deleted,
    purge_deleted,
)
from zajil.store.mail.undelete import Undeleted, undelete_messages
from zajil.tracking.audit import AuditEvent, MessagesPurged, MessagesUndeleted

MAX_LISTED = 10_000


class NothingDeleted(NotFound):
    """No deleted message is meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedChoice:
    """Which deleted messages are meant; ``None``: whatever it is."""

    since_ms: int | None = None
    """Deleted at this time or later."""
    mailbox: str | None = None
    mailbox_id: MailboxId | None = None
    uids: frozenset[int] | None = None
    """That they had in their mailboxes."""
    subject: str | None = None
    """A part of it."""


def list_deleted(
    conn: Snapshot, login_or_address: str, wanted: DeletedChoice
) -> list[DeletedMessage]:
    """Return deleted messages of an account, the last deleted first, at most ``MAX_LISTED``.

    Raises:
        NoSuchAccount: there is no such account.
    """
    row = find_account(conn, login_or_address)
    query = DeletedQuery(
        account_id=row.account_id,
        since_ms=wanted.since_ms,
        mailbox=wanted.mailbox,
        mailbox_id=wanted.mailbox_id,
        uids=wanted.uids,
        subject=wanted.subject,
    )
    return find_deleted(conn, query, MAX_LISTED)


async def undelete(
    context: OperationContext, actor: Actor, login_or_address: str, wanted: DeletedChoice
) -> list[Undeleted]:
    """Put deleted messages back into their mailboxes, which are made anew where they are gone.

    Args:
        context: the store and what belongs to it.
        actor: the owner of the account, or an administrator.
        login_or_address: of the account.
        wanted: which messages.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        NothingDeleted: no deleted message is meant.
        OverQuota: the account has no room for them; none came back.
        TooManyMailboxes: a mailbox cannot be made anew; none came back.
    """
    found: list[Undeleted] = []

    def act(tx: Transaction, chosen: Chosen) -> int:
        (found[:],) = undelete_messages(tx, [chosen])
        return len(found)

    await _change(context, actor, login_or_address, wanted, act, MessagesUndeleted)
    return found


async def purge(
    context: OperationContext, actor: Actor, login_or_address: str, wanted: DeletedChoice
) -> int:
    """Remove deleted messages for good; return how many.

    Args:
        context: the store and what belongs to it.
        actor: the owner of the account, or an administrator.
        login_or_address: of the account.
        wanted: which messages.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        NothingDeleted: no deleted message is meant.
    """

    def act(tx: Transaction, chosen: Chosen) -> int:
        return purge_deleted(tx, [chosen])[0]

    return await _change(context, actor, login_or_address, wanted, act, MessagesPurged)


async def _change(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    wanted: DeletedChoice,
    act: Callable[[Transaction, Chosen], int],
    kind: type[MessagesUndeleted] | type[MessagesPurged],
) -> int:
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[int]:
        row = find_account(tx, login_or_address)
        require_owner(actor, row.account_id)
        meant = list_deleted(tx, row.login, wanted)
        if not meant:
            raise NothingDeleted(f"no deleted message of {row.login} matches")
        count = act(tx, Chosen(row.account_id, tuple(_ids(meant))))
        events: Sequence[AuditEvent] = [kind(*by, row.account_id, row.login, count)]
        return count, events

    return await context.change(work)


def _ids(messages: Sequence[DeletedMessage]) -> list[int]:
    return [one.deleted_id for one in messages]
