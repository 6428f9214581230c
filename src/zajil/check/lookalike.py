"""Names made to be taken for other names: Unicode TR 39 for domains and display names. Pure.

Two names look alike when their skeletons are equal: each character replaced by the prototype of
all that look like it (``confusables.txt``), after compatibility normalisation. On top of that come
the tricks of plain ASCII: ``rn`` for m, ``0`` for o, one letter more, less or other, a hyphen
instead of a dot, a known name inside a longer one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources

from zajil.core.domain import to_unicode

MAX_NAME = 253
"""Characters of a name that are compared."""
_SHORTEST = 5
"""Characters of a label, at least, before one letter more or less means anything."""

# What turns the direction of the text after it (Unicode UAX 9 section 2): the marks, which turn
# nothing around, are in honest Arabic text.
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ASCII_TRICKS = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("0", "o"), ("1", "l"), ("5", "s"))


def has_direction_control(text: str) -> bool:
    """Whether something in it turns the direction, so that it reads otherwise than it is."""
    return not text.isascii() and _DIRECTION.search(text) is not None


@lru_cache(maxsize=1)
def _prototypes() -> dict[int, str]:
    table: dict[int, str] = {}
    text = resources.files("zajil.check").joinpath("confusables.txt").read_text("utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            prototype, _, members = line.partition(" ")
            table.update((ord(char), prototype) for char in members)
    return table


@lru_cache(maxsize=4096)
def skeleton(text: str) -> str:
    """Give what it looks like: equal for names that a reader takes for each other."""
    text = unicodedata.normalize("NFKC", text[:MAX_NAME]).casefold()
    text = unicodedata.normalize("NFD", text)
    if not text.isascii():
        text = "".join(char for char in text if unicodedata.category(char) != "Cf")
        text = text.translate(_prototypes())
    for trick, plain in _ASCII_TRICKS:
        if trick in text:
            text = text.replace(trick, plain)
    return text


# ---- scripts ------------------------------------------------------------------------------------

# TR 39 section 5.1 gives these sets as one: they stand beside each other in honest names.
_TOGETHER = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
# Highly restrictive, and with Arabic, Hebrew, Thai and the scripts of India: none of their letters
# is taken for a Latin one. Cyrillic, Greek, Armenian beside Latin are how names are faked.
_FAKING = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "GEORGIAN"})


@lru_cache(maxsize=4096)
def is_mixed(text: str) -> bool:
    """Whether a word has letters of scripts that do not belong together (TR 39 section 5.2)."""
    if text.isascii():
        return False
    for word in re.split(r"[\s.@_-]+", unicodedata.normalize("NFKC", text[:MAX_NAME])):
        scripts = {_script(char) for char in word if char.isalpha()} - {""}
        if len(scripts) < 2 or any(scripts <= allowed for allowed in _TOGETHER):
            continue
        if scripts & _FAKING or len(scripts) > 2:
            return True
    return False


def _script(char: str) -> str:
    """Give the script of a letter, by the first word of its name; ``""`` for what all share."""
    if char.isascii():
        return "LATIN"
    return unicodedata.name(char, "").partition(" ")[0]


# ---- names that are protected -------------------------------------------------------------------


def imitated(domain: str, protected: Iterable[str]) -> str | None:
    """Give the protected domain that this one is made to be taken for; ``None``: none.

    Args:
        domain: ASCII form, lower case.
        protected: likewise. Their own subdomains imitate nothing.
    """
    protected = tuple(protected)
    if any(domain == own or domain.endswith("." + own) for own in protected):
        return None
    shown = to_unicode(domain[:MAX_NAME])
    for own in protected:
        if _looks_like(domain, shown, own):
            return own
    return None


def _looks_like(domain: str, shown: str, own: str) -> bool:
    mine, theirs = skeleton(to_unicode(own)), skeleton(shown)
    if mine == theirs or theirs.endswith("." + mine):
        return True
    label = mine.partition(".")[0]
    # ``north.test.evil.example``, ``north-test.example``: the whole name, as part of another.
    flat = mine.replace(".", "-")
    if f".{theirs}".find(f".{mine}.") >= 0 or flat in theirs.split("."):
        return True
    if any(flat == one or one.startswith(flat + "-") for one in theirs.split(".")):
        return True
    if len(label) < _SHORTEST:
        return False
    first, _, rest = theirs.partition(".")
    return rest == mine.partition(".")[2] and is_one_off(first, label)


def is_one_off(one: str, other: str) -> bool:
    """Whether one letter more, less or other, or two swapped, lead from one to the other."""
    if abs(len(one) - len(other)) > 1 or one == other:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    rest, another = one[start:], other[start:]
    return (
        rest[1:] == another[1:]
        or rest[1:] == another
        or rest == another[1:]
        or (rest[:2] == another[1::-1] and len(rest) > 1 and rest[2:] == another[2:])
    )
