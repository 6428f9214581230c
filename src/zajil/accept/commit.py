"""The last step of taking a mail in: to the store, and only then 250.

Shared by reception, submission and the web. Whatever goes wrong here is temporary: the peer still
owns the mail (design section 4).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from zajil.accept import replies
from zajil.accept.context import ReceiveServices
from zajil.accept.transaction import Transaction
from zajil.check.verdict.verdict import Action, Verdict
from zajil.core.envelope import PLAIN_MAIL, MailOptions
from zajil.core.ids import AccountId, MailId, SessionId
from zajil.message.source import Source
from zajil.net.floods import REFUSED_MAIL
from zajil.route.copies import Plan, plan_copies
from zajil.smtp.reply import Reply
from zajil.store.engine.errors import ReserveReached, StoreFull, StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.blobs import StagedBlob
from zajil.store.mail.intake import Intake, OwnCopy, accept
from zajil.store.mail.refusals import RefusedMail, record_refused
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.tracking.events import (
    FaultHappened,
    MailAccepted,
    MailRefused,
    MessageReceived,
    TrackingEvent,
)


class Origin(Protocol):
    """Where a mail comes from: an SMTP session, or a page of the web."""

    services: ReceiveServices
    session_id: SessionId
    events: list[TrackingEvent]
    """About the connection, not yet recorded; the mail's row takes them along."""

    @property
    def host(self) -> str:
        """Address of the peer."""


Write = Callable[[Intake], Awaitable[Reply | None]]
"""Returns after the commit, or gives a reply if nothing was kept."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A mail that was found good: what the store shall keep of it, beside its transaction."""

    now_ms: int
    account_id: AccountId | None
    """The submitting account; ``None`` for mail of other servers."""
    header_from: str
    message_id: str
    needs_smtputf8: bool
    parts: tuple[bytes | Source, ...]
    """Our trace fields, header section, body: in this order, the bytes that are kept."""
    verdict: Verdict
    by_account: Mapping[AccountId, Verdict] = field(default_factory=dict)
    """Verdicts of accounts that differ from it."""
    own_copy: OwnCopy | None = None
    """For the writer's mailbox of sent mail."""
    write: Write | None = None
    """Commits the intake; ``None``: as any mail."""
    then: Callable[[], None] | None = None
    """Called soon after the commit; nobody waits for it."""


async def take_in(
    origin: Origin, transaction: Transaction, decision: Awaitable[Incoming | Reply]
) -> Reply:
    """Make a mail ours if the decision about it is good; whatever goes wrong is temporary.

    Waits for the disk. Cancelled, the mail may be ours although nobody was told: a possible
    duplicate, never a loss.

    Returns:
        250 after the commit; any other reply when nothing was kept but its trace.
    """
    try:
        decided = await decision
        if isinstance(decided, Reply):
            return refuse(origin, transaction, decided)
        refusal = await _write(origin, transaction, decided)
        if refusal is not None:
            return refuse(origin, transaction, refusal)
    except (StoreUnavailable, NoSuchMailbox) as error:
        return _refuse_for_now(origin, transaction, error, str(error))
    except Exception as error:
        # Unknown means temporary: our bug must not cost the peer its mail (style C8).
        return _refuse_for_now(origin, transaction, error, repr(error))
    origin.events.clear()  # they were recorded with the mail
    if decided.then is not None:
        # By the loop: what goes wrong there must not cost the peer its 250.
        asyncio.get_running_loop().call_soon(decided.then)
    return replies.queued(transaction.mail_id)


def refuse(origin: Origin, transaction: Transaction, reply: Reply) -> Reply:
    """Leave the trace of a mail that was read and not taken; give the reply."""
    text = str(reply)
    transaction.events.append(MailRefused(origin.services.clock.now_ms(), text))
    record_refusal(origin, transaction, text)
    return reply


