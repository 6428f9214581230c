"""The journey of one mail, and which part of it each viewer may see. Pure.

Laws:
- An admin sees everything.
- The account that submitted the mail sees all recipients that it named, but not the mailbox of a
  recipient or the targets of an alias (``hidden``).
- The owner of a copy sees that copy. Anything about another recipient (RCPT, a route, a dialogue,
  even their number) would reveal a Bcc, so an owner sees only the events that are listed here.
- Tracebacks and texts of internal errors are visible to admins only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from enum import Enum
from typing import Any

from zajil.core.address import BadAddress, parse_address
from zajil.core.ids import MAIL_ID_PATTERN, AccountId, MailId, SessionId
from zajil.core.service import RecipientState, Service
from zajil.core.value_class import value_class
from zajil.tracking import events as tracked
from zajil.tracking.codec import event_to_dict
from zajil.tracking.events import TrackingEvent
from zajil.tracking.hidden import Aliases, find_aliases, merge_copies, without_targets
from zajil.tracking.tracked_recipient import TrackedRecipient, key_of


@value_class(frozen=True, slots=True)
class Recorded:
    """An event as the store gives it back: with the connection it happened on."""

    session_id: SessionId | None
    """``None`` for what no connection caused: the queue's own work."""
    event: TrackingEvent


@value_class(frozen=True, slots=True, kw_only=True)
class Journey:
    """All that is known of one mail."""

    mail_id: MailId
    parent_mail_id: MailId | None
    """The mail that this one, a DSN, reports on."""
    message_id: str
    header_from: str
    received_at_ms: int
    account_id: AccountId | None
    """Who handed it in; ``None`` for mail of other servers and for our DSNs."""
    recipients: tuple[TrackedRecipient, ...]
    events: tuple[Recorded, ...]
    """In the order they happened."""
    expires_ms: int | None = None
    """When what waits is given up; ``None``: nothing waits."""
    subject: str = ""
    """``""``: it has none, or an older version recorded the mail."""


def refused_journey(mail_id: MailId, recorded: Sequence[Recorded]) -> Journey:
    """Build the journey of a rejected mail from its events; it is visible to admins only.

    Its sender got a reply that names it, and asks an admin what became of it.

    Args:
        mail_id: ours, named in the reply.
        recorded: one or more, in the order they happened.
    """
    message_id, header_from, subject, reverse_path, reply = "", "", "", "", ""
    refused_at_ms = recorded[-1].event.at_ms
    refusals: dict[str, str | None] = {}
    for event in [one.event for one in recorded]:
        match event:
            case tracked.SenderNamed():
                reverse_path = event.reverse_path
            case tracked.RecipientNamed():
                refusals[event.recipient] = None
            case tracked.RecipientRefused():
                refusals.setdefault(event.recipient, event.reply)
            case tracked.MessageReceived():
                message_id, header_from = event.message_id, event.header_from
                subject = event.subject
            case tracked.MailRefused():
                reply, refused_at_ms = event.reply, event.at_ms
    return Journey(
        mail_id=mail_id,
        parent_mail_id=None,
        message_id=message_id,
        header_from=header_from or reverse_path,
        received_at_ms=refused_at_ms,
        account_id=None,
        recipients=tuple(
            TrackedRecipient(address, RecipientState.REFUSED, reply if own is None else own, None)
            for address, own in refusals.items()
        ),
        events=tuple(recorded),
        subject=subject,
    )


class Role(Enum):
    """What somebody is to a mail."""

    ADMIN = "admin"
    SENDER = "sender"
    OWNER = "owner"


@value_class(frozen=True, slots=True)
class Viewer:
    """Who looks at a journey, and as what."""

    role: Role
    account_id: AccountId | None = None
    copies: frozenset[str] = frozenset()
    """``Address.key`` of the recipients whose copy is the viewer's own."""
    names: frozenset[str] = field(default=frozenset())
    """Keys of the log-in name and addresses by which events call the viewer's account."""

    def owns(self, recipient: str) -> bool:
        """Whether the copy of this recipient is the viewer's own."""
        return key_of(recipient) in self.copies


def viewer_of(
    journey: Journey, account_id: AccountId, names: Iterable[str], *, admin: bool = False
) -> Viewer | None:
    """Return the role in which an account may see a journey.

    Args:
        journey: the whole of it.
        account_id: who asks.
        names: its log-in name and every address that is its own.
        admin: it asks as an admin.

    Returns:
        ``None`` when the mail is none of its business; it then must not learn that it exists.
    """
    own_copies = frozenset(
        key_of(copy.address) for copy in journey.recipients if copy.account_id == account_id
    )
    own_names = frozenset(key_of(name) for name in names)
    if admin:
        return Viewer(Role.ADMIN, account_id, own_copies, own_names)
    if journey.account_id == account_id:
        return Viewer(Role.SENDER, account_id, own_copies, own_names)
    if own_copies:
        return Viewer(Role.OWNER, account_id, own_copies, own_names)
    return None


