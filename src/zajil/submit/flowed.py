"""Text that each program breaks into lines as its window is wide: format=flowed (RFC 3676). Pure.

Laws:
- What ``read_flowed`` makes of ``write_flowed(text)`` is ``text``, but for spaces at the ends of
  lines, and for those between and behind the marks of a quote.
- No line that is written is longer than ``WIDTH`` characters if it has a space to break it at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

WIDTH = 72
"""Characters; RFC 3676 section 4.2 wants no more than 78."""
_MARK = re.compile(r"(?:> ?){0,40}")
_PIECE = re.compile(r"[^ ]+ *| +")
_SIGNATURE = "-- "


def write_flowed(text: str) -> str:
    """Return plain text in lines, as ``text/plain; format=flowed`` without ``delsp``.

    Args:
        text: a paragraph is a line, with LF; ``>`` in front of one quotes it.
    """
    out: list[str] = []
    for line in text.split("\n"):
        match = _MARK.match(line)
        mark = "" if match is None else match[0]
        words = line[len(mark) :]
        depth = mark.count(">")
        if words != _SIGNATURE:
            words = words.rstrip(" ")
        for piece in _break(words, WIDTH - depth - 1):
            # Section 4.4: what looks like a mark or a separator of mboxes is stuffed.
            is_stuffed = bool(depth and piece) or piece.startswith((" ", ">", "From "))
            out.append(">" * depth + " " * is_stuffed + piece)
    return "\n".join(out)


def read_flowed(text: str, *, delete_space: bool) -> str:
    """Join the lines that a program broke, and take its stuffing away (section 4).

    Args:
        text: with LF.
        delete_space: ``delsp=yes``: the space at which a line was broken is no part of the text.
    """
    lines: list[str] = []
    depth_before, goes_on = 0, False
    for line in text.split("\n"):
        words = line.lstrip(">")
        depth = len(line) - len(words)
        words = words.removeprefix(" ")
        if goes_on and depth == depth_before:
            lines[-1] = (lines[-1][:-1] if delete_space else lines[-1]) + words
        else:
            lines.append(f"{'>' * depth} {words}" if depth and words else ">" * depth + words)
        depth_before, goes_on = depth, words.endswith(" ") and words != _SIGNATURE
    return "\n".join(lines)


def _break(words: str, width: int) -> Iterator[str]:
    """Cut a paragraph behind spaces, which stay at the ends of its lines."""
    if len(words) <= width:
        yield words
        return
    line = ""
    for piece in _PIECE.findall(words):
        if line and len(line) + len(piece.rstrip(" ")) > width and line != _SIGNATURE:
            yield line
            line = ""
        line += piece
    yield line
