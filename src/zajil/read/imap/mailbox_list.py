"""LIST, LSUB, NAMESPACE. (RFC 3501 section 6.3.8, RFC 5258, RFC 6154, RFC 5819, RFC 2342)"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from zajil.imap.command import List, Lsub, StatusItem
from zajil.imap.mailbox_name import ListPattern
from zajil.imap.response import Completion, mailbox, untagged
from zajil.read.imap.acl import my_rights_line
from zajil.read.imap.condstore import enable_condstore
from zajil.read.imap.context import Context
from zajil.read.imap.mailbox_admin import status_lines
from zajil.read.imap.mailbox_names import (
    QUOTED_SEPARATOR,
    ListedName,
    list_line,
    load_names,
    names_above,
)
from zajil.read.imap.metadata import metadata_lines

_AT_ONCE = 200
"""Names that are matched, or counted, in one turn of a reader thread."""


async def list_(context: Context, command: List) -> Completion:
    """Send the mailboxes that match, each with its attributes."""
    if command.patterns == (b"",) and not command.extended:
        # RFC 3501 section 6.3.8: the separator and the root are asked for.
        context.engine.untagged(untagged(b"LIST (\\Noselect)", QUOTED_SEPARATOR, b'""'))
        return Completion("OK", "list is sent")
    if StatusItem.HIGHESTMODSEQ in command.status:
        enable_condstore(context)
    names, matched = await _find(context, command.reference, command.patterns)
    below, hidden = frozenset[str](), frozenset[str]()
    if "RECURSIVEMATCH" in command.select:
        below, hidden = await context.work(lambda: _parents(names, matched, command.select))
    shown = [name for name in matched if _meets(name, command.select) or name.name in hidden]
    options = [one for one in ("SUBSCRIBED", "SPECIAL-USE") if one in command.select]
    tells_subscribed = "SUBSCRIBED" in command.select | command.returns
    for start in range(0, len(shown), _AT_ONCE):
        some = shown[start : start + _AT_ONCE]
        lines, annotations = {}, {}
        if command.entries:
            listed = [name.box for name in some if name.box]
            annotations = await metadata_lines(context, listed, command.entries)
        if command.status:
            # RFC 5819 section 2: no STATUS of what cannot be read, nor of what is shown only for
            # what lies below it.
            boxes = [
                name.box
                for name in some
                if name.box and "r" in name.box.rights and _meets(name, command.select)
            ]
            lines = await status_lines(context, boxes, command.status)
        for name in some:
            line = list_line(
                name,
                utf8=context.engine.utf8,
                knows_nonexistent=command.extended,
                tells_subscribed=tells_subscribed,
                child_info=options if name.name in below else (),
            )
            context.engine.untagged(line)
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
    _, matched = await _find(context, command.reference, (command.pattern,))
    for name in matched:
        # With "%", a name whose subscribed ones lie below it is sent, marked.
        below = command.pattern.endswith(b"%") and name.subscribed_below
        if name.subscribed or below:
            attributes = b"()" if name.subscribed else b"(\\Noselect)"
            wire = mailbox(name.name, utf8=context.engine.utf8)
            context.engine.untagged(untagged(b"LSUB", attributes, QUOTED_SEPARATOR, wire))
    return Completion("OK", "list is sent")


def namespace(context: Context) -> Completion:
    """Say where the account's own mailboxes are, and where those of others. (RFC 2342 section 5)"""
    context.engine.untagged(untagged(b'NAMESPACE (("" "/")) (("Shared/" "/")) NIL'))
    return Completion("OK", "namespaces are sent")


async def _find(
    context: Context, reference: bytes, patterns: Iterable[bytes]
) -> tuple[list[ListedName], list[ListedName]]:
    """Return all names, and those that match.

    It takes many short turns: names and patterns may be many.
    """
    names, _ = await load_names(context)
    # The reference is put in front, as RFC 3501 section 6.3.8 describes for most servers.
    utf8 = context.engine.utf8
    wanted = [ListPattern(reference + pattern, utf8=utf8) for pattern in patterns]
    found: list[ListedName] = []
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        found += await context.work(partial(_matching, some, wanted))
        await context.connection.flush()
    return names, found


def _matching(names: Iterable[ListedName], patterns: Iterable[ListPattern]) -> list[ListedName]:
    return [name for name in names if any(pattern.matches(name.name) for pattern in patterns)]


def _meets(name: ListedName, select: frozenset[str]) -> bool:
    """Return whether a name is one of those that the selection options name."""
    if "SPECIAL-USE" in select and not name.use:
        return False
    return name.subscribed if "SUBSCRIBED" in select else name.is_there


def _parents(
    names: Sequence[ListedName], matched: Sequence[ListedName], select: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return names with others below them that meet the options, for RECURSIVEMATCH.

    Returns:
        All of them, and those with such a name that does not match itself: where all that lies
        below is shown itself, its parent is redundant (RFC 5258 section 3.5).
    """
    shown = {name.name for name in matched}
    meeting = [name.name for name in names if _meets(name, select)]
    below = {parent for name in meeting for parent in names_above(name)}
    hidden = {parent for name in meeting if name not in shown for parent in names_above(name)}
    return frozenset(below), frozenset(hidden)
