"""Put messages that a client brings into a mailbox: all of them, or none. (RFC 3502, RFC 8508)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from zajil.core.errors import NotFound
from zajil.store.mail.append import Appended
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    PutMessage,
    expunge_messages,
    put_messages,
)


class MessageIsGone(NotFound):
    """The message that was to be replaced was expunged meanwhile."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What ``put_uploads`` takes."""

    messages: tuple[PutMessage, ...]
    """Of one account, for one mailbox of it."""
    replaced: ExpungeMessages | None = None
    """The one message that goes when they come."""


def put_uploads(tx: Connection, items: Sequence[Upload]) -> list[tuple[Appended, ...]]:
    """Put the messages of each upload at the end of its mailbox, side by side.

    Unit of work: not idempotent; locks the mailboxes; touches their topics.

    Raises:
        NoSuchMailbox: it is gone, or another account's.
        MessageIsGone: there is nothing to replace.
        StoreFull: less space is free than the reserve.
    """
    replaced = [item.replaced for item in items if item.replaced is not None]
    if not all(expunge_messages(tx, replaced)):
        raise MessageIsGone("it was expunged")
    placed = iter(put_messages(tx, [one for item in items for one in item.messages]))
    return [tuple([next(placed) for _ in item.messages]) for item in items]
