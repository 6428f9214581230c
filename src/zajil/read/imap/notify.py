"""NOTIFY: tell a client of changes that it asked for. (RFC 5465)

A watcher follows the topics of the mailboxes and of their names, and compares what the store has
with what it had when it told last: so nothing is lost, and many changes are told as one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from zajil.core.ids import MailboxId
from zajil.core.value_class import value_class
from zajil.imap.append_command import AppendEnd
from zajil.imap.command import (
    Copy,
    Create,
    Delete,
    Event,
    Expunge,
    Fetch,
    Rename,
    StatusItem,
    Subscribe,
)
from zajil.imap.feature import Feature
from zajil.imap.fetch_item import Attribute
from zajil.imap.mailbox_name import SEPARATOR
from zajil.imap.metadata import SetMetadata
from zajil.imap.notify import (
    MESSAGE_EVENTS,
    SELECTED_SCOPES,
    NotifyCommand,
    NotifyEvent,
    NotifyGroup,
    NotifyScope,
)
from zajil.imap.response import Completion, mailbox, untagged
from zajil.imap.sequence_set import SequenceSet
from zajil.read.imap.context import Context
from zajil.read.imap.fetch import fetch
from zajil.read.imap.mailbox_admin import status_lines
from zajil.read.imap.mailbox_names import ListedName, list_line, load_names
from zajil.read.imap.notify_interest import Interest
from zajil.read.imap.select import report
from zajil.store.engine.batch import Topic, mailbox_topic, names_topic
from zajil.store.engine.errors import StoreError
from zajil.store.mail.access import ANYONE
from zajil.store.mail.annotations import SERVER, list_annotations
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.flags import TooManyKeywords
from zajil.store.mail.mailboxes import Mailbox

MAX_WATCHED = 5000
"""Mailboxes that one session may see when it asks for events."""

_OWN_CHANGES = (Expunge, Copy, AppendEnd)
"""After these the selected mailbox is reported whatever was asked for: it is their answer."""
_METADATA = frozenset({NotifyEvent.MAILBOX_METADATA_CHANGE, NotifyEvent.SERVER_METADATA_CHANGE})

Annotations = Mapping[tuple[MailboxId, str], bytes]


@value_class(frozen=True, slots=True)
class _State:
    """What the store has of the names that the account sees."""

    names: Mapping[str, ListedName] = field(default_factory=dict)
    boxes: Mapping[MailboxId, Mailbox] = field(default_factory=dict)
    annotations: Annotations = field(default_factory=dict)


class Watcher:
    """What one session asked for with NOTIFY SET, and what it was told."""

    def __init__(self, context: Context, groups: tuple[NotifyGroup, ...]) -> None:
        self._context = context
        others = tuple(group for group in groups if group.scope not in SELECTED_SCOPES)
        self._interest = Interest(others)
        chosen = [group for group in groups if group.scope in SELECTED_SCOPES]
        self._selected = chosen[0] if chosen else None
        self._state = _State()
        self._counts: dict[MailboxId, int] = {}
        self._topics: dict[Topic, Callable[[], None]] = {}
        self._own: set[str] = set()
        self._wants_annotations = any(map(self._interest.wants, _METADATA))
        self.changed = False
        """Something happened since the client was told."""

    # ---- the selected mailbox -------------------------------------------------------------------

    @property
    def tells_selected(self) -> bool:
        """Whether the client wants to hear of others' changes of the selected mailbox."""
        return self._selected is not None and bool(self._selected.events)

    @property
    def tells_flags(self) -> bool:
        """Whether it wants to hear of flags there."""
        return self._selected is not None and NotifyEvent.FLAG_CHANGE in self._selected.events

    async def report_selected(
        self, event: Event | None, *, expunge: bool, look: bool, idles: bool
    ) -> bool:
        """Report the changes of the selected mailbox; false: it is gone, and BYE was said.

        Args:
            event: what the client has sent; ``None``: nothing, something happened.
            expunge: sequence numbers may change now.
            look: ask the store even if it did not call.
            idles: the client is in IDLE.
        """
        context, group = self._context, self._selected
        view = context.view
        if view is None or not (self.tells_selected or isinstance(event, _OWN_CHANGES)):
            return True
        is_delayed = group is not None and group.scope is NotifyScope.SELECTED_DELAYED
        if event is None and not idles and is_delayed:
            expunge = False
        first_new = view.uid_next
        if not await report(context, expunge=expunge, look=look, flags=self.tells_flags):
            return False
        newest = view.uids[-1] if view.uids else 0
        # Not of messages that the client has just put there itself (RFC 5465 section 5.2).
        is_new = newest >= first_new and not isinstance(event, _OWN_CHANGES)
        if group is not None and group.items and is_new:
            # RFC 7162 section 3.1: MODSEQ is in what is told unasked.
            modseq = (Attribute.MODSEQ,) if view.condstore else ()
            items = tuple(dict.fromkeys((Attribute.UID, *group.items, *modseq)))
            numbers = SequenceSet(((first_new, newest),))
            try:
                await fetch(context, Fetch(numbers=numbers, items=items, uid=True))
            except (NoSuchMailbox, TooManyKeywords):
                view.changed = True  # the next report says what has become of the mailbox
        return True

    async def report(self, event: Event | None, *, expunge: bool, look: bool, idles: bool) -> bool:
        """Tell what was asked for; the arguments are those of ``report_selected``."""
        if not await self.report_selected(event, expunge=expunge, look=look, idles=idles):
            return False
        await self.tell()
        return True

    # ---- other mailboxes ------------------------------------------------------------------------

    async def start(self, *, status: bool) -> Completion | None:
        """Begin to watch; give a refusal, or ``None``.

        Args:
            status: send STATUS of each mailbox with events of messages.
        """
        if not self._interest.groups:
            return None
        account_id = self._context.account.account_id
        # Before the look: what is committed during it must wake us again.
        self._follow({names_topic(account_id), names_topic(ANYONE)})
        await self._read_state()
        if len(self._state.boxes) > MAX_WATCHED:
            return Completion("NO", "there are too many mailboxes", "NOTIFICATIONOVERFLOW")
        self._follow(self._wanted_topics())
        # What changed between the look and the last subscriptions is found by the next one.
        self.changed = True
        send = self._context.engine.untagged
        for box in self._unreadable():
            send(self._no_access_line(box))
        watched = self._watched()
        await self._count(watched)
        if status:
            lines = await status_lines(self._context, watched, self._items())
            for box in watched:
                send(lines[box.mailbox_id])
        return None

    def ignore(self, event: Event) -> None:
        """Do not tell of names that the client itself has changed. (RFC 5465 section 5)"""
        names: tuple[str, ...] = ()
        match event:
            case Create() | Delete() | Subscribe() | SetMetadata():
                names = (event.mailbox,)
            case Rename():
                names = (event.mailbox, event.new_name)
        for name in names:
            self._own |= {name, name.rpartition(SEPARATOR)[0]}

    def close(self) -> None:
        """Hear of nothing any more."""
        self._interest = Interest(())
        self._follow(set())

    async def tell(self) -> None:
        """Send what changed since the last time."""
        if not self.changed:
            return
        self.changed = False
        before, own = self._state, self._own
        try:
            await self._read_state()
        except StoreError:
            self.changed = True
            raise
        self._own = set()
        self._follow(self._wanted_topics())
        for line in self._name_lines(before, own) + self._access_lines(before):
            self._context.engine.untagged(line)
        for line in self._annotation_lines(before, own):
            self._context.engine.untagged(line)
        await self._tell_messages(before)
        await self._context.connection.flush()

    async def _read_state(self) -> None:
        self._state = await self._load()
        # Names and groups may be many: not in the event loop.
        await self._context.work(lambda: self._interest.learn(self._state.names))

    async def _load(self) -> _State:
        names, _ = await load_names(self._context)
        boxes = {one.box.mailbox_id: one.box for one in names if one.box is not None}
        annotations: Annotations = {}
        if self._wants_annotations:
            account_id, ids = self._context.account.account_id, [SERVER, *boxes]
            annotations = await self._context.read(
                lambda conn: list_annotations(conn, account_id, ids)
            )
        return _State({one.name: one for one in names}, boxes, annotations)

    def _follow(self, wanted: set[Topic]) -> None:
        for topic in self._topics.keys() - wanted:
            self._topics.pop(topic)()
        for topic in wanted - self._topics.keys():
            self._topics[topic] = self._context.store.changes.subscribe(topic, self._call)

    def _call(self) -> None:
        self.changed = True
        self._context.connection.wake()

    def _wanted_topics(self) -> set[Topic]:
        names = {names_topic(self._context.account.account_id), names_topic(ANYONE)}
        return names | {mailbox_topic(box.mailbox_id) for box in self._watched(selected=True)}

    def _watched(self, *, selected: bool = False) -> list[Mailbox]:
        """Return the mailboxes whose messages are of interest; the selected one on demand."""
        view = self._context.view
        left_out = None if view is None or selected else view.mailbox.mailbox_id
        return [
            box
            for box in self._state.boxes.values()
            if box.mailbox_id != left_out
            and "r" in box.rights
            and self._interest.events(box.name) & MESSAGE_EVENTS
        ]

    def _items(self) -> tuple[StatusItem, ...]:
        items = [StatusItem.MESSAGES, StatusItem.UIDNEXT, StatusItem.UIDVALIDITY, StatusItem.UNSEEN]
        # Who asks for changes of flags needs it to find them (RFC 5465 section 3.1).
        is_enabled = Feature.CONDSTORE in self._context.engine.enabled
        if is_enabled or self._interest.wants(NotifyEvent.FLAG_CHANGE):
            items.append(StatusItem.HIGHESTMODSEQ)
        return tuple(items)

    async def _tell_messages(self, before: _State) -> None:
        old = before.boxes
        changed = [
            box
            for box in self._watched()
            if box.mailbox_id in old and box.modseq != old[box.mailbox_id].modseq
        ]
        told = []
        counts = dict(self._counts)
        await self._count(changed)
        for box in changed:
            moved = box.uid_next != old[box.mailbox_id].uid_next or (
                counts.get(box.mailbox_id) != self._counts[box.mailbox_id]
            )
            if moved or NotifyEvent.FLAG_CHANGE in self._interest.events(box.name):
                told.append(box)
        lines = await status_lines(self._context, told, self._items()) if told else {}
        for box in told:
            self._context.engine.untagged(lines[box.mailbox_id])

    async def _count(self, boxes: list[Mailbox]) -> None:
        ids = [box.mailbox_id for box in boxes]
        tables = self._context.store.tables
        found = await self._context.read(lambda conn: tables.count(conn, ids)) if ids else {}
        self._counts |= {one: counts.messages for one, counts in found.items()}

    def _name_lines(self, before: _State, own: set[str]) -> list[bytes]:
        """Write LIST responses for names and subscriptions that changed. (RFC 5465 section 5.4)"""
        old, new = before.boxes, self._state.boxes
        renamed = {
            old[one].name: box.name
            for one, box in new.items()
            if one in old and old[one].name != box.name
        }
        affected = {old[one].name for one in old.keys() - new.keys()}
        affected |= {new[one].name for one in new.keys() - old.keys()}
        affected |= {name.rpartition(SEPARATOR)[0] for name in affected} - {""}
        lines = [
            self._line(name)
            for name in sorted(affected - own - set(renamed.values()))
            if NotifyEvent.MAILBOX_NAME in self._interest.events(name)
        ]
        for source, target in sorted(renamed.items()):
            above = source.rpartition(SEPARATOR)[0], target.rpartition(SEPARATOR)[0]
            wanted = NotifyEvent.MAILBOX_NAME in self._interest.events(
                target
            ) | self._interest.events(source)
            # What lies below a mailbox is renamed with it.
            if wanted and target not in own and renamed.get(above[0]) != above[1]:
                oldname = b'("OLDNAME" (' + self._name(source) + b"))\r\n"
                lines.append(self._line(target).removesuffix(b"\r\n") + b" " + oldname)
        was = {name for name, one in before.names.items() if one.subscribed}
        now = {name for name, one in self._state.names.items() if one.subscribed}
        lines += [
            self._line(name)
            for name in sorted((was ^ now) - own)
            if NotifyEvent.SUBSCRIPTION_CHANGE in self._interest.events(name)
            or self._interest.wants_unsubscribed
        ]
        return lines

    def _unreadable(self) -> list[Mailbox]:
        """Return the mailboxes of interest whose messages the account may not read."""
        boxes = self._state.boxes.values()
        return [box for box in boxes if "r" not in box.rights and self._interest.events(box.name)]

    def _access_lines(self, before: _State) -> list[bytes]:
        """Write LIST where the right to read was lost or gained. (RFC 5465 section 5.9)"""
        could = {one for one, box in before.boxes.items() if "r" in box.rights}
        lost = self._unreadable()
        gained = [
            box
            for one, box in self._state.boxes.items()
            if one in before.boxes and one not in could and "r" in box.rights
        ]
        lines = [self._no_access_line(box) for box in lost if box.mailbox_id in could]
        return lines + [self._line(box.name) for box in gained if self._interest.events(box.name)]

    def _no_access_line(self, box: Mailbox) -> bytes:
        return untagged(b"LIST", b"(\\NoAccess)", b'"/"', self._name(box.name))

    def _annotation_lines(self, before: _State, own: set[str]) -> list[bytes]:
        """Write METADATA responses for annotations that changed. (RFC 5465 section 5.6)"""
        old, new = before.annotations, self._state.annotations
        changed: dict[MailboxId, list[str]] = {}
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                changed.setdefault(key[0], []).append(key[1])
        lines = []
        for mailbox_id, entries in changed.items():
            box = self._state.boxes.get(mailbox_id)
            if mailbox_id == SERVER:
                wanted = self._interest.wants(NotifyEvent.SERVER_METADATA_CHANGE)
                name = b'""'
            else:
                wanted = (
                    box is not None
                    and box.name not in own
                    and (NotifyEvent.MAILBOX_METADATA_CHANGE in self._interest.events(box.name))
                )
                name = b"" if box is None else self._name(box.name)
            if wanted:
                lines.append(untagged(b"METADATA", name, *[one.encode() for one in entries]))
        return lines

    def _line(self, name: str) -> bytes:
        listed = self._state.names.get(name) or ListedName(name)
        return list_line(listed, utf8=self._context.engine.utf8)

    def _name(self, name: str) -> bytes:
        return mailbox(name, utf8=self._context.engine.utf8)


async def notify(context: Context, command: NotifyCommand) -> Completion:
    """Replace what the client is told of. (RFC 5465 section 3)"""
    watcher = Watcher(context, command.groups)
    refusal = await watcher.start(status=command.status)
    if refusal is not None:
        watcher.close()
        return refusal
    if context.watcher is not None:
        context.watcher.close()
    context.watcher = watcher
    return Completion("OK", "changes are told")
