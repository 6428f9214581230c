"""Parts that begin where a large mail is no longer read whole, found in one pass over the rest.

Pure but for reading, which may wait on the disk.

Security: who puts a large picture first would else hide a program, or a page with links, behind it.
The rest is searched for the boundaries that are open, and of each part only its header section and
its beginning are read.

Law: linear in the rest; at most ``MAX_PARTS`` parts, each with one read, and a few more for the
header sections of messages that it encloses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from zajil.core.value_class import value_class
from zajil.message.fields import read_fields, split_message
from zajil.message.large_data import LargeData, find_delimiters
from zajil.message.part import ENCLOSING, Part, make_part
from zajil.message.source import Source

MAX_PARTS = 200
"""Of the rest; real mail of many files has under fifty."""
_MAX_DEPTH = 5
"""Messages in a message whose header sections are read."""
_HEADER = 16_384
"""Bytes of a header section that are read; that of a part has under a thousand."""


@value_class(frozen=True, slots=True)
class _Around:
    """What a boundary belongs to."""

    is_enclosed: bool
    """It is within an enclosed message."""
    is_digest: bool


@dataclass(slots=True)
class LateParts:
    """What the rest of a mail holds."""

    parts: list[Part] = field(default_factory=list)
    """Leaves, in order; their offsets count in the whole message."""
    enclosed: list[Part] = field(default_factory=list)
    """The same, of messages that are enclosed in it."""
    are_all: bool = True
    """There are no more of them."""
    borders: list[int] = field(default_factory=list)
    """Offsets of the first lines that separate parts, at most ``MAX_PARTS``."""


def find_late_parts(body: Source, begin: int, header_size: int, root: Part) -> LateParts:
    """Find the parts that begin behind a place in the body, or so near before it that they are cut.

    Args:
        body: with the empty line before it.
        begin: in the body; what begins well before it is in ``root``.
        header_size: bytes of the header section of the message.
        root: what the beginning of the message holds.
    """
    known = _known_boundaries(root)
    found = LateParts()
    last: Part | None = None
    empty: Part | None = None
    """A multipart of which no part came yet: text, if none comes."""
    for at, name, after in _delimiters(body, max(0, begin - _HEADER)) if known else ():
        closes = name.endswith(b"--") and name[:-2] in known
        if not closes and name not in known:
            continue
        if len(found.borders) < MAX_PARTS:
            found.borders.append(header_size + at)
        if last is not None:
            last.body_end = min(last.body_end, header_size + at)
        if empty is not None and name not in empty.content_type.boundaries:
            found.parts.append(empty)
        empty = None
        if closes:
            continue
        if len(found.parts) + len(found.enclosed) >= MAX_PARTS:
            found.are_all = False
            break
        around = known[name]
        last = part = _read_part(body, after, header_size, known, around.is_digest)
        if part.content_type.boundaries:
            _add_boundary(known, part, around.is_enclosed)
            empty = None if around.is_enclosed else part
            continue
        (found.enclosed if around.is_enclosed else found.parts).append(part)
        _look_into(body, part, header_size, known)
    if empty is not None:
        found.parts.append(empty)
    return found


def _known_boundaries(root: Part) -> dict[bytes, _Around]:
    known: dict[bytes, _Around] = {}
    stack = [(root, False)]
    while stack:
        part, is_enclosed = stack.pop()
        _add_boundary(known, part, is_enclosed)
        is_enclosed = is_enclosed or part.is_message
        stack.extend([(child, is_enclosed) for child in part.children])
    return known


def _add_boundary(known: dict[bytes, _Around], part: Part, is_enclosed: bool) -> None:
    for name in part.content_type.boundaries:
        # Security: what could be the mail's own is not somebody else's.
        if name not in known or not is_enclosed:
            known[name] = _Around(is_enclosed, part.type == "multipart/digest")


def _look_into(body: Source, part: Part, header_size: int, known: dict[bytes, _Around]) -> None:
    """Learn the boundary of a message that a late part encloses."""
    for _ in range(_MAX_DEPTH):
        if part.type not in ENCLOSING or part.encoding not in ("", "7bit", "8bit", "binary"):
            return
        part = _read_part(body, part.body_start - header_size, header_size, known, False)
        _add_boundary(known, part, True)


def _delimiters(body: Source, begin: int) -> Iterator[tuple[int, bytes, int]]:
    """Return where each line that may be a boundary begins, its name, and where the next begins."""
    data = LargeData(body)
    for start, name, end in find_delimiters(data, max(0, begin - 1)):
        line_end = 2 if data[end : end + 1] == b"\r" else 1
        yield start, name.rstrip(), min(end + line_end, body.size)


def _read_part(
    body: Source, at: int, header_size: int, boundaries: Collection[bytes], in_digest: bool
) -> Part:
    # The line end before it may belong to a boundary, which ends a header section, too.
    head = b"\n" + body.read_at(at, _HEADER)
    for start, line, _ in find_delimiters(head, 0):
        name = line.rstrip()
        if name in boundaries or name.removesuffix(b"--") in boundaries:
            head = head[:start]
            break
    head = head[1:]
    header_end, body_start = split_message(head)
    start = header_size + at
    part = make_part(
        read_fields(head[:header_end]),
        (start, start + header_end, start + body_start),
        in_digest=in_digest,
    )
    part.body_end = header_size + body.size
    return part
