"""The queue for operators: what waits, and what to do about it (design section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from zajil.core.ids import MailId
from zajil.store.open import Store
from zajil.store.queue_admin import QueueOrder, QueueQuery, expire, hold, list_rows, release, retry


class QueueAction(Enum):
    """What an operator may do to mails in the queue."""

    HOLD = "hold"
    RELEASE = "release"
    RETRY = "retry"
    EXPIRE = "expire"


_UNITS = {
    QueueAction.HOLD: hold,
    QueueAction.RELEASE: release,
    QueueAction.RETRY: retry,
    QueueAction.EXPIRE: expire,
}


def show_queue(store: Store, query: QueueQuery) -> dict[str, Any]:
    """Give the queue as ``zajil queue list --json`` prints it, the soonest due first."""
    rows = store.read_now(lambda conn: list_rows(conn, query))
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
                "size": row.size,
                "mailbox": row.mailbox,
                "require_tls": bool(row.require_tls),
                "warned_ms": row.warned_ms,
            }
            for row in rows
        ]
    }


def act_on_queue(
    store: Store,
    action: QueueAction,
    mail_ids: Sequence[str],
    *,
    who: str,
    reason: str,
    now_ms: int,
) -> list[MailId]:
    """Do something to mails, in one commit with the event that tells of it in their journeys.

    Args:
        store: whose queue it is.
        action: what to do.
        mail_ids: as ``queue list`` prints them; each once.
        who: whose deed it is, for the journey.
        reason: for the journey; may be empty.
        now_ms: the time.

    Returns:
        The mails it was done to; the others are unknown, or have nothing in that state.
    """
    ids = tuple(dict.fromkeys(map(MailId, mail_ids)))
    done = store.write_now(_UNITS[action], QueueOrder(ids, who, reason, now_ms))
    return list(done)
