"""The last step of taking a mail in: to the store, and only then 250.

Shared by reception, submission and the web. Whatever goes wrong here is temporary: the peer still
owns the mail (design section 4).
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from zajil.core.address import Address
from zajil.core.ids import AccountId, MailId, SessionId
from zajil.message.source import Source
from zajil.receive import replies
from zajil.receive.copies import Copies
from zajil.smtp.reply import Reply
from zajil.store.append import NoSuchMailbox
from zajil.store.errors import StoreFull, StoreUnavailable
from zajil.store.intake import Intake, accept
from zajil.store.open import Store
from zajil.store.tracking import EventBatch, record_events
from zajil.tracking.events import FaultHappened, MailAccepted, MailRefused, TrackingEvent


@dataclass(frozen=True, slots=True)
class Incoming:
    """A mail that was found good, with everything the store needs to know of it."""

    mail_id: MailId
    session_id: SessionId | None
    account_id: AccountId | None
    """The submitting account; ``None`` for mail of other servers."""
    reverse_path: Address | None
    header_from: str
    message_id: str
    needs_smtputf8: bool
    parts: tuple[bytes | Source, ...]
    """Our trace fields, header section, body: in this order, the bytes that are kept."""
    copies: Copies
    events: tuple[TrackingEvent, ...]
    """What happened before; those of the copies and of acceptance are added here."""


async def hand_over(store: Store, incoming: Incoming, now_ms: int) -> Reply:
    """Make the mail ours, or say why not now.

    Waits for the disk. Cancelled, the mail may be ours although nobody was told: a possible
    duplicate, never a loss.

    Returns:
        250 after the commit; 451 or 452 when nothing was kept.
    """
    copies = incoming.copies
    try:
        content = await store.blobs.stage_any(incoming.parts)
        intake = Intake(
            incoming.mail_id,
            None,
            incoming.session_id,
            now_ms,
            incoming.account_id,
            incoming.reverse_path,
            incoming.header_from,
            incoming.message_id,
            content,
            content.size,
            incoming.needs_smtputf8,
            tuple(copies.local),
            tuple(copies.remote),
            (),
            (
                *incoming.events,
                *copies.events,
                MailAccepted(now_ms, len(copies.local) + len(copies.remote)),
            ),
        )
        await store.write(accept, intake)
    except StoreFull as error:
        return refuse_for_now(store, incoming, replies.NO_SPACE, now_ms, error)
    except (StoreUnavailable, NoSuchMailbox) as error:
        return refuse_for_now(store, incoming, replies.UNAVAILABLE, now_ms, error)
    return replies.queued(incoming.mail_id)


def refuse_for_now(
    store: Store, incoming: Incoming, reply: Reply, now_ms: int, error: Exception
) -> Reply:
    """Leave a trace of a mail that we could not keep, if even that can be kept; give the reply."""
    fault = FaultHappened(now_ms, str(error), "".join(traceback.format_exception(error)))
    events = (*incoming.events, fault, MailRefused(now_ms, str(reply)))
    record(store, incoming.session_id, incoming.mail_id, now_ms, events)
    return reply


def record(
    store: Store,
    session_id: SessionId | None,
    mail_id: MailId | None,
    now_ms: int,
    events: Sequence[TrackingEvent],
) -> None:
    """Keep events that nobody waits for: they share the next commit."""
    store.write_later(record_events, EventBatch(session_id, mail_id, now_ms, tuple(events)))
