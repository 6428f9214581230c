"""NOTIFY: its values and syntax. (RFC 5465)"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from zajil.core.value_class import value_class
from zajil.imap.fetch_item import FetchItem, parse_fetch_items
from zajil.imap.grammar import BadSyntax, Scanner, bad
from zajil.imap.response import Completion

_MAX_GROUPS = 16
_MAX_NAMES = 200


class NotifyEvent(Enum):
    """What a client may be told of. (RFC 5465 section 5)"""

    MESSAGE_NEW = "MessageNew"
    MESSAGE_EXPUNGE = "MessageExpunge"
    FLAG_CHANGE = "FlagChange"
    MAILBOX_NAME = "MailboxName"
    SUBSCRIPTION_CHANGE = "SubscriptionChange"
    MAILBOX_METADATA_CHANGE = "MailboxMetadataChange"
    SERVER_METADATA_CHANGE = "ServerMetadataChange"


MESSAGE_EVENTS = frozenset(
    {NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE, NotifyEvent.FLAG_CHANGE}
)
_BY_NAME: Mapping[str, NotifyEvent] = {event.value.upper(): event for event in NotifyEvent}


class NotifyScope(Enum):
    """Which mailboxes a group of events is about. (RFC 5465 section 6)"""

    SELECTED = "SELECTED"
    SELECTED_DELAYED = "SELECTED-DELAYED"
    INBOXES = "INBOXES"
    PERSONAL = "PERSONAL"
    SUBSCRIBED = "SUBSCRIBED"
    SUBTREE = "SUBTREE"
    SUBTREE_ONE = "SUBTREE-ONE"
    """RFC 7377 section 2.2."""
    MAILBOXES = "MAILBOXES"


SELECTED_SCOPES = frozenset({NotifyScope.SELECTED, NotifyScope.SELECTED_DELAYED})
_NAMED_SCOPES = frozenset({NotifyScope.SUBTREE, NotifyScope.SUBTREE_ONE, NotifyScope.MAILBOXES})
_SCOPES: Mapping[str, NotifyScope] = {scope.value: scope for scope in NotifyScope}


@value_class(frozen=True, slots=True)
class NotifyGroup:
    """Events of some mailboxes."""

    scope: NotifyScope
    names: frozenset[str]
    """Of SUBTREE, SUBTREE-ONE and MAILBOXES."""
    events: frozenset[NotifyEvent]
    """Empty: NONE."""
    items: tuple[FetchItem, ...] = ()
    """What to send of each new message of the selected mailbox."""


@value_class(frozen=True, slots=True)
class NotifyCommand:
    """``NOTIFY SET [STATUS] groups``, ``NOTIFY NONE``."""

    groups: tuple[NotifyGroup, ...]
    """Empty: NONE."""
    status: bool = False
    """Send STATUS of the mailboxes at once."""


def parse_notify(scanner: Scanner) -> NotifyCommand:
    """Read what follows the word NOTIFY.

    Raises:
        BadSyntax: BAD; NO [BADEVENT] for an event that is not offered.
    """
    scanner.space()
    if scanner.skip(b"NONE"):
        return NotifyCommand(())
    scanner.expect(b"SET")
    status = scanner.skip(b" STATUS")
    groups: list[NotifyGroup] = []
    scanner.space()
    while True:
        groups.append(_parse_group(scanner))
        if len(groups) > _MAX_GROUPS:
            raise bad("too many groups of events")
        if not scanner.skip(b" "):
            break
    if sum(group.scope in SELECTED_SCOPES for group in groups) > 1:
        raise bad("the selected mailbox stands twice")
    return NotifyCommand(tuple(groups), status)


def _parse_group(scanner: Scanner) -> NotifyGroup:
    scanner.expect(b"(")
    scope = _SCOPES.get(scanner.keyword())
    if scope is None:
        raise bad("unknown choice of mailboxes")
    names: frozenset[str] = frozenset()
    if scope in _NAMED_SCOPES:
        scanner.space()
        names = frozenset(_parse_names(scanner))
    scanner.space()
    events: set[NotifyEvent] = set()
    items: tuple[FetchItem, ...] = ()
    unknown = False
    if not scanner.skip(b"NONE"):
        # Examples of RFC 5465 have a single event without parentheses.
        listed = scanner.skip(b"(")
        while True:
            event = _BY_NAME.get(scanner.keyword())
            unknown = unknown or event is None
            if event is not None:
                events.add(event)
            if event is NotifyEvent.MESSAGE_NEW and scanner.skip(b" ("):
                scanner.position -= 1
                items = parse_fetch_items(scanner)
            if not scanner.skip(b" "):
                break
        if listed:
            scanner.expect(b")")
    scanner.expect(b")")
    if unknown:
        names_of_all = " ".join(event.value for event in NotifyEvent)
        raise BadSyntax(Completion("NO", "unsupported event", f"BADEVENT ({names_of_all})"))
    _check(scope, events, items)
    return NotifyGroup(scope, names, frozenset(events), items)


def _check(scope: NotifyScope, events: set[NotifyEvent], items: tuple[FetchItem, ...]) -> None:
    both = {NotifyEvent.MESSAGE_NEW, NotifyEvent.MESSAGE_EXPUNGE}
    if events & MESSAGE_EVENTS and not both <= events:
        raise bad("MessageNew and MessageExpunge go together, and with FlagChange")
    if scope in SELECTED_SCOPES and events - MESSAGE_EVENTS:
        raise bad("the selected mailbox has only events of messages")
    if scope not in SELECTED_SCOPES and items:
        raise bad("only new messages of the selected mailbox can be fetched")


def _parse_names(scanner: Scanner) -> tuple[str, ...]:
    if not scanner.skip(b"("):
        return (scanner.mailbox(),)
    names = [scanner.mailbox()]
    while scanner.skip(b" "):
        names.append(scanner.mailbox())
        if len(names) > _MAX_NAMES:
            raise bad("too many mailboxes")
    scanner.expect(b")")
    return tuple(names)


NOTIFY_PARSERS: Mapping[str, Callable[[Scanner], NotifyCommand]] = {"NOTIFY": parse_notify}
