"""The queue: list it, and hold, release, retry, expire or delete mails in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

from zajil.core.actor import Actor
from zajil.core.address import parse_address
from zajil.core.domain import to_ascii
from zajil.core.ids import MailId
from zajil.core.service import RecipientState
from zajil.operations.context import NotAllowed, OperationContext, Recorded, require_admin
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.queue.queue_admin import (
    QueueOrder,
    QueueQuery,
    QueueRow,
    delete,
    expire,
    find_queued,
    hold,
    list_rows,
    mails_submitted_in,
    release,
    retry,
)
from zajil.tracking.audit import QueueChanged


class QueueAction(Enum):
    """What an administrator can do to mails in the queue."""

    HOLD = "hold"
    RELEASE = "release"
    RETRY = "retry"
    EXPIRE = "expire"
    DELETE = "delete"


_UNITS = {
    QueueAction.HOLD: hold,
    QueueAction.RELEASE: release,
    QueueAction.RETRY: retry,
    QueueAction.EXPIRE: expire,
    QueueAction.DELETE: delete,
}
_STATES = {
    QueueAction.HOLD: RecipientState.WAITING,
    QueueAction.RETRY: RecipientState.WAITING,
    QueueAction.RELEASE: RecipientState.HELD,
}
"""The state that an action needs; the others work on waiting and held recipients."""
PORTION = 500
"""Maximum number of mails changed by one commit, so that other commits do not wait long."""


def make_query(
    *,
    sender: str | None = None,
    recipient: str | None = None,
    next_hop: str | None = None,
    state: RecipientState | None = None,
    before_ms: int | None = None,
    mail_id: str | None = None,
    reason: str | None = None,
    limit: int = 1000,
) -> QueueQuery:
    """Return a query for what an administrator typed.

    Args:
        sender: an address, a domain (``@`` before it is allowed), or ``<>`` for the null sender.
        recipient: an address, or a domain.
        next_hop: a domain, in U-labels or A-labels.
        state: ``waiting`` or ``held``.
        before_ms: mails accepted before this time.
        mail_id: a single mail.
        reason: a piece of it.
        limit: maximum number of rows.

    Raises:
        BadAddress, BadDomain: not an address or a domain.
    """
    return QueueQuery(
        mail_id=MailId(mail_id) if mail_id else None,
        next_hop=to_ascii(next_hop) if next_hop is not None else None,
        limit=limit,
        sender=None
        if sender is None
        else ""
        if sender in ("", "<>")
        else _sender_or_domain(sender),
        recipient=None if recipient is None else _sender_or_domain(recipient),
        state=state,
        before_ms=before_ms,
        reason=reason,
    )


def _sender_or_domain(text: str) -> str:
    bare = text.removeprefix("<").removesuffix(">")
    local_part, _, domain = bare.rpartition("@")
    return parse_address(bare).key if local_part else f"@{to_ascii(domain)}"


def list_queue(conn: Snapshot, query: QueueQuery) -> tuple[list[QueueRow], bool]:
    """Return the rows that match, the next due first, and whether there are more."""
    rows = list_rows(conn, replace(query, limit=query.limit + 1))
    return rows[: query.limit], len(rows) > query.limit


def show_queue(conn: Snapshot, query: QueueQuery, now_ms: int) -> dict[str, Any]:
    """Return the queue as ``zajil queue list --json`` prints it, the next due first."""
    rows, more = list_queue(conn, query)
    return {
        "rows": [
            {
                "mail_id": row.mail_id,
                "sender": row.sender,
                "recipient": row.recipient,
                "state": row.state,
                "reason": row.reason,
                "tries": row.tries,
                "next_try_ms": row.next_try_ms,
                "expires_ms": row.expires_ms,
                "next_hop": row.next_hop,
                "at_ms": row.at_ms,
                "age_ms": max(0, now_ms - row.at_ms),
                "size": row.size,
                "mailbox": row.mailbox,
                "require_tls": bool(row.require_tls),
                "warned_ms": row.warned_ms,
            }
            for row in rows
        ],
        "more": more,
    }


def find_mails(conn: Snapshot, action: QueueAction, query: QueueQuery) -> list[MailId]:
    """Return the mails that an action would change, the oldest first."""
    wanted = _STATES.get(action)
    if wanted is not None and query.state not in (None, wanted):
        return []
    return find_queued(conn, replace(query, state=wanted or query.state))


async def act_on_queue(
    context: OperationContext,
    actor: Actor,
    action: QueueAction,
    mail_ids: Iterable[str],
    *,
    reason: str = "",
    only: QueueQuery | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[MailId]:
    """Hold, release, retry, expire or delete mails, in portions; each is a commit.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator, of the server or of the domains of those who submitted.
        action: what to do.
        mail_ids: as ``queue list`` prints them.
        reason: for the journeys; may be empty.
        only: which recipients of these mails; ``None``: all.
        progress: called after each portion with the mails looked at and their number.

    Returns:
        The mails that were changed; the others are unknown, or have no recipient in that state.

    Raises:
        NotAllowed: the actor is not such an administrator; earlier portions are done.
    """
    if not actor.domains:
        require_admin(actor)
    ids = list(dict.fromkeys(map(MailId, mail_ids)))
    done: list[MailId] = []
    for start in range(0, len(ids), PORTION):
        part = tuple(ids[start : start + PORTION])
        await _require_mails(context, actor, part)
        order = QueueOrder(part, actor.name, reason, context.clock.now_ms(), only)
        done += await context.change(_change(context.stamp(actor), action, order))
        progress(start + len(part), len(ids))
    return done


async def _require_mails(
    context: OperationContext, actor: Actor, mail_ids: Sequence[MailId]
) -> None:
    """Do nothing if the actor may change these mails; raises ``NotAllowed``."""
    if actor.is_admin:
        return
    own = await context.read(lambda conn: mails_submitted_in(conn, mail_ids, actor.domains))
    if not own.issuperset(mail_ids):
        raise NotAllowed(f"{actor.name} does not administer the senders of all these mails")


def _change(
    by: tuple[int, str, str, str], action: QueueAction, order: QueueOrder
) -> Callable[[Transaction], Recorded[tuple[MailId, ...]]]:
    def work(tx: Transaction) -> Recorded[tuple[MailId, ...]]:
        (changed,) = _UNITS[action](tx, [order])
        event = QueueChanged(*by, None, "", action.value, order.reason, changed)
        return changed, [event] if changed else []

    return work