def record_refusal(origin: Origin, transaction: Transaction, reply: str) -> None:
    """Keep the trace of a mail that was not taken, with how its session began; nobody waits.

    Args:
        origin: where it came from.
        transaction: what is known of it.
        reply: what the recipients that RCPT accepted are refused with.
    """
    services, host = origin.services, origin.host
    events = (*origin.events, *transaction.events)
    origin.events.clear()
    if services.refusals is not None and not services.refusals.takes(host, REFUSED_MAIL):
        return
    taken = {one.address.key: (one.address, reply) for one in transaction.recipients}
    refused = {address.key: (address, text) for address, text in transaction.refused}
    received = next((one for one in events if isinstance(one, MessageReceived)), None)
    item = RefusedMail(
        transaction.mail_id,
        origin.session_id,
        services.clock.now_ms(),
        transaction.reverse_path,
        "" if received is None else received.header_from,
        "" if received is None else received.message_id,
        0 if received is None else received.size,
        tuple({**refused, **taken}.values()),
        events,
    )
    services.store.write_later(record_refused, item)


def not_stored(error: Exception) -> Reply:
    """Say that nothing was kept, and whether space is what is missing."""
    return replies.NO_SPACE if isinstance(error, StoreFull) else replies.UNAVAILABLE


def record(
    store: Store,
    session_id: SessionId | None,
    mail_id: MailId | None,
    now_ms: int,
    events: Sequence[TrackingEvent],
) -> None:
    """Keep events that nobody waits for: they share the next commit."""
    store.write_later(record_events, EventBatch(session_id, mail_id, now_ms, tuple(events)))


async def _write(origin: Origin, transaction: Transaction, incoming: Incoming) -> Reply | None:
    """Commit; give a reply if nothing was kept because the writer may not send so much."""
    store = origin.services.store
    content = await store.blobs.stage_any(incoming.parts)
    intake = _make_intake(origin, transaction, incoming, content)
    refusal: Reply | None = None
    try:
        if incoming.write is None:
            await store.write(accept, intake)
        else:
            refusal = await incoming.write(intake)
    except (NoSuchMailbox, ReserveReached):
        # Attack: large mails that are refused for want of room must not take what is left.
        store.blobs.discard(content)
        raise
    if refusal is not None:
        store.blobs.discard(content)
    return refusal


def _make_intake(
    origin: Origin, transaction: Transaction, incoming: Incoming, content: StagedBlob
) -> Intake:
    now_ms = incoming.now_ms
    copies = plan_copies(
        transaction.recipients,
        Plan(
            transaction.reverse_path,
            now_ms,
            origin.services.lifetime_ms,
            _why_junk(incoming.verdict),
            release_time(transaction.options, now_ms),
            {one: _why_junk(verdict) for one, verdict in incoming.by_account.items()},
        ),
    )
    count = len(copies.local) + len(copies.remote)
    accepted = MailAccepted(now_ms, count)
    return Intake(
        mail_id=transaction.mail_id,
        parent_mail_id=None,
        session_id=origin.session_id,
        received_at_ms=now_ms,
        account_id=incoming.account_id,
        reverse_path=transaction.reverse_path,
        header_from=incoming.header_from,
        message_id=incoming.message_id,
        content=content,
        size=content.size,
        needs_smtputf8=incoming.needs_smtputf8,
        local=tuple(copies.local),
        remote=tuple(copies.remote),
        refused=tuple(transaction.refused),
        events=(*origin.events, *transaction.events, *copies.events, accepted),
        options=transaction.options,
        own_copy=incoming.own_copy,
    )


def release_time(options: MailOptions, now_ms: int) -> int | None:
    """Give when a mail may be delivered (RFC 4865 section 5); ``None``: now."""
    if options is PLAIN_MAIL:
        return None
    release_ms = options.hold_until_ms or 0
    if options.hold_for_s is not None:
        release_ms = now_ms + options.hold_for_s * 1000
    return release_ms if release_ms > now_ms else None


def _why_junk(verdict: Verdict) -> str | None:
    # Refused by one account and taken by another: it is here, so it goes to the Junk of the first.
    if verdict.action is Action.ACCEPT:
        return None
    return verdict.reasons[0].text if verdict.reasons else ""


def _refuse_for_now(origin: Origin, transaction: Transaction, error: Exception, what: str) -> Reply:
    at_ms = origin.services.clock.now_ms()
    trace = "".join(traceback.format_exception(error))
    transaction.events.append(FaultHappened(at_ms, what, trace))
    return refuse(origin, transaction, not_stored(error))
