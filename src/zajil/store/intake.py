"""The one way in: everything that accepting mails writes, in one commit (design D3).

Blobs, mails, recipients (local ones born ``delivered``, the others ``waiting``: the queue), local
copies at the end of their mailboxes, events: one statement for each table, however many mails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.engine import Connection

from zajil.core.address import Address
from zajil.core.envelope import PLAIN_MAIL, PLAIN_RECIPIENT, MailOptions, RecipientOptions
from zajil.core.ids import AccountId, MailboxId, MailId, SessionId
from zajil.store.append import Append, append_messages
from zajil.store.batch import QUEUE, require_space, touch
from zajil.store.blobs import StagedBlob, write_blobs
from zajil.store.flags import pack_flags
from zajil.store.rows import insert_rows
from zajil.store.schema import event, mail, recipient
from zajil.tracking.codec import encode_events
from zajil.tracking.events import TrackingEvent


@dataclass(frozen=True, slots=True)
class LocalCopy:
    """One recipient of ours, and the mailbox that filing chose."""

    recipient: Address
    """As addressed; its account may have another address."""
    account_id: AccountId
    mailbox_id: MailboxId
    mailbox_name: str
    flags: frozenset[str] = frozenset()
    prefix: str = ""
    """What differs per recipient: Return-Path and Delivered-To, each with its CRLF."""
    options: RecipientOptions = PLAIN_RECIPIENT


@dataclass(frozen=True, slots=True)
class RemoteCopy:
    """One recipient elsewhere (or later): a row of the queue."""

    recipient: Address
    next_hop: str
    """ASCII domain."""
    next_try_ms: int
    expires_ms: int
    state: Literal["waiting", "held"] = "waiting"
    reason: str = ""
    options: RecipientOptions = PLAIN_RECIPIENT


@dataclass(frozen=True, slots=True)
class Intake:
    """One accepted mail."""

    mail_id: MailId
    parent_mail_id: MailId | None
    """Of a DSN: the mail it reports on."""
    session_id: SessionId | None
    received_at_ms: int
    account_id: AccountId | None
    """Who submitted it; ``None``: it came from outside."""
    reverse_path: Address | None
    header_from: str
    message_id: str
    content: StagedBlob
    size: int
    """Bytes of the blob."""
    needs_smtputf8: bool
    """For its header section or reverse path; an address of a recipient concerns that one alone."""
    local: tuple[LocalCopy, ...]
    remote: tuple[RemoteCopy, ...]
    refused: tuple[tuple[Address, str], ...]
    """Recipients that got 4yz or 5yz, with the reason."""
    events: tuple[TrackingEvent, ...]
    options: MailOptions = PLAIN_MAIL


def accept(tx: Connection, items: Sequence[Intake]) -> list[MailId]:
    """Write everything that accepting these mails means; the peers get their 250 after the commit.

    Unit of work: not idempotent; locks the mailboxes it appends to.

    Raises:
        StoreFull: less space is free than the reserve; nothing of this batch will be committed.
        NoSuchMailbox: a mailbox went since filing; nothing of this batch will be committed.
    """
    require_space(tx)
    write_blobs(tx, [item.content for item in items if item.local or item.remote])
    insert_rows(tx, _MAIL, [_mail_row(item) for item in items])
    insert_rows(tx, _RECIPIENT, [row for item in items for row in _recipient_rows(item)])
    append_messages(tx, [append for item in items for append in _appends(item)])
    insert_rows(
        tx,
        _EVENT,
        [
            (item.mail_id, item.session_id, item.received_at_ms, encode_events(item.events))
            for item in items
            if item.events
        ],
    )
    if any(item.remote for item in items):
        touch(tx, QUEUE)
    return [item.mail_id for item in items]


_MAIL = (
    mail.c.id,
    mail.c.parent_mail_id,
    mail.c.session_id,
    mail.c.account_id,
    mail.c.at_ms,
    mail.c.reverse_path,
    mail.c.from_key,
    mail.c.header_from,
    mail.c.message_id,
    mail.c.size,
    mail.c.blob_id,
    mail.c.needs_smtputf8,
)
_RECIPIENT = (
    recipient.c.mail_id,
    recipient.c.position,
    recipient.c.address,
    recipient.c.address_key,
    recipient.c.state,
    recipient.c.reason,
    recipient.c.at_ms,
    recipient.c.account_id,
    recipient.c.mailbox,
    recipient.c.next_hop,
    recipient.c.tries,
    recipient.c.next_try_ms,
    recipient.c.expires_ms,
)
_EVENT = (event.c.mail_id, event.c.session_id, event.c.at_ms, event.c.body)


def _mail_row(item: Intake) -> tuple[Any, ...]:
    sender = item.reverse_path
    return (
        item.mail_id,
        item.parent_mail_id,
        item.session_id,
        item.account_id,
        item.received_at_ms,
        None if sender is None else str(sender),
        None if sender is None else sender.key,
        # An encoded word may hide a NUL, which PostgreSQL takes in no text.
        item.header_from.replace("\0", ""),
        item.message_id.replace("\0", ""),
        item.size,
        item.content.blob_id if item.remote else None,
        item.needs_smtputf8,
    )


def _recipient_rows(item: Intake) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []

    def add(who: Address, state: str, reason: str, *rest: object) -> None:
        key = (item.mail_id, len(rows), str(who), who.key)
        rows.append((*key, state, reason, item.received_at_ms, *rest))

    for copy in item.local:
        filed = (copy.account_id, copy.mailbox_name)
        add(copy.recipient, "delivered", "", *filed, None, 0, None, None)
    for remote in item.remote:
        due = (remote.next_hop, 0, remote.next_try_ms, remote.expires_ms)
        add(remote.recipient, remote.state, remote.reason, None, None, *due)
    for who, reason in item.refused:
        add(who, "refused", reason, None, None, None, 0, None, None)
    return rows


def _appends(item: Intake) -> list[Append]:
    appends: list[Append] = []
    for copy in item.local:
        flags, keywords = pack_flags(copy.flags) if copy.flags else (0, "")
        appends.append(
            Append(
                copy.mailbox_id,
                item.content.blob_id,
                item.size + len(copy.prefix.encode()),
                item.received_at_ms,
                flags,
                keywords,
                item.mail_id,
                copy.prefix,
            )
        )
    return appends
