"""Everything that accepting mails writes, in one commit.

Blobs, mails with their events, recipients (local ones born ``delivered``, the others ``waiting``:
the queue), local copies at the end of their mailboxes: one statement for each table, however many
mails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from zajil.core.address import Address
from zajil.core.ids import AccountId, MailboxId, MailId, SessionId
from zajil.core.mail_options import PLAIN_MAIL, PLAIN_RECIPIENT, MailOptions, RecipientOptions
from zajil.core.service import RecipientState
from zajil.core.value_class import value_class
from zajil.store.engine.batch import QUEUE, note, require_space, touch
from zajil.store.engine.rows import insert_rows
from zajil.store.mail.append import Append, append_messages
from zajil.store.mail.blob_rows import write_blobs
from zajil.store.mail.blobs import StagedBlob
from zajil.store.mail.flags import pack_flags
from zajil.store.mail.tracking import EventBatch
from zajil.store.schema import mail, recipient
from zajil.tracking.events import TrackingEvent
from zajil.tracking.packing import pack_events


@value_class(frozen=True, slots=True)
class WaitReason:
    """A copy of ours that is not filed at once: a row of the queue, without a next hop."""

    due_ms: int
    """When ``deliver.local`` puts it into its mailbox."""
    expires_ms: int
    """When it would be given up; an account that is gone is given up at once."""
    state: RecipientState = RecipientState.WAITING
    reason: str = ""


@value_class(frozen=True, slots=True)
class Place:
    """A mailbox that gets a copy."""

    mailbox_id: MailboxId
    mailbox_name: str
    flags: frozenset[str] = frozenset()


@value_class(frozen=True, slots=True, kw_only=True)
class LocalCopy:
    """One recipient of ours, and the mailboxes that filing chose."""

    recipient: Address
    """As addressed; its account may have another address."""
    account_id: AccountId
    places: tuple[Place, ...]
    """Empty: the account does not want it; ``wait`` says whether the sender is told."""
    prefix: str = ""
    """What differs per recipient: Return-Path and Delivered-To, each with its CRLF."""
    options: RecipientOptions = PLAIN_RECIPIENT
    wait: WaitReason | None = None
    """``None``: it is in its mailboxes in the commit of its acceptance. Else ``prefix`` and flags
    are of no use: the copy is made later, or bounced if it has no place."""
    is_repeated: bool = False
    """An earlier recipient is the same account, and the copy is that one's: this is a row alone.
    ``queue.copy_holders`` tells it from the order of the rows."""
    reason: str = ""
    """Why it is discarded: it has no place and does not wait."""

    @property
    def mailbox_name(self) -> str | None:
        """The first mailbox; ``None``: there is none."""
        return self.places[0].mailbox_name if self.places else None


@value_class(frozen=True, slots=True, kw_only=True)
class RemoteCopy:
    """One recipient elsewhere (or later): a row of the queue."""

    recipient: Address
    next_hop: str
    """ASCII domain."""
    next_try_ms: int
    expires_ms: int
    state: RecipientState = RecipientState.WAITING
    reason: str = ""
    options: RecipientOptions = PLAIN_RECIPIENT
    addressed_as: Address | None = None
    """What the sender named, where that is an alias of ours: all that the sender may be told."""


@value_class(frozen=True, slots=True)
class OwnCopy:
    """The writer's own copy, in the mailbox of sent mail: no recipient's."""

    mailbox_id: MailboxId
    flags: frozenset[str] = frozenset({"\\Seen"})
    prefix: str = ""
    """Header fields that this copy alone has (Bcc), each with its CRLF."""


@value_class(frozen=True, slots=True, kw_only=True)
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
    subject: str = ""
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
    own_copy: OwnCopy | None = None


def write_intakes(tx: Connection, items: Sequence[Intake]) -> list[MailId]:
    """Write everything that accepting these mails means; the peers get their 250 after the commit.

    Unit of work: not idempotent; locks the mailboxes it appends to.

    Raises:
        StoreFull: less space is free than the reserve; nothing of this batch will be committed.
        NoSuchMailbox: a mailbox went since filing; nothing of this batch will be committed.
    """
    require_space(tx)
    write_blobs(tx, [item.content for item in items if _is_kept(item)])
    _insert_mails(tx, items)
    _insert_recipients(tx, items)
    append_messages(tx, [append for item in items for append in _appends(item)])
    note(tx, [_batch_of(item) for item in items])
    if any([_is_queued(item) for item in items]):
        touch(tx, QUEUE)
    return [item.mail_id for item in items]


def _batch_of(item: Intake) -> EventBatch:
    return EventBatch(item.session_id, item.mail_id, item.received_at_ms, item.events)


def _is_kept(item: Intake) -> bool:
    if item.remote or item.own_copy:
        return True
    return any([copy.places or copy.wait is not None for copy in item.local])


def _is_queued(item: Intake) -> bool:
    return bool(item.remote) or any([copy.wait is not None for copy in item.local])


def _insert_mails(tx: Connection, items: Sequence[Intake]) -> None:
    plain = [_mail_row(item) for item in items if item.options is PLAIN_MAIL]
    insert_rows(tx, _MAIL, plain)
    if len(plain) < len(items):
        asking = [item for item in items if item.options is not PLAIN_MAIL]
        rows = [(*_mail_row(item), *_mail_options(item.options)) for item in asking]
        insert_rows(tx, (*_MAIL, *_MAIL_OPTIONS), rows)


def _insert_recipients(tx: Connection, items: Sequence[Intake]) -> None:
    """Write a plain recipient with few columns, and the others in a statement of their own."""
    plain: list[tuple[Any, ...]] = []
    asking: list[tuple[Any, ...]] = []
    for item in items:
        _add_recipients(item, plain, asking)
    insert_rows(tx, _RECIPIENT, plain)
    insert_rows(tx, (*_RECIPIENT, *_RECIPIENT_OPTIONS), asking)


MAIL_FACTS = (
    mail.c.id,
    mail.c.session_id,
    mail.c.at_ms,
    mail.c.reverse_path,
    mail.c.from_key,
    mail.c.header_from,
    mail.c.message_id,
    mail.c.subject,
    mail.c.size,
    mail.c.needs_smtputf8,
)
"""Columns that every mail has, accepted or refused (``mail_facts``)."""
_MAIL = (*MAIL_FACTS, mail.c.parent_mail_id, mail.c.account_id, mail.c.blob_id, mail.c.events)
_MAIL_OPTIONS = (mail.c.dsn_return, mail.c.envelope_id, mail.c.require_tls)
RECIPIENT_FACTS = (
    recipient.c.mail_id,
    recipient.c.position,
    recipient.c.address,
    recipient.c.address_key,
    recipient.c.state,
    recipient.c.reason,
    recipient.c.at_ms,
    recipient.c.tries,
)
"""Columns that every recipient has, accepted or refused (``recipient_facts``)."""
_RECIPIENT = (
    *RECIPIENT_FACTS,
    recipient.c.account_id,
    recipient.c.mailbox,
    recipient.c.next_hop,
    recipient.c.next_try_ms,
    recipient.c.expires_ms,
)
_RECIPIENT_OPTIONS = (
    recipient.c.notify,
    recipient.c.original_recipient,
    recipient.c.addressed_as,
    recipient.c.addressed_key,
)


def mail_facts(
    mail_id: MailId,
    session_id: SessionId | None,
    at_ms: int,
    reverse_path: Address | None,
    *,
    header_from: str,
    message_id: str,
    subject: str,
    size: int,
    needs_smtputf8: bool,
) -> tuple[Any, ...]:
    """Return the values of ``MAIL_FACTS`` for one mail."""
    return (
        mail_id,
        session_id,
        at_ms,
        None if reverse_path is None else str(reverse_path),
        None if reverse_path is None else reverse_path.key,
        # An encoded word may hide a NUL, which PostgreSQL takes in no text.
        header_from.replace("\0", ""),
        message_id.replace("\0", ""),
        subject.replace("\0", ""),
        size,
        needs_smtputf8,
    )


def recipient_facts(
    mail_id: MailId, position: int, address: Address, state: str, reason: str, at_ms: int
) -> tuple[Any, ...]:
    """Return the values of ``RECIPIENT_FACTS`` for one recipient that was not tried yet."""
    return (mail_id, position, str(address), address.key, state, reason, at_ms, 0)


def _mail_row(item: Intake) -> tuple[Any, ...]:
    facts = mail_facts(
        item.mail_id,
        item.session_id,
        item.received_at_ms,
        item.reverse_path,
        header_from=item.header_from,
        message_id=item.message_id,
        subject=item.subject,
        size=item.size,
        needs_smtputf8=item.needs_smtputf8,
    )
    blob_id = item.content.blob_id if _is_queued(item) else None
    # SQLite's driver takes a bytearray as it is, and looks for an adapter of ``bytes``.
    events = bytearray(pack_events(item.events)) if item.events else None
    return (*facts, item.parent_mail_id, item.account_id, blob_id, events)


def _mail_options(options: MailOptions) -> tuple[Any, ...]:
    """Return the values of ``_MAIL_OPTIONS``; ``FUTURERELEASE`` is in the rows of recipients."""
    return (options.dsn_return, options.envelope_id or None, options.require_tls or None)


def _add_recipients(
    item: Intake, plain: list[tuple[Any, ...]], asking: list[tuple[Any, ...]]
) -> None:
    row: tuple[Any, ...]
    mail_id, at_ms, position = item.mail_id, item.received_at_ms, 0
    for copy in item.local:
        wait = copy.wait
        place = (copy.account_id, copy.mailbox_name, None)
        if wait is None:
            state = RecipientState.DELIVERED if copy.places else RecipientState.DISCARDED
            facts = recipient_facts(mail_id, position, copy.recipient, state, copy.reason, at_ms)
            row = (*facts, *place, None, None)
        else:
            facts = recipient_facts(
                mail_id, position, copy.recipient, wait.state, wait.reason, at_ms
            )
            row = (*facts, *place, wait.due_ms, wait.expires_ms)
        position += 1
        if copy.options is PLAIN_RECIPIENT:
            plain.append(row)
        else:
            asking.append((*row, *_recipient_options(copy.options, None)))
    for remote in item.remote:
        facts = recipient_facts(
            mail_id, position, remote.recipient, remote.state, remote.reason, at_ms
        )
        row = (*facts, None, None, remote.next_hop, remote.next_try_ms, remote.expires_ms)
        position += 1
        if remote.options is PLAIN_RECIPIENT and remote.addressed_as is None:
            plain.append(row)
        else:
            asking.append((*row, *_recipient_options(remote.options, remote.addressed_as)))
    for who, reason in item.refused:
        facts = recipient_facts(mail_id, position, who, RecipientState.REFUSED, reason, at_ms)
        plain.append((*facts, None, None, None, None, None))
        position += 1


def _recipient_options(
    options: RecipientOptions, addressed_as: Address | None
) -> tuple[int | None, str | None, str | None, str | None]:
    return (
        None if options.notify is None else options.notify.value,
        options.original_recipient or None,
        None if addressed_as is None else str(addressed_as),
        None if addressed_as is None else addressed_as.key,
    )


def _appends(item: Intake) -> list[Append]:
    appends: list[Append] = []
    for copy in item.local:
        if copy.wait is not None or copy.is_repeated:
            continue
        size = item.size + len(copy.prefix.encode())
        for place in copy.places:
            flags, keywords = pack_flags(place.flags) if place.flags else (0, "")
            appends.append(
                Append(
                    mailbox_id=place.mailbox_id,
                    blob_id=item.content.blob_id,
                    size=size,
                    received_at_ms=item.received_at_ms,
                    flags=flags,
                    keywords=keywords,
                    mail_id=item.mail_id,
                    prefix=copy.prefix,
                )
            )
    own, blob = item.own_copy, item.content
    if own is not None:
        flags, keywords = pack_flags(own.flags)
        appends.append(
            Append(
                mailbox_id=own.mailbox_id,
                blob_id=blob.blob_id,
                size=item.size + len(own.prefix.encode()),
                received_at_ms=item.received_at_ms,
                flags=flags,
                keywords=keywords,
                mail_id=item.mail_id,
                prefix=own.prefix,
            )
        )
    return appends
