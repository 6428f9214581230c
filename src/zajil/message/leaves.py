"""The leaves of a message: those read as text, and files, also of enclosed messages. Pure.

Whoever opens an enclosed message sees its files as those of the mail itself; its texts are somebody
else's words and are not judged.

Laws:
- Linear: parts times their depth, which ``message.parse`` bounds.
- A text part is shown unless it is an attachment, with or without a name (RFC 2183 section 2.1,
  RFC 8621 section 4.1.4).
- A multipart without parts is text, as BODYSTRUCTURE says (``imap.body_structure``).
- Bounded: at most ``MAX_DECODED`` enclosed messages that have a transfer encoding, or that only the
  name of their part declares, are parsed, each at most ``MAX_DEPTH`` deep in the last, and together
  ``MAX_SIZE`` bytes. What stands in the message as it is was parsed with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from zajil.core.value_class import value_class
from zajil.message.parse import parse_message
from zajil.message.part import ENCLOSING, Part

MAX_DECODED = 50
MAX_DEPTH = 5
MAX_SIZE = 8_388_608
"""Bytes, decoded: as many as of an archive."""
MAX_FILES = 1000
"""Far more than are looked into."""

TEXT_TYPES = frozenset({"text/plain", "text/html"})
"""Types that are read as text."""

Branch = tuple[int, int]
"""A multipart/alternative, counted from 0, and which of its parts a leaf stands in."""


@value_class(frozen=True, slots=True)
class Leaf:
    """A part without parts. An enclosed message is one leaf."""

    part: Part
    number: str
    """As ``Part.walk`` gives it."""
    branches: tuple[Branch, ...]
    """All alternatives around it, outermost first."""
    is_shown: bool
    """It is read as text."""

    @property
    def is_file(self) -> bool:
        """It is offered as a file; a shown part with a name is both."""
        return not self.is_shown or (self.part.filename is not None and not self.branches)


def find_leaves(root: Part) -> Iterator[Leaf]:
    """Return the leaves of a message in order."""
    alternatives = 0
    stack: list[tuple[Part, str, tuple[Branch, ...]]] = [
        (root, "" if root.is_multipart else "1", ())
    ]
    while stack:
        part, number, branches = stack.pop()
        if not part.is_multipart:
            yield Leaf(part, number, branches, is_shown(part))
            continue
        prefix = f"{number}." if number else ""
        is_choice = part.type == "multipart/alternative"
        inside = [
            (
                child,
                f"{prefix}{place}",
                (*branches, (alternatives, place)) if is_choice else branches,
            )
            for place, child in enumerate(part.children, 1)
        ]
        alternatives += is_choice
        stack.extend(reversed(inside))


def is_shown(part: Part) -> bool:
    """Whether a leaf is read as text."""
    if part.type not in TEXT_TYPES and not is_multipart_without_parts(part):
        return False
    return part.disposition is None or part.disposition.value != "attachment"


def is_multipart_without_parts(part: Part) -> bool:
    """Whether it says that it has parts, and has none: no boundary, or one that never comes."""
    return part.type.startswith("multipart/") and not part.children


def choose(leaves: Sequence[Leaf], preferred: str) -> list[Leaf]:
    """Leave out what another part of an alternative says in the type that a reader prefers.

    Each multipart/alternative decides for itself: one that has nothing of the preferred type is
    read as what it has.

    Args:
        leaves: shown ones, in order.
        preferred: of ``TEXT_TYPES``.
    """
    offers: dict[int, set[int]] = {}
    for leaf in leaves:
        if _reads_as(leaf) == preferred:
            for alternative, place in leaf.branches:
                offers.setdefault(alternative, set()).add(place)
    return [
        leaf
        for leaf in leaves
        if _reads_as(leaf) == preferred
        or not any(_is_elsewhere(offers.get(one, ()), place) for one, place in leaf.branches)
    ]


def _reads_as(leaf: Leaf) -> str:
    return "text/html" if leaf.part.type == "text/html" else "text/plain"


def _is_elsewhere(places: Collection[int], place: int) -> bool:
    return len(places) > (place in places)


# ---- files, also in enclosed messages -----------------------------------------------------------


@value_class(frozen=True, slots=True)
class File:
    """A part that a reader opens as a file."""

    part: Part
    data: bytes | None = None
    """The bytes that the offsets of the part refer to: a decoded message; ``None``: the mail."""
    number: str = ""
    """As ``Leaf.number``; ``""``: it is in an enclosed message."""


@dataclass(slots=True)
class Files:
    """What was found."""

    files: list[File] = field(default_factory=list)
    """In order; an enclosed message stands before its own."""
    are_all: bool = True
    """There are no more of them."""


def find_files(leaves: Iterable[Leaf], read: Callable[[File, int], bytes]) -> Files:
    """Find the files of a message and of the messages in it.

    Args:
        leaves: of the message itself.
        read: returns the decoded content of a file, up to a number of bytes.
    """
    found = Files()
    count, room = MAX_DECODED, MAX_SIZE
    stack: list[tuple[Leaf, bytes | None, int, bool]] = [(leaf, None, 0, True) for leaf in leaves]
    stack.reverse()
    while stack:
        leaf, data, depth, is_own = stack.pop()
        part = leaf.part
        if leaf.is_file or part.filename is not None:
            if len(found.files) >= MAX_FILES:
                found.are_all = False
                break
            found.files.append(File(part, data, leaf.number if is_own else ""))
        if part.is_message:
            inner = find_leaves(part.children[0])
        elif not _is_message(part):
            continue
        elif not count or room <= 0 or depth >= MAX_DEPTH:
            found.are_all = False
            continue
        else:
            data = read(File(part, data), room)
            count, room, depth = count - 1, room - len(data), depth + 1
            inner = find_leaves(parse_message(data))
        stack.extend(reversed([(one, data, depth, False) for one in inner]))
    return found


def _is_message(part: Part) -> bool:
    """Whether a leaf is a message to the program that opens it."""
    if part.type in ENCLOSING or part.type == "message/news":
        return True
    return (part.filename or "").rstrip(". ").lower().endswith(".eml")
