"""The queue for operators: what waits, and what to do about it (design section 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import Enum
from typing import Any

from zajil.core.address import parse_address
from zajil.core.domain import to_ascii
from zajil.core.ids import MailId
from zajil.core.service import RecipientState
from zajil.store.engine.open import Store
from zajil.store.queue.queue_admin import (
    QueueOrder,
    QueueQuery,
    delete,
    expire,
    find_queued,
    hold,
    list_rows,
    release,
    retry,
)


class QueueAction(Enum):
    """What an operator may do to mails in the queue."""

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
"""Rows that an action is for, where it is not for all of them."""
PORTION = 500
"""Mails changed by one commit, so that the server's own commits wait for moments only."""


def make_query(
    *,
    sender: str | None = None,
    recipient: str | None = None,
    next_hop: str | None = None,
    state: RecipientState | None = None,
    before_ms: int | None = None,
    mail_id: str | None = None,
    limit: int = 1000,
) -> QueueQuery:
    """Make a query of what an operator types.

    Args:
        sender: an address, a domain with or without ``@`` before it, or ``<>``: the null path.
        recipient: an address, or a domain.
        next_hop: a domain, in any form.
        state: ``waiting`` or ``held``.
        before_ms: mails accepted before this time.
        mail_id: one mail.
        limit: rows listed.

    Raises:
        BadAddress, BadDomain: not an address or a domain.
    """
    return QueueQuery(
        mail_id=MailId(mail_id) if mail_id else None,
        next_hop=to_ascii(next_hop) if next_hop is not None else None,
        limit=limit,
        sender=None if sender is None else "" if sender in ("", "<>") else _who(sender),
        recipient=None if recipient is None else _who(recipient),
        state=state,
        before_ms=before_ms,
    )


def _who(text: str) -> str:
    bare = text.removeprefix("<").removesuffix(">")
    local_part, _, domain = bare.rpartition("@")
    return parse_address(bare).key if local_part else f"@{to_ascii(domain)}"


def show_queue(store: Store, query: QueueQuery, now_ms: int) -> dict[str, Any]:
    """Give the queue as ``zajil queue list --json`` prints it, the soonest due first."""
    rows = store.read_now(lambda conn: list_rows(conn, replace(query, limit=query.limit + 1)))
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
            for row in rows[: query.limit]
        ],
        "more": len(rows) > query.limit,
    }


def find_mails(store: Store, action: QueueAction, query: QueueQuery) -> list[MailId]:
    """Give the mails that an action would find something of, the oldest first."""
    wanted = _STATES.get(action)
    if wanted is not None and query.state not in (None, wanted):
        return []
    query = replace(query, state=wanted or query.state)
    return store.read_now(lambda conn: find_queued(conn, query))


def act_on_queue(
    store: Store,
    action: QueueAction,
    mail_ids: Iterable[str],
    *,
    who: str,
    reason: str,
    now_ms: int,
    only: QueueQuery | None = None,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> list[MailId]:
    """Do something to mails, in portions; each is a commit, with the events of its mails.

    Args:
        store: whose queue it is.
        action: what to do.
        mail_ids: as ``queue list`` prints them; each once.
        who: whose deed it is, for the journey.
        reason: for the journey; may be empty.
        now_ms: the time.
        only: which recipients of these mails; ``None``: all.
        tell: called after each portion with the mails looked at and their number.

    Returns:
        The mails it was done to; the others are unknown, or have nothing in that state.
    """
    ids = list(dict.fromkeys(map(MailId, mail_ids)))
    done: list[MailId] = []
    for start in range(0, len(ids), PORTION):
        part = tuple(ids[start : start + PORTION])
        changed = store.write_now(_UNITS[action], QueueOrder(part, who, reason, now_ms, only))
        done.extend(changed)
        tell(start + len(part), len(ids))
    return done
