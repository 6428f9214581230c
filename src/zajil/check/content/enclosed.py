"""The files of a mail, those of the messages that are enclosed in it included. Pure.

Who opens an enclosed message sees its files as those of the mail itself; what it says was said by
somebody else and is not judged.

Laws:
- Bounded: at most ``MAX_DECODED`` enclosed messages that have a transfer encoding, or whose part
  says only by its name what it is, are parsed, each at most ``MAX_DEPTH`` deep in the last, and
  together ``MAX_SIZE`` bytes. What stands in the message as it is was parsed with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from zajil.message.leaves import Leaf, find_leaves
from zajil.message.parse import parse_message
from zajil.message.part import ENCLOSING, Part

MAX_DECODED = 50
MAX_DEPTH = 5
MAX_SIZE = 8_388_608
"""Bytes, decoded: as many as of an archive."""
MAX_FILES = 1000
"""Far more than are looked into."""


@dataclass(frozen=True, slots=True)
class File:
    """A part that a reader opens as a file."""

    part: Part
    data: bytes | None = None
    """What the offsets of the part count in: a decoded message; ``None``: the mail itself."""


@dataclass(slots=True)
class Files:
    """What was found."""

    files: list[File] = field(default_factory=list)
    """In order; an enclosed message stands before its own."""
    are_all: bool = True
    """There are no more of them."""


def find_files(leaves: Iterable[Leaf], read: Callable[[File, int], bytes]) -> Files:
    """Find the files.

    Args:
        leaves: of the mail itself.
        read: gives what a file holds, decoded, up to so many bytes.
    """
    found = Files()
    count, room = MAX_DECODED, MAX_SIZE
    stack: list[tuple[Leaf, bytes | None, int]] = [(leaf, None, 0) for leaf in leaves]
    stack.reverse()
    while stack:
        leaf, data, depth = stack.pop()
        part = leaf.part
        if leaf.is_file or part.filename is not None:
            if len(found.files) >= MAX_FILES:
                found.are_all = False
                break
            found.files.append(File(part, data))
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
        stack.extend(reversed([(one, data, depth) for one in inner]))
    return found


def _is_message(part: Part) -> bool:
    """Whether a leaf is a message to the program that opens it."""
    if part.type in ENCLOSING or part.type == "message/news":
        return True
    return (part.filename or "").rstrip(". ").lower().endswith(".eml")
