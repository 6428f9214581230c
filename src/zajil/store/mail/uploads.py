"""Put messages that a client brings into a mailbox: all of them, or none. (RFC 3502, RFC 8508)"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from zajil.core.errors import NotFound, Refused
from zajil.core.value_class import value_class
from zajil.store.engine.batch import caps_of
from zajil.store.engine.rows import execute_text, mark_of
from zajil.store.mail.append import Appended, NoSuchMailbox
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    PutMessage,
    expunge_messages,
    put_messages,
)


class MailboxIsFull(Refused):
    """It would have more than ``Caps.mailbox_messages``."""


class MessageIsGone(NotFound):
    """The message that was to be replaced was expunged meanwhile."""


@value_class(frozen=True, slots=True)
class Upload:
    """What ``put_uploads`` takes."""

    messages: tuple[PutMessage, ...]
    """Of one account, for one mailbox of it."""
    name: str | None = None
    """What the mailbox is called, where that was looked up by an earlier command, and may have
    changed since; ``None``: it was looked up for this one, and found to have room."""
    replaced: ExpungeMessages | None = None
    """The one message that goes when they come."""


def put_uploads(tx: Connection, items: Sequence[Upload]) -> list[tuple[Appended, ...]]:
    """Put the messages of each upload at the end of its mailbox, side by side.

    Unit of work: not idempotent; locks the mailboxes; touches their topics.

    Raises:
        NoSuchMailbox: it is gone, another account's, or called otherwise.
        MailboxIsFull: it would have more messages than a mailbox may.
        OverQuota: the account would have more than it may.
        MessageIsGone: there is nothing to replace.
        StoreFull: less space is free than the reserve.
    """
    replaced = [item.replaced for item in items if item.replaced is not None]
    if replaced and not all(expunge_messages(tx, replaced)):
        raise MessageIsGone("it was expunged")
    for item in items:
        if item.name is not None:
            _check_again(tx, item)
    placed = iter(put_messages(tx, [one for item in items for one in item.messages]))
    return [tuple([next(placed) for _ in item.messages]) for item in items]


def _check_again(tx: Connection, item: Upload) -> None:
    target = item.messages[0].mailbox_id
    find = f"SELECT name, messages FROM mailbox WHERE id = {mark_of(tx)}"  # noqa: S608, a constant
    rows = execute_text(tx, find, (target,))
    if not rows or rows[0][0] != item.name:
        raise NoSuchMailbox(target)
    most = caps_of(tx).mailbox_messages
    if most and rows[0][1] + len(item.messages) > most:
        raise MailboxIsFull(f"a mailbox has at most {most} messages")
