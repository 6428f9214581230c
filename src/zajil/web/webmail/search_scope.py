"""Which mailboxes a query is about: ``in:sent``, ``-in:Work``, or all but Junk and Trash.

Mailboxes of others that the account may read are searched like its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from zajil.message.normal_form import search_form
from zajil.read.search_query import Condition, ConditionKind, SearchQuery
from zajil.web.language import Language
from zajil.web.webmail.mailboxes import Box, Boxes

_LEFT_OUT = ("junk", "trash")
_EVERYWHERE = frozenset(map(search_form, ("anywhere", "all", "everywhere", "الكل", "كل")))
_ROLES = {
    "inbox": "Inbox",
    "drafts": "Drafts",
    "sent": "Sent",
    "archive": "Archive",
    "junk": "Junk",
    "trash": "Trash",
}
_MORE_NAMES = {"spam": "junk", "bin": "trash"}


@dataclass(frozen=True, slots=True)
class Searched:
    """What is searched."""

    query: SearchQuery
    """``in:`` of a mailbox that does not exist is among its faults."""
    boxes: tuple[Box, ...]
    is_chosen: bool
    """The query names mailboxes; else Junk and Trash are left out."""
    is_everywhere: bool
    """All mailboxes, Junk and Trash too."""


def find_scope(query: SearchQuery, boxes: Boxes, language: Language) -> Searched:
    """Return which of the mailboxes a query is about.

    Args:
        query: as it was read.
        boxes: of the account.
        language: its names of mailboxes count as well as the English ones.
    """
    names = _names(boxes, language)
    wanted: list[Box] = []
    unwanted: list[Box] = []
    faults: list[Condition] = []
    is_everywhere = False
    for one in query.folders:
        name = search_form(one.value)
        found = names.get(name)
        if found is not None:
            (unwanted if one.negated else wanted).append(found)
        elif name in _EVERYWHERE and not one.negated:
            is_everywhere = True
        else:
            faults.append(one)
    if faults:
        query = _without(query, faults)
    chosen = wanted
    if is_everywhere:
        chosen = list(boxes.every)
    elif not wanted:
        chosen = [box for box in boxes.every if box.mailbox.role not in _LEFT_OUT]
    listed = tuple(box for box in boxes.every if box in chosen and box not in unwanted)
    return Searched(query, listed, bool(wanted or unwanted), is_everywhere)


def folder_source(box: Box) -> str:
    """Return the condition that means this mailbox, as it is typed."""
    if box.mailbox.is_shared:
        return Condition(ConditionKind.IN, box.shared_name).source
    return Condition(ConditionKind.IN, box.role or box.mailbox.name).source


def _names(boxes: Boxes, language: Language) -> dict[str, Box]:
    """Return the mailboxes by every name that means one of them."""
    names: dict[str, Box] = {}
    for box in boxes.all:
        title = _ROLES.get(box.role or "")
        if title is not None:
            for name in (title, language.gettext(title)):
                names[search_form(name)] = box
        names.setdefault(search_form(box.mailbox.name), box)
    for box in boxes.shared:
        for name in (box.shared_name, box.mailbox.name):
            names.setdefault(search_form(name), box)
    for name, role in _MORE_NAMES.items():
        if (box_ := boxes.with_role(role)) is not None:
            names.setdefault(name, box_)
    return names


def _without(query: SearchQuery, faults: list[Condition]) -> SearchQuery:
    groups = [tuple(one for one in some if one not in faults) for some in query.groups]
    return replace(
        query,
        groups=tuple(some for some in groups if some),
        faults=(*query.faults, *faults),
    )
