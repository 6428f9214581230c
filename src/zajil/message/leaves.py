"""The parts of a message that hold something: which are read as text, and which are files.

One rule for whoever shows a message and whoever judges it, so that what is judged is what is shown
(attacks I). Pure.

Laws:
- Linear: parts times their depth, which ``message.parse`` bounds.
- A text part is shown unless it is an attachment, with or without a name (RFC 2183 section 2.1,
  RFC 8621 section 4.1.4).
- A multipart without parts is text, as BODYSTRUCTURE says (``imap.body_structure``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from zajil.message.part import Part

TEXT_TYPES = frozenset({"text/plain", "text/html"})
"""Types that are read as text."""

Branch = tuple[int, int]
"""A multipart/alternative, counted from 0, and which of its parts a leaf stands in."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part without parts. An enclosed message is one leaf: somebody else wrote it."""

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
    """Give the leaves of a message in order."""
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
