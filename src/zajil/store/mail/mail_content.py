"""The bytes of a mail by its own id, wherever a copy of it still lies: for operators."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import BlobId, MailId
from zajil.store.schema import mail, mailbox, message, recipient


def find_mail_blob(conn: Connection, mail_id: MailId) -> BlobId | None:
    """Return the blob of a mail: the queue's, or that of a copy in a mailbox.

    Returns:
        ``None``: no mail has this id, or its last copy is gone.
    """
    queued = conn.scalar(sa.select(mail.c.blob_id).where(mail.c.id == mail_id))
    if queued is not None:
        return BlobId(queued)
    # There is no index of messages by mail: only the mailboxes of its recipients are searched.
    owners = sa.select(recipient.c.account_id).where(recipient.c.mail_id == mail_id)
    kept = conn.scalar(
        sa.select(message.c.blob_id)
        .join(mailbox, mailbox.c.id == message.c.mailbox_id)
        .where(mailbox.c.account_id.in_(owners), message.c.mail_id == mail_id)
        .limit(1)
    )
    return None if kept is None else BlobId(kept)
