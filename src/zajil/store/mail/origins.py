"""Where messages in Trash, Junk and Archive came from, so that they can be put back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy.engine import Connection

from zajil.core.ids import MailboxId, Uid
from zajil.store.engine.rows import each_among, execute_text, mark_of

REMEMBERING = frozenset(("trash", "junk", "archive"))
"""Roles of the mailboxes whose messages remember where they were before."""


def find_origins(
    conn: Connection, mailbox_id: MailboxId, uids: Sequence[Uid]
) -> dict[MailboxId | None, list[Uid]]:
    """Return messages by the mailbox that they came from; those that are gone are left out.

    Args:
        conn: a snapshot.
        mailbox_id: of a mailbox that the caller found under its account.
        uids: which.

    Returns:
        ``None`` stands for an unknown origin. The mailbox may be gone, or another account's.
    """
    found: dict[MailboxId | None, list[Uid]] = defaultdict(list)
    # The names are constants.
    query = f"SELECT uid, origin_id FROM message WHERE mailbox_id = {mark_of(conn)}"  # noqa: S608
    for which, numbers in each_among(conn, "uid", sorted(set(uids))):
        for uid, origin_id in execute_text(
            conn, f"{query} AND {which} ORDER BY uid", (mailbox_id, *numbers)
        ):
            found[None if origin_id is None else MailboxId(origin_id)].append(Uid(uid))
    return found
