"""Object ids as IMAP writes them: MAILBOXID, EMAILID, THREADID. (RFC 8474)

The letter in front keeps an id from looking like a number, and says what it names.
"""

from __future__ import annotations

import hashlib

from zajil.core.ids import BlobId, MailboxId
from zajil.read.imap.search_context import SearchContext
from zajil.read.indexer import index_now
from zajil.store.mail.messages import Message
from zajil.store.mail.summaries import find_threadless, has_threadless

_AT_ONCE = 100


def mailbox_object_id(mailbox_id: MailboxId) -> str:
    """Return the id of a mailbox, which stays when it is renamed. (RFC 8474 section 4)"""
    return f"F{mailbox_id}"


def email_object_id(message: Message) -> str:
    """Return the id of the exact bytes of a message, for it and its copies. (RFC 8474 section 5.1)

    Accounts share the blob, but not what is in front of it.
    """
    return email_id_of(message.blob_id, message.prefix)


def email_id_of(blob_id: BlobId, prefix: bytes) -> str:
    """Return the same, of a blob and what is in front of it."""
    if not prefix:
        return f"M{blob_id}"
    return f"M{blob_id}-{hashlib.sha256(prefix).hexdigest()[:16]}"


def thread_object_id(message: Message) -> str | None:
    """Return the id of a message's thread; ``None``: none yet. (RFC 8474 section 5.2)"""
    return None if message.thread_id is None else f"T{message.thread_id}"


async def give_all_threads(context: SearchContext, mailbox_id: MailboxId) -> None:
    """Assign a thread to each message of a mailbox.

    Raises:
        StoreUnavailable: some still have none.
    """
    if not await context.read(lambda conn: has_threadless(conn, mailbox_id)):
        return
    last = ""
    while waiting := await context.read(
        lambda conn: find_threadless(conn, mailbox_id, last, _AT_ONCE)  # noqa: B023
    ):
        last = waiting[-1].blob_id
        await index_now(context.store, context.account.account_id, waiting)
        await context.pause()
