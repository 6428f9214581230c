"""Which message answers which: the algorithms of THREAD. (RFC 5256 section 3)

Pure. Nothing here recurses: a thread may be as deep as a mailbox has messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zajil.core.value_class import value_class

MAX_WALK = 500
"""Ancestors that are looked at before a link is made; with more of them it is not made. Protects
the time that hostile references take."""


@value_class(frozen=True, slots=True)
class ThreadedMessage:
    """What threads are made of."""

    number: int
    """What stands in the answer; ascending as messages came."""
    message_id: str
    """With its angle brackets; ``""``: none."""
    references: tuple[str, ...]
    """Of References, or of In-Reply-To where there are none; the parent is the last one."""
    subject: str
    """Base subject, as it is compared; ``""``: none."""
    is_reply: bool
    """The subject has a mark of a reply or a forward."""
    date_ms: int
    """When it was sent."""


@dataclass(slots=True, eq=False)
class Node:
    """A place in a thread; one without a message holds others together."""

    message: ThreadedMessage | None = None
    parent: Node | None = None
    children: Sequence[Node] = ()
    """Most nodes have none: no list is made for these."""
    below: int = 0
    """How many name it as their parent, before ``children`` is filled."""

    @property
    def first(self) -> ThreadedMessage:
        """The message, or that of the first child: a node without both is never kept."""
        node = self
        while node.message is None:
            node = node.children[0]
        return node.message

    def adopt(self, child: Node) -> None:
        """Put a node below this one, behind its children."""
        child.parent = self
        if isinstance(self.children, list):
            self.children.append(child)
        else:
            self.children = [child]


def thread_by_subject(messages: Iterable[ThreadedMessage]) -> list[Node]:
    """Return the threads of ORDEREDSUBJECT."""
    roots: dict[str, Node] = {}
    for one in sorted(messages, key=lambda one: (one.date_ms, one.number)):
        root = roots.setdefault(one.subject, Node(one))
        if root.message is not one:
            root.adopt(Node(one))
    return list(roots.values())


def thread_by_references(messages: Sequence[ThreadedMessage]) -> list[Node]:
    """Return the threads of REFERENCES; messages are in the order of their numbers."""
    roots = _prune(_link(messages))
    _sort(roots)
    roots = _join_subjects(roots)
    _sort(roots)
    return roots


def write_threads(roots: Iterable[Node]) -> str:
    """Write ``(1)(2 3 (4)(5 6))``. (RFC 5256 section 4, ``thread-list``)"""
    written: list[str] = []
    for root in roots:
        written.append("(")
        # Nodes to write, and the parentheses between them.
        stack: list[Node | str] = [")", root]
        while stack:
            item = stack.pop()
            if isinstance(item, str):
                written.append(item)
                continue
            if item.message is not None:
                written.append(str(item.message.number))
            children = item.children
            if len(children) == 1:
                stack.append(children[0])
                if item.message is not None:
                    stack.append(" ")
            elif children:
                for child in reversed(children):
                    stack += [")", child, "("]
                if item.message is not None:
                    stack.append(" ")
    return "".join(written)


_QUOTED_ID = re.compile(r'<"([^"\\\s<>]+)"@')


def normal_id(message_id: str) -> str:
    """Return a Message-ID as it is compared: without quotes it does not need; ``""``: not valid."""
    if "@" not in message_id:
        return ""
    return _QUOTED_ID.sub(r"<\1@", message_id)


# ---- inside -------------------------------------------------------------------------------------


def _link(messages: Sequence[ThreadedMessage]) -> list[Node]:
    """Return all nodes, linked by Message-IDs. (Step 1)"""
    by_id: dict[str, Node] = {}
    nodes: list[Node] = []
    for one in messages:
        node = by_id.get(one.message_id) if one.message_id else None
        if node is None or node.message is not None:  # none, or another has the same
            is_new_id = node is None and bool(one.message_id)
            node = Node()
            nodes.append(node)
            if is_new_id:
                by_id[one.message_id] = node
        node.message = one
        above: Node | None = None
        for reference in one.references:
            parent = by_id.get(reference)
            if parent is None:
                parent = by_id[reference] = Node()
                nodes.append(parent)
            if above is not None and parent.parent is None:
                _put_under(parent, above)
            above = parent
        if node.parent is not None and node.parent is not above:
            # Another message named a parent of this one, which knows better, even without any.
            node.parent.below -= 1
            node.parent = None
        if above is not None and node.parent is None:
            _put_under(node, above)
    for node in nodes:
        if node.parent is not None:
            node.parent.adopt(node)
    return nodes


def _put_under(child: Node, parent: Node) -> None:
    if not _is_under(parent, child):
        child.parent = parent
        parent.below += 1


def _is_under(node: Node, other: Node) -> bool:
    """Return whether a node is the other, or below it, or too deep to tell."""
    if node is other:
        return True
    if not other.below:
        return False
    above = node.parent
    for _ in range(MAX_WALK):
        if above is None:
            return False
        if above is other:
            return True
        above = above.parent
    return True


def _prune(nodes: Sequence[Node]) -> list[Node]:
    """Return the roots of what is left without needless empty nodes. (Steps 2 and 3)"""
    tops = [node for node in nodes if node.parent is None]
    order = list(tops)
    for node in order:  # grows: parents before children
        if node.children:
            order.extend(node.children)
    for node in reversed(order):
        if not node.children:
            continue
        kept: list[Node] = []
        for child in node.children:
            if child.message is None:
                kept += child.children  # none of these is empty
            else:
                kept.append(child)
        node.children = kept
        for child in kept:
            child.parent = node
    roots: list[Node] = []
    for node in tops:
        if node.message is None and len(node.children) == 1:
            node = node.children[0]
            node.parent = None
        if node.message is not None or node.children:
            roots.append(node)
    return roots


def _sort(roots: list[Node]) -> None:
    """Sort siblings by their dates. (Steps 4 and 6)"""
    order = list(roots)
    for node in order:
        if node.children:
            order.extend(node.children)
    for node in reversed(order):
        if len(node.children) > 1:
            node.children = sorted(node.children, key=_order)
    roots.sort(key=_order)


def _order(node: Node) -> tuple[int, int]:
    """Return what siblings are sorted by."""
    first = node.message or node.first
    return first.date_ms, first.number


def _join_subjects(roots: Sequence[Node]) -> list[Node]:
    """Join roots that have the same subject. (Step 5)"""
    by_subject: dict[str, Node] = {}
    for root in roots:
        subject = root.first.subject
        if not subject:
            continue
        known = by_subject.get(subject)
        if known is None or _is_better(root, known):
            by_subject[subject] = root
    joined: dict[int, Node] = {}
    left: list[Node] = []
    for root in roots:
        known = by_subject.get(root.first.subject)
        if known is None or known is root:
            left.append(root)
        elif known.message is None and root.message is None:
            _adopt(known, root.children)
        elif known.message is None or (_is_reply(root) and not _is_reply(known)):
            _adopt(known, [root])
        else:
            both = Node()
            joined[id(known)] = both
            by_subject[root.first.subject] = both
            _adopt(both, [known, root])
    return [joined.get(id(root), root) for root in left]


def _is_better(root: Node, known: Node) -> bool:
    if known.message is None:
        return False
    return root.message is None or (_is_reply(known) and not _is_reply(root))


def _is_reply(node: Node) -> bool:
    return node.message is not None and node.message.is_reply


def _adopt(parent: Node, children: Sequence[Node]) -> None:
    for child in children:
        parent.adopt(child)
