"""LIST, LSUB, NAMESPACE. (RFC 3501 section 6.3.8, RFC 5258, RFC 6154, RFC 5819, RFC 2342)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zajil.imap.command import List, Lsub
from zajil.imap.mailbox_name import SEPARATOR, ListPattern
from zajil.imap.response import Completion, mailbox, parenthesized, untagged
from zajil.read.imap.context import Context
from zajil.read.imap.mailbox_admin import status_line
from zajil.store.mailboxes import Mailbox, count_messages, list_mailboxes

_ROLES: Mapping[str, bytes] = {
    "drafts": b"\\Drafts",
    "sent": b"\\Sent",
    "junk": b"\\Junk",
    "trash": b"\\Trash",
    "archive": b"\\Archive",
}
"""Attributes of RFC 6154 section 2; INBOX needs none."""

_SEPARATOR = b'"' + SEPARATOR.encode("ascii") + b'"'


@dataclass(frozen=True, slots=True)
class _Name:
    """One name of the hierarchy, with a mailbox or only above some."""

    name: str
    box: Mailbox | None
    has_children: bool
    subscribed_below: bool


async def list_(context: Context, command: List) -> Completion:
    """Send the mailboxes that match, each with its attributes."""
    if command.patterns == (b"",):
        # RFC 3501 section 6.3.8: the separator and the root are asked for.
        context.engine.untagged(untagged(b"LIST (\\Noselect)", _SEPARATOR, b'""'))
        return Completion("OK", "list is sent")
    account_id = context.account.account_id
    boxes = await context.read(lambda conn: list_mailboxes(conn, account_id))
    names = _matching(boxes, command.reference, command.patterns)
    shown = [name for name in names if _is_selected(name, command.select)]
    counts = {}
    if command.status:
        ids = [name.box.mailbox_id for name in shown if name.box is not None]
        counts = await context.read(lambda conn: count_messages(conn, ids))
    for name in shown:
        context.engine.untagged(_list_line(name, command))
        if command.status and name.box is not None:
            line = status_line(name.box, counts[name.box.mailbox_id], command.status)
            context.engine.untagged(line)
    return Completion("OK", "list is sent")


async def lsub(context: Context, command: Lsub) -> Completion:
    """Send the subscribed mailboxes that match. (RFC 3501 section 6.3.9)"""
    account_id = context.account.account_id
    boxes = await context.read(lambda conn: list_mailboxes(conn, account_id))
    for name in _matching(boxes, command.reference, (command.pattern,)):
        subscribed = name.box is not None and name.box.subscribed
        # With "%", a name whose subscribed ones lie below it is sent, marked.
        below = command.pattern.endswith(b"%") and name.subscribed_below
        if subscribed or below:
            attributes = b"()" if subscribed else b"(\\Noselect)"
            context.engine.untagged(untagged(b"LSUB", attributes, _SEPARATOR, mailbox(name.name)))
    return Completion("OK", "list is sent")


def namespace(context: Context) -> Completion:
    """Say that all mailboxes are the account's own. (RFC 2342 section 5)"""
    context.engine.untagged(untagged(b'NAMESPACE (("" "/")) NIL NIL'))
    return Completion("OK", "namespaces are sent")


def _matching(boxes: Iterable[Mailbox], reference: bytes, patterns: Iterable[bytes]) -> list[_Name]:
    # The reference is put in front, as RFC 3501 section 6.3.8 describes for most servers.
    wanted = [ListPattern(reference + pattern) for pattern in patterns]
    return [
        name for name in _hierarchy(boxes) if any(pattern.matches(name.name) for pattern in wanted)
    ]


def _hierarchy(boxes: Iterable[Mailbox]) -> list[_Name]:
    """Give every name, also those without a mailbox above one that has it."""
    by_name: dict[str, Mailbox | None] = {}
    above: set[str] = set()
    above_subscribed: set[str] = set()
    for box in boxes:
        levels = box.name.split(SEPARATOR)
        for depth in range(1, len(levels)):
            parent = SEPARATOR.join(levels[:depth])
            by_name.setdefault(parent, None)
            above.add(parent)
            if box.subscribed:
                above_subscribed.add(parent)
        by_name[box.name] = box
    return [
        _Name(name, box, name in above, name in above_subscribed) for name, box in by_name.items()
    ]


def _is_selected(name: _Name, select: frozenset[str]) -> bool:
    box = name.box
    if "SPECIAL-USE" in select and (box is None or (box.role or "") not in _ROLES):
        return False
    if "SUBSCRIBED" in select:
        below = "RECURSIVEMATCH" in select and name.subscribed_below
        return (box is not None and box.subscribed) or below
    return True


def _list_line(name: _Name, command: List) -> bytes:
    box = name.box
    attributes: list[bytes] = []
    if box is None:
        # RFC 5258 section 3: \NonExistent implies \Noselect; old clients know only the latter.
        attributes += [b"\\NonExistent", b"\\Noselect"]
    attributes.append(b"\\HasChildren" if name.has_children else b"\\HasNoChildren")
    wants_subscribed = "SUBSCRIBED" in command.select or "SUBSCRIBED" in command.returns
    if box is not None and box.subscribed and wants_subscribed:
        attributes.append(b"\\Subscribed")
    if box is not None and box.role is not None and box.role in _ROLES:
        attributes.append(_ROLES[box.role])
    words = [b"LIST", parenthesized(attributes), _SEPARATOR, mailbox(name.name)]
    if "RECURSIVEMATCH" in command.select and name.subscribed_below:
        words.append(b'("CHILDINFO" ("SUBSCRIBED"))')
    return untagged(*words)
