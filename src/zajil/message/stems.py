"""Stems of words: forms of one word that a person who searches takes for the same. Pure.

Stems are not kept in the index: they are worked out when somebody searches, for the words of the
index that may have the same one. So the rules can change without another index.
"""

from __future__ import annotations

import re

import Stemmer

from zajil.message.words import Anchor, Clue

_ARABIC = re.compile("[\u0621-\u064a]+")
_LATIN = re.compile("[a-z]+")

# Light stemming, the rules of "light10" (Larkey, Ballesteros, Connell 2007), in search form: teh
# marbuta is heh, alef maksura is yeh. The longest first.
_ARTICLES = ("وال", "بال", "كال", "فال", "ال", "لل")
_ENDINGS = ("ها", "ان", "ات", "ون", "ين", "يه", "ه", "ي")
_LEAST = 3
"""Letters of an Arabic stem before which nothing more is taken away; of the article, two."""


class Stems:
    """Finds stems. Not for several threads at once."""

    def __init__(self) -> None:
        self._english = Stemmer.Stemmer("english")

    def stem_of(self, word: str) -> str:
        """Return the stem of a word in search form; of a script without rules the word."""
        if _LATIN.fullmatch(word):
            stem: str = self._english.stemWord(word)
            return stem
        if _ARABIC.fullmatch(word):
            return _arabic_stem(word)
        return word


def clue_of_stem(stem: str) -> Clue:
    """Return what all words with this stem have in common."""
    if _LATIN.fullmatch(stem):
        # At most the last two letters change: "happily", "happi"; "die", "dying".
        return Clue(stem[: max(1, len(stem) - 2)], Anchor.BEGIN)
    if _ARABIC.fullmatch(stem):
        return Clue(stem, Anchor.ANYWHERE)
    return Clue(stem, Anchor.WHOLE)


def _arabic_stem(word: str) -> str:
    if word[0] == "و" and len(word) > _LEAST:
        rest = _without_article(word)
        word = rest if rest != word else word[1:]
    else:
        word = _without_article(word)
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST:
            word = word[: -len(ending)]
    return word


def _without_article(word: str) -> str:
    for article in _ARTICLES:
        if word.startswith(article) and len(word) - len(article) >= 2:
            return word[len(article) :]
    return word
