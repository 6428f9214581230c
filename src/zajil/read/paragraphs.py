"""Plain text made ready to show: paragraphs, each with its own direction and depth of quoting.

A letter in Arabic that quotes one in English has both directions on one page; so direction is
found paragraph by paragraph, by the first strong letter (Unicode UAX 9, rules P2 and P3).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from zajil.core.value_class import value_class
from zajil.read.links import LinkSpan, take_marks, without_marks

Direction = Literal["ltr", "rtl", "auto"]

MAX_TEXT = 1_048_576
"""Characters that are shown."""
MAX_PARAGRAPHS = 10_000
_LOOK_AHEAD = 1000
"""Characters that are looked at for a strong letter."""

_QUOTE = re.compile(r"((?:>[ ]?)*+)(.*+)", re.DOTALL)


@value_class(frozen=True, slots=True)
class Paragraph:
    """Lines that belong together."""

    text: str
    """Lines joined by a newline; shown with ``white-space: pre-wrap``."""
    direction: Direction
    """``auto`` where no letter says it."""
    quote_depth: int
    """``>`` signs in front of it (RFC 3676 section 4.5); 0 is the author's own."""
    links: tuple[LinkSpan, ...] = ()
    """Parts of the text that lead somewhere, in order."""


def find_direction(text: str) -> Direction:
    """Return the direction of the first strong letter."""
    for char in text[:_LOOK_AHEAD]:
        match unicodedata.bidirectional(char):
            case "L":
                return "ltr"
            case "R" | "AL":
                return "rtl"
    return "auto"


def split_paragraphs(
    text: str, *, flowed: bool = False, delete_space: bool = False, marked: bool = False
) -> tuple[Paragraph, ...]:
    """Cut a text at its empty lines and where the depth of quoting changes.

    Args:
        text: any line ends; beyond ``MAX_TEXT`` it is cut.
        flowed: ``format=flowed``: a line that ends in a space goes on in the next (RFC 3676).
        delete_space: ``delsp=yes``: that space is no part of the text.
        marked: the text was made of HTML, and its links are marked (``read.links``).
    """
    # Security: marks in a text of somebody else would make links of his choice.
    text = text if marked else without_marks(text)
    lines = text[:MAX_TEXT].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    paragraphs: list[Paragraph] = []
    held: list[str] = []
    depth = 0
    goes_on = False
    for line in lines:
        line_depth, words = _unquote(line, flowed)
        if held and (line_depth != depth or not words.strip()):
            paragraphs.append(_make(held, depth))
            held, goes_on = [], False
            if len(paragraphs) >= MAX_PARAGRAPHS:
                break
        if not words.strip():
            continue
        depth = line_depth
        if goes_on:
            held[-1] = held[-1].removesuffix(" ") if delete_space else held[-1]
            held.append(words)
        else:
            held += ["\n", words] if held else [words]
        # "-- " introduces a signature and does not flow (RFC 3676 section 4.3).
        goes_on = flowed and words.endswith(" ") and words != "-- "
    if held:
        paragraphs.append(_make(held, depth))
    return tuple(paragraphs)


def _unquote(line: str, flowed: bool) -> tuple[int, str]:
    if not line.startswith(">"):
        # Space-stuffing (RFC 3676 section 4.4).
        return 0, line.removeprefix(" ") if flowed else line
    match = _QUOTE.match(line)
    if match is None:
        return 0, line
    return match[1].count(">"), match[2]


def _make(held: list[str], depth: int) -> Paragraph:
    text, links = take_marks("".join(held).rstrip())
    return Paragraph(text, find_direction(text), depth, links)
