"""LIST, LSUB, NAMESPACE. (RFC 3501 section 6.3.8, RFC 5258, RFC 6154, RFC 5819, RFC 2342)"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from zajil.imap.command import List, Lsub
from zajil.imap.mailbox_name import SEPARATOR, ListPattern
from zajil.imap.response import Completion, mailbox, parenthesized, untagged
from zajil.read.imap.acl import my_rights_line
from zajil.read.imap.context import Context
from zajil.read.imap.mailbox_admin import ROLES, status_lines
from zajil.read.imap.metadata import metadata_lines
from zajil.store.mail.mailboxes import INBOX, Mailbox, list_mailboxes, list_shared
from zajil.store.mail.subscriptions import list_subscriptions

_SEPARATOR = b'"' + SEPARATOR.encode("ascii") + b'"'


_AT_ONCE = 200
"""Names that are matched, or counted, in one turn of a reader thread."""


@dataclass(frozen=True, slots=True)
class ListedName:
    """One name of the hierarchy."""

    name: str
    box: Mailbox | None
    """``None``: no mailbox has the name; some lie below it, or the account is subscribed to it."""
    has_children: bool
    """Mailboxes lie below it."""
    subscribed: bool
    subscribed_below: bool

    @property
    def is_there(self) -> bool:
        """A mailbox has this name, or lies below it; else there is no more than a subscription."""
        return self.box is not None or self.has_children


async def list_(context: Context, command: List) -> Completion:
    """Send the mailboxes that match, each with its attributes."""
    if command.patterns == (b"",) and not command.extended:
        # RFC 3501 section 6.3.8: the separator and the root are asked for.
        context.engine.untagged(untagged(b"LIST (\\Noselect)", _SEPARATOR, b'""'))
        return Completion("OK", "list is sent")
    names, subscribed = await _find(context, command.reference, command.patterns)
    # RFC 5258 section 3.5: a name that is shown only for what lies below it is redundant where
    # all of that is shown itself.
    matched = {name.name for name in names}
    hidden = {one for name in subscribed - matched for one in _names_above(name)}
    shown = [name for name in names if _is_selected(name, command.select, hidden)]
    for start in range(0, len(shown), _AT_ONCE):
        some = shown[start : start + _AT_ONCE]
        lines, annotations = {}, {}
        if command.entries:
            listed = [name.box for name in some if name.box]
            annotations = await metadata_lines(context, listed, command.entries)
        if command.status:
            # RFC 5819 section 2: no STATUS of what cannot be read.
            boxes = [name.box for name in some if name.box and "r" in name.box.rights]
            lines = await status_lines(context, boxes, command.status)
        for name in some:
            context.engine.untagged(list_line(name, command, utf8=context.engine.utf8))
            if name.box is None:
                continue
            if "MYRIGHTS" in command.returns:  # RFC 8440
                context.engine.untagged(my_rights_line(context, name.box))
            if name.box.mailbox_id in annotations:
                context.engine.untagged(annotations[name.box.mailbox_id])
            if name.box.mailbox_id in lines:
                context.engine.untagged(lines[name.box.mailbox_id])
        await context.connection.flush()
    return Completion("OK", "list is sent")


async def lsub(context: Context, command: Lsub) -> Completion:
    """Send the names that match and are subscribed to. (RFC 3501 section 6.3.9)"""
    names, _ = await _find(context, command.reference, (command.pattern,))
    for name in names:
        # With "%", a name whose subscribed ones lie below it is sent, marked.
        below = command.pattern.endswith(b"%") and name.subscribed_below
        if name.subscribed or below:
            attributes = b"()" if name.subscribed else b"(\\Noselect)"
            wire = mailbox(name.name, utf8=context.engine.utf8)
            context.engine.untagged(untagged(b"LSUB", attributes, _SEPARATOR, wire))
    return Completion("OK", "list is sent")


def namespace(context: Context) -> Completion:
    """Say where the account's own mailboxes are, and where those of others. (RFC 2342 section 5)"""
    context.engine.untagged(untagged(b'NAMESPACE (("" "/")) (("Shared/" "/")) NIL'))
    return Completion("OK", "namespaces are sent")


async def _find(
    context: Context, reference: bytes, patterns: Iterable[bytes]
) -> tuple[list[ListedName], frozenset[str]]:
    """Return the names that match, and all that are subscribed to.

    It takes many short turns: names and patterns may be many.
    """
    names, subscribed = await load_names(context)
    # The reference is put in front, as RFC 3501 section 6.3.8 describes for most servers.
    utf8 = context.engine.utf8
    wanted = [ListPattern(reference + pattern, utf8=utf8) for pattern in patterns]
    found: list[ListedName] = []
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        found += await context.work(partial(_matching, some, wanted))
        await context.connection.flush()
    return found, subscribed


def _matching(names: Iterable[ListedName], patterns: Iterable[ListPattern]) -> list[ListedName]:
    return [name for name in names if any(pattern.matches(name.name) for pattern in patterns)]


async def load_names(context: Context) -> tuple[list[ListedName], frozenset[str]]:
    """Return every name, also those that no mailbox has, and the subscriptions.

    INBOX is first, the others are sorted.
    """
    account_id = context.account.account_id
    found, subscribed = await context.read(
        lambda conn: (
            [*list_mailboxes(conn, account_id), *list_shared(conn, account_id)],
            list_subscriptions(conn, account_id),
        )
    )
    boxes = {box.name: box for box in found}
    above = {name for box in boxes for name in _names_above(box)}
    above_subscribed = {parent for name in subscribed for parent in _names_above(name)}
    names = [
        ListedName(
            name, boxes.get(name), name in above, name in subscribed, name in above_subscribed
        )
        for name in sorted(
            {*boxes, *subscribed, *above, *above_subscribed},
            key=lambda name: (name != INBOX, name),
        )
    ]
    return names, subscribed


def _names_above(name: str) -> Iterator[str]:
    end = name.find(SEPARATOR)
    while end >= 0:
        yield name[:end]
        end = name.find(SEPARATOR, end + 1)


def _is_selected(name: ListedName, select: frozenset[str], hidden: set[str]) -> bool:
    box = name.box
    if "SPECIAL-USE" in select and not _use_of(box):
        return False
    if "SUBSCRIBED" in select:
        return name.subscribed or ("RECURSIVEMATCH" in select and name.name in hidden)
    return name.is_there


def _use_of(box: Mailbox | None) -> bytes:
    """Return the attribute of RFC 6154 section 2; empty: none, as all mailboxes of others."""
    if box is None or box.is_shared:
        return b""
    return ROLES.get(box.role or "", "").encode("ascii")


def list_line(name: ListedName, command: List, *, utf8: bool) -> bytes:
    """Write the LIST response of a name, with what the command asked for."""
    box = name.box
    attributes: list[bytes] = []
    if box is None:
        # RFC 5258 section 3: \NonExistent implies \Noselect; old clients know only the latter.
        attributes += [b"\\NonExistent", b"\\Noselect"]
    attributes.append(b"\\HasChildren" if name.has_children else b"\\HasNoChildren")
    wants_subscribed = "SUBSCRIBED" in command.select or "SUBSCRIBED" in command.returns
    if name.subscribed and wants_subscribed:
        attributes.append(b"\\Subscribed")
    if use := _use_of(box):
        attributes.append(use)
    words = [b"LIST", parenthesized(attributes), _SEPARATOR, mailbox(name.name, utf8=utf8)]
    if "RECURSIVEMATCH" in command.select and name.subscribed_below:
        words.append(b'("CHILDINFO" ("SUBSCRIBED"))')
    return untagged(*words)