def visible_journey(journey: Journey, viewer: Viewer) -> Journey:
    """Return the part of a journey that the viewer may see."""
    recipients = journey.recipients
    if viewer.role is Role.SENDER:
        aliases = _aliases_of(journey, viewer)
        if aliases is not None:
            recipients = merge_copies(aliases, recipients)
        # Where another account files its mail, or that it calls it junk, is that account's affair.
        recipients = tuple(
            copy
            if copy.account_id in (None, viewer.account_id)
            or copy.state is not RecipientState.DELIVERED
            else replace(copy, reason="")
            for copy in recipients
        )
    elif viewer.role is Role.OWNER:
        recipients = tuple(copy for copy in recipients if copy.account_id == viewer.account_id)
    return replace(journey, recipients=recipients, events=_visible_events(journey, viewer))


def _visible_events(journey: Journey, viewer: Viewer) -> tuple[Recorded, ...]:
    """Return the events that the viewer may see, some with fields left out, in their order."""
    events = journey.events
    if viewer.role is Role.ADMIN:
        return events
    if viewer.role is Role.SENDER:
        aliases = _aliases_of(journey, viewer)
        shown = ((one, _shown_to_sender(one.event, viewer, aliases)) for one in events)
    else:
        shown = ((one, _shown_to_owner(one.event, viewer)) for one in events)
    return tuple(replace(recorded, event=event) for recorded, event in shown if event is not None)


def _aliases_of(journey: Journey, viewer: Viewer) -> Aliases | None:
    return find_aliases(journey.recipients, [one.event for one in journey.events], viewer.names)


def _shown_to_sender(
    event: TrackingEvent, viewer: Viewer, aliases: Aliases | None
) -> TrackingEvent | None:
    is_own = isinstance(event, tracked.MailboxFiled) and _is_own_filing(event, viewer)
    if aliases is not None and not is_own:
        shown = without_targets(event, aliases, viewer.names)
        if shown is None:
            return None
        event = shown
    match event:
        case tracked.MailboxFiled() if not is_own:
            return replace(event, account="", mailbox="", reason="")
        case tracked.VerdictReached(recipient=str(recipient)) if not viewer.owns(recipient):
            return None
        case tracked.OperatorActed():
            return replace(event, who="")
        case tracked.FaultHappened():
            return replace(event, summary="", traceback="")
        case _:
            return event


def _shown_to_owner(event: TrackingEvent, viewer: Viewer) -> TrackingEvent | None:
    match event:
        # Security: a new kind of event is not shown to owners until it is listed here.
        case (
            tracked.TlsStarted()
            | tracked.PeerGreeted()
            | tracked.SenderNamed()
            | tracked.MessageReceived()
            | tracked.CheckDone()
            | tracked.MailSigned()
        ):
            return event
        case tracked.SessionOpened(service=service):
            # The address of another server is in Received anyway; where a person sits is theirs.
            return event if service == Service.SMTP else replace(event, peer="", local="")
        case tracked.MailAccepted():
            return replace(event, recipients=len(viewer.copies))
        case tracked.VerdictReached(recipient=None):
            return event
        case (
            tracked.VerdictReached(recipient=str(recipient))
            | tracked.RecipientNamed(recipient=recipient)
            | tracked.RecipientQueued(recipient=recipient)
            | tracked.RecipientDelivered(recipient=recipient)
            | tracked.DeliveryDeferred(recipient=recipient)
            | tracked.RecipientFailed(recipient=recipient)
        ):
            return event if viewer.owns(recipient) else None
        case tracked.MailboxFiled():
            return event if _is_own_filing(event, viewer) else None
        case tracked.AliasExpanded(targets=targets):
            own = tuple(target for target in targets if key_of(target) in viewer.names)
            return replace(event, targets=own) if own else None
        case tracked.OperatorActed(recipients=recipients):
            own = tuple(recipient for recipient in recipients if viewer.owns(recipient))
            return replace(event, who="", recipients=own) if own else None
        case tracked.FaultHappened():
            return replace(event, summary="", traceback="")
        case _:
            return None


def _is_own_filing(event: tracked.MailboxFiled, viewer: Viewer) -> bool:
    # Two members of an alias may both have been addressed by its name: the account decides.
    return viewer.owns(event.recipient) and key_of(event.account) in viewer.names


# Our own ids only: Postfix says "queued as" too.
_QUEUED_AS = re.compile(rf"\bqueued as ({MAIL_ID_PATTERN})(?![0-9A-Za-z])")


def joined_mail_id(event: TrackingEvent) -> MailId | None:
    """Return the id that the next server gave the mail, when it is a Zajil too.

    ``250 2.0.0 queued as ID``: by it the journeys of both ends join.
    """
    if not isinstance(event, tracked.RecipientDelivered):
        return None
    match = _QUEUED_AS.search(event.reply)
    return MailId(match[1]) if match else None


def journey_to_dict(journey: Journey) -> dict[str, Any]:
    """Return a journey as ``zajil journey show --json`` prints it."""
    return {
        "mail_id": journey.mail_id,
        "message_id": journey.message_id,
        "parent_mail_id": journey.parent_mail_id,
        "from": journey.header_from,
        "subject": journey.subject,
        "received_at_ms": journey.received_at_ms,
        "recipients": [
            {
                "address": readable(copy.address),
                "state": copy.state,
                "reason": copy.reason,
                "next_try_ms": copy.next_try_ms,
            }
            for copy in journey.recipients
        ],
        "events": [
            {**event_to_dict(recorded.event), "session_id": recorded.session_id}
            for recorded in journey.events
        ],
    }


def readable(address: str) -> str:
    """Return an address of an event or a row as people read it: its domain in U-labels."""
    try:
        return parse_address(address).unicode
    except BadAddress:
        return address
