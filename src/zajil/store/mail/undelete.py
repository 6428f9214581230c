"""Take deleted messages back.

Each is a new message: it gets a new UID in the mailbox that it was in, which is made anew if it is
gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId, MailId, ThreadId, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.batch import caps_of, time_of
from zajil.store.engine.rows import portions
from zajil.store.mail.append import Append, append_messages
from zajil.store.mail.blob_rows import keep_blobs
from zajil.store.mail.deleted import Chosen, take_deleted
from zajil.store.mail.flags import FLAG_BITS
from zajil.store.mail.mailbox_changes import NewMailbox, create_mailbox
from zajil.store.mail.mailboxes import find_mailbox, get_mailbox
from zajil.store.mail.room import require_room


@value_class(frozen=True, slots=True)
class Undeleted:
    """A message that was taken back."""

    mailbox: str
    uid: Uid


def undelete_messages(tx: Connection, items: Sequence[Chosen]) -> list[list[Undeleted]]:
    """Put deleted messages back into their mailboxes; those that are gone are passed over.

    They come back with their flags and dates, without ``\\Deleted``.

    Unit of work: idempotent; locks the mailboxes and the account; touches the mailboxes' topics.

    Returns:
        For each item what was taken back.

    Raises:
        OverQuota: the account has no room for them.
        TooManyMailboxes: a mailbox cannot be made anew.
    """
    return [_undelete(tx, item) for item in items]


def _undelete(tx: Connection, item: Chosen) -> list[Undeleted]:
    rows = sorted(take_deleted(tx, item, release=False), key=lambda row: int(row.id))
    if not rows:
        return []
    for some in portions({row.blob_id for row in rows}):
        keep_blobs(tx, some)
    boxes: dict[tuple[int, str], tuple[MailboxId, str]] = {}
    appends: list[Append] = []
    for row in rows:
        key = (row.mailbox_id, row.mailbox)
        if key not in boxes:
            boxes[key] = _mailbox_of(tx, item.account_id, row)
        appends.append(
            Append(
                mailbox_id=boxes[key][0],
                blob_id=BlobId(row.blob_id),
                size=row.size,
                received_at_ms=row.received_at_ms,
                flags=row.flags & ~FLAG_BITS["\\Deleted"],
                keywords=row.keywords,
                mail_id=None if row.mail_id is None else MailId(row.mail_id),
                prefix=row.prefix,
                thread_id=None if row.thread_id is None else ThreadId(row.thread_id),
                saved_at_ms=time_of(tx),
            )
        )
    placed = append_messages(tx, appends)
    require_room(tx, [append.mailbox_id for append in appends])
    names = dict(boxes.values())
    return [
        Undeleted(names[append.mailbox_id], one.uid)
        for append, one in zip(appends, placed, strict=True)
    ]


def _mailbox_of(tx: Connection, account_id: AccountId, row: Any) -> tuple[MailboxId, str]:
    """Return where a message goes back to; the mailbox may have got another name."""
    box = get_mailbox(tx, account_id, MailboxId(row.mailbox_id))
    if box is None:
        box = find_mailbox(tx, account_id, row.mailbox)
    if box is not None:
        return box.mailbox_id, box.name
    new = NewMailbox(account_id, row.mailbox, time_of(tx), caps_of(tx).mailboxes)
    return create_mailbox(tx, [new])[0], row.mailbox
