"""Which events of which mailbox a client asked for with NOTIFY. (RFC 5465 section 6)"""

from __future__ import annotations

from collections.abc import Mapping

from zajil.imap.mailbox_name import SEPARATOR, is_shared_name
from zajil.imap.notify import NotifyEvent, NotifyGroup, NotifyScope
from zajil.read.imap.mailbox_names import ListedName


class Interest:
    """The groups of events of one session, and what they mean for the names that there are."""

    def __init__(self, groups: tuple[NotifyGroup, ...]) -> None:
        self.groups = groups
        self._names: Mapping[str, ListedName] = {}
        self._known: dict[str, frozenset[NotifyEvent]] = {}

    def learn(self, names: Mapping[str, ListedName]) -> None:
        """Look at all names; they and the groups may be many: not for the event loop."""
        self._names = names
        self._known = {name: self._choose(name) for name in names}

    def events(self, name: str) -> frozenset[NotifyEvent]:
        """Return the events that the client wants of a mailbox, also of one that is gone."""
        known = self._known.get(name)
        return self._choose(name) if known is None else known

    def wants(self, event: NotifyEvent) -> bool:
        """Whether the client wants an event of any mailbox."""
        return any(event in group.events for group in self.groups)

    @property
    def wants_unsubscribed(self) -> bool:
        """Whether it wants to hear that it is subscribed to a mailbox no more."""
        return any(
            group.scope is NotifyScope.SUBSCRIBED
            and NotifyEvent.SUBSCRIPTION_CHANGE in group.events
            for group in self.groups
        )

    def _choose(self, name: str) -> frozenset[NotifyEvent]:
        listed = self._names.get(name)
        subscribed = listed is not None and listed.subscribed
        parts = name.split(SEPARATOR)
        above = [SEPARATOR.join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        chosen = frozenset[NotifyEvent]()
        for group in self.groups:
            if _covers(group, above, subscribed):
                if not group.events:  # NONE: what stands behind it is not looked at
                    break
                chosen |= group.events
        return chosen


def _covers(group: NotifyGroup, above: list[str], subscribed: bool) -> bool:
    """Return whether a group is about a mailbox, whose name is the last of ``above``."""
    match group.scope:
        case NotifyScope.SUBSCRIBED:
            return subscribed
        case NotifyScope.SUBTREE:
            return not group.names.isdisjoint(above)
        case NotifyScope.SUBTREE_ONE:
            return not group.names.isdisjoint(above[-2:])
        case NotifyScope.MAILBOXES:
            return above[-1] in group.names
        # Mail is filed into any mailbox, so that "inboxes" are all (RFC 5465 section 6.3).
        case _:
            return not is_shared_name(above[-1])
