"""Words of texts, for the index: how a text is divided, and what of a term must be in its words.

Everything here takes texts in their search form (``message.normal_form``).

Laws:
- Whether a character belongs to a word depends on this character alone. So the words inside a
  piece of a text are words of the text, and the first and the last are ends of such.
- ``find_clues`` asks for no more than this: a text that holds the term has all its clues.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from itertools import pairwise

from zajil.core.value_class import value_class

MAX_WORD = 40
"""Characters of a word; a longer one is kept in overlapping pieces of this length."""
_HALF = MAX_WORD // 2
_MAX_CLUE = _HALF + 1
"""Each piece of so many characters of a long word is within one of its pieces."""
_MAX_CLUES = 8
"""Words of one term that are looked up; the longest ones say enough."""

# Scripts without spaces between words: Tibetan, Burmese, Thai, Lao, Khmer, Japanese, Chinese; and
# Korean, whose words have many endings.
_UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u318f"
    "\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
# Marks on letters, which stand behind them: an accent does not divide a word.
_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_ASCII_WORDS = re.compile("[a-z0-9]+")
# Of texts without signs of scripts without spaces, and without underscores.
_SPACED_WORDS = re.compile(rf"[\w{_MARKS}]+")
_UNSPACED_RUNS = re.compile(f"[{_UNSPACED}]+")
_RUNS = re.compile(rf"((?:[^\W_{_UNSPACED}]|[{_MARKS}])+)|[{_UNSPACED}]+")


def find_words(text: str) -> set[str]:
    """Return the words of a text: letters and digits in a row.

    Of scripts without spaces each two characters in a row are a word, and one that stands alone.
    Of a word longer than ``MAX_WORD`` pieces are returned, one at each half of this length.
    """
    if text.isascii():
        found = set(_ASCII_WORDS.findall(text))
    else:
        runs = set(_UNSPACED_RUNS.findall(text))
        spaced = _UNSPACED_RUNS.sub(" ", text) if runs else text
        found = set(_SPACED_WORDS.findall(spaced.replace("_", " ")))
        for run in runs:
            found.update(_pairs(run))
    long = [word for word in found if len(word) > MAX_WORD]
    if long:
        found.difference_update(long)
        for word in long:
            found.update(_pieces(word))
    return found


def is_unspaced(text: str) -> bool:
    """Return whether a text is in a script without spaces between words."""
    return _UNSPACED_RUNS.fullmatch(text) is not None


def _pairs(run: str) -> Iterable[str]:
    if len(run) == 1:
        return (run,)
    return map("".join, pairwise(run))


def _pieces(word: str) -> list[str]:
    starts = range(0, len(word) - MAX_WORD, _HALF)
    return [word[start : start + MAX_WORD] for start in starts] + [word[-MAX_WORD:]]


class Anchor(Enum):
    """Where in a word the letters of a clue stand."""

    WHOLE = "whole"
    """They are the word."""
    BEGIN = "begin"
    END = "end"
    ANYWHERE = "anywhere"


@value_class(frozen=True, slots=True)
class Clue:
    """What one word of a text must be like if the text holds a term."""

    letters: str
    place: Anchor


def find_clues(term: str) -> list[Clue]:
    """Return what the words of each text that holds the term are like, the rarest clues first.

    Nothing is returned for a term that most texts hold, or that has no letter or digit.
    """
    clues: dict[Clue, None] = {}
    for run in _RUNS.finditer(term):
        is_open = run.start() == 0, run.end() == len(term)
        if run[1]:
            clue = _clue_of_word(run[1], *is_open)
            if clue is not None:
                clues[clue] = None
        elif len(run[0]) > 1:
            clues.update(dict.fromkeys([Clue(pair, Anchor.WHOLE) for pair in _pairs(run[0])]))
        else:
            clues[Clue(run[0], _place(*is_open))] = None
    return sorted(clues, key=lambda clue: -len(clue.letters))[:_MAX_CLUES]


def _place(is_open_before: bool, is_open_after: bool) -> Anchor:
    if is_open_before:
        return Anchor.ANYWHERE if is_open_after else Anchor.END
    return Anchor.BEGIN if is_open_after else Anchor.WHOLE


def _clue_of_word(word: str, is_open_before: bool, is_open_after: bool) -> Clue | None:
    place = _place(is_open_before, is_open_after)
    match place:
        case Anchor.WHOLE:
            if len(word) <= MAX_WORD:
                return Clue(word, place)
            return Clue(word[:_MAX_CLUE], Anchor.BEGIN)
        case Anchor.END:
            word = word[-_MAX_CLUE:]
        case _:
            word = word[:_MAX_CLUE]
    # One letter anywhere, or two, are in nearly every text.
    least = 3 if place is Anchor.ANYWHERE else 2
    return Clue(word, place) if len(word) >= least else None
