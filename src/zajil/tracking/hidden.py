"""What an alias hides from the sender of a mail: its targets, their number and their servers. Pure.

The sender used the alias and sees the alias: one recipient with one state. Its targets, their
servers and replies are visible to the owner of the alias only (``deliver.bounce`` has the same law
for notices).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import field, replace

from zajil.core.address import BadAddress, parse_address
from zajil.core.service import RecipientState
from zajil.core.value_class import value_class
from zajil.tracking import events as tracked
from zajil.tracking.codec import encode_events
from zajil.tracking.events import TrackingEvent
from zajil.tracking.tracked_recipient import TrackedRecipient, key_of


@value_class(frozen=True, slots=True)
class Aliases:
    """The aliases that one mail was sent to."""

    keys: frozenset[str]
    """``Address.key`` of each alias."""
    targets: Mapping[str, str]
    """Key of each target that the sender did not name, and the alias in wire form."""
    next_hops: frozenset[str]
    """ASCII domains of the recipients elsewhere that the sender named."""
    count: int = 0
    """Recipients that the sender named and we took."""
    delivered: Mapping[str, TrackingEvent] = field(default_factory=dict)
    """By key of an alias all of whose copies arrived: the event that told of the last one."""

    def shown_name(self, recipient: str) -> str:
        """Return the name by which the sender knows a recipient."""
        return self.targets.get(key_of(recipient), recipient)


def find_aliases(
    recipients: Sequence[TrackedRecipient], events: Sequence[TrackingEvent], own_names: Set[str]
) -> Aliases | None:
    """Find the aliases of a mail; ``None``: it was sent to none.

    Args:
        recipients: all of them, targets included.
        events: all of them.
        own_names: keys of the sender's own names, which are hidden from nobody here.
    """
    named = {key_of(copy.address) for copy in recipients if copy.addressed_as is None}
    targets: dict[str, str] = {}
    next_hops: set[str] = set()
    for copy in recipients:
        if copy.addressed_as is not None:
            targets[key_of(copy.address)] = copy.addressed_as
        elif copy.account_id is None and copy.state is not RecipientState.REFUSED:
            next_hops.add(_domain_of(copy.address))
    keys = {key_of(alias) for alias in targets.values()}
    for event in events:
        if isinstance(event, tracked.AliasExpanded):
            keys.add(key_of(event.recipient))
            hidden = {key_of(target) for target in event.targets} - named - own_names
            targets.update(dict.fromkeys(hidden - targets.keys(), event.recipient))
    arrived: dict[str, TrackingEvent] = {}
    for event in events:
        match event:
            case tracked.MailboxFiled(recipient=name) | tracked.RecipientDelivered(recipient=name):
                arrived[key_of(targets.get(key_of(name), name))] = event
    if not keys:
        return None
    aliases = Aliases(frozenset(keys), targets, frozenset(next_hops))
    taken = [
        copy
        for copy in merge_copies(aliases, recipients)
        if copy.state is not RecipientState.REFUSED
    ]
    states = {key_of(copy.address): copy.state for copy in taken}
    done = {
        key: event for key, event in arrived.items() if states.get(key) is RecipientState.DELIVERED
    }
    return replace(aliases, count=len(taken), delivered=done)


_WORST_FIRST = (
    RecipientState.BOUNCED,
    RecipientState.EXPIRED,
    RecipientState.DISCARDED,
    RecipientState.HELD,
    RecipientState.WAITING,
    RecipientState.DELIVERED,
)


def merge_copies(
    aliases: Aliases, recipients: Sequence[TrackedRecipient]
) -> tuple[TrackedRecipient, ...]:
    """Return each alias one row with the worst of the states behind it, in place of its copies."""
    rows: list[TrackedRecipient] = []
    places: dict[str, int] = {}
    for copy in recipients:
        name = aliases.shown_name(copy.address)
        if key_of(name) not in aliases.keys or copy.state is RecipientState.REFUSED:
            rows.append(copy)
            continue
        row = TrackedRecipient(name, copy.state, "", copy.next_try_ms)
        place = places.setdefault(key_of(name), len(rows))
        if place == len(rows):
            rows.append(row)
        else:
            rows[place] = _worse(rows[place], row)
    return tuple(rows)


def _worse(one: TrackedRecipient, other: TrackedRecipient) -> TrackedRecipient:
    """Return the worse of two rows of an alias; of two that wait, the one that is tried first."""

    def rank(copy: TrackedRecipient) -> tuple[int, int]:
        return _WORST_FIRST.index(copy.state), copy.next_try_ms or 0

    return min(one, other, key=rank)


def without_targets(
    event: TrackingEvent, aliases: Aliases, own_names: Set[str]
) -> TrackingEvent | None:
    """Return an event as the sender may see it; ``None``: not at all.

    Args:
        event: of a mail that was sent to an alias.
        aliases: what it must not tell.
        own_names: keys of the sender's own names: that it is behind the alias itself is no news.
    """
    shown = _rename(event, aliases, own_names)
    if shown is None or shown.name.startswith(_SAID_BY_SENDER):
        return shown
    # Security: a new kind of event, or a text of another server, does not tell a target either.
    told = encode_events([shown]).casefold()
    return None if any(target in told for target in aliases.targets) else shown


_SAID_BY_SENDER = ("session.", "mail.sender", "mail.recipient", "mail.received")


def _rename(event: TrackingEvent, aliases: Aliases, own_names: Set[str]) -> TrackingEvent | None:
    match event:
        case tracked.AliasExpanded(targets=targets):
            own = tuple(target for target in targets if key_of(target) in own_names)
            return replace(event, targets=own) if own else None
        case (
            tracked.RouteFound(domain=domain)
            | tracked.RelayFound(domain=domain)
            | tracked.StsPolicyFound(domain=domain)
            | tracked.TlsaFound(domain=domain)
            | tracked.RouteFailed(domain=domain)
        ):
            return event if domain in aliases.next_hops else None
        case tracked.AttemptMade(behind_alias=behind_alias):
            return event if behind_alias is False else None
        case tracked.MailSealed():
            return None  # a mail is sealed because it goes on to another server
        case tracked.MailAccepted():
            return replace(event, recipients=aliases.count)
        case tracked.OperatorActed(recipients=recipients):
            return replace(event, recipients=_names(aliases, recipients))
        case tracked.DsnSent(recipients=recipients):
            return replace(event, recipients=_names(aliases, recipients))
        case _:
            return _rename_copy(event, aliases)


def _rename_copy(event: TrackingEvent, aliases: Aliases) -> TrackingEvent | None:
    """Return the event of a copy behind an alias under the alias' name, without its target."""
    match event:
        case (
            tracked.MailboxFiled(recipient=recipient)
            | tracked.RecipientDelivered(recipient=recipient)
            | tracked.RecipientQueued(recipient=recipient)
            | tracked.DeliveryDeferred(recipient=recipient)
            | tracked.RecipientFailed(recipient=recipient)
        ):
            alias = aliases.shown_name(recipient)
            key = key_of(alias)
        case _:
            return event
    if key not in aliases.keys:
        return event
    match event:
        case tracked.MailboxFiled() | tracked.RecipientDelivered():
            # Once, when all have arrived: how many they are is not told.
            is_last = aliases.delivered.get(key) is event
            return tracked.RecipientDelivered(event.at_ms, alias, "", "") if is_last else None
        case tracked.RecipientQueued():
            return None
        case tracked.DeliveryDeferred():
            return replace(event, recipient=alias, remote_mta=None, diagnostic="")
        case tracked.RecipientFailed():
            return replace(event, recipient=alias, remote_mta=None, diagnostic="")
        case _:
            return None


def _names(aliases: Aliases, recipients: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(aliases.shown_name(recipient) for recipient in recipients))


def _domain_of(address: str) -> str:
    try:
        return parse_address(address).domain
    except BadAddress:
        return ""
