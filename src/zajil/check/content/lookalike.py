"""Names made to be taken for other names: Unicode TR 39 for domains and display names. Pure.

Two names look alike when their skeletons are equal: each character replaced by the prototype of
all that look like it (``confusables.txt``), after compatibility normalisation. On top of that come
the tricks of plain ASCII: ``rn`` for m, ``0`` for o, one letter more, less or other, a hyphen
instead of a dot, a known name inside a longer one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib import resources

from zajil.core.domain import to_unicode
from zajil.dns.public_suffix import registered_domain

MAX_NAME = 253
"""Characters of a name that are compared."""
_SHORTEST = 5
"""Characters of a label, at least, before one letter more or less means anything."""
_MOST_LABELS = 12
_MOST_KNOWN = 4096
"""Names whose finding is kept: the same senders and links come again."""

# What turns the direction of the text after it (Unicode UAX 9 section 2): the marks, which turn
# nothing around, are in honest Arabic text.
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Overrides make letters run against their nature, which no honest text needs.
_OVERRIDE = re.compile("[\u202d\u202e]")
# Right-to-left embeddings and isolates: in text that has no letter of that direction.
_TURNING = re.compile("[\u202b\u2067]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe]")
_ASCII_TRICKS = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("0", "o"), ("1", "l"), ("5", "s"))


def has_direction_control(text: str) -> bool:
    """Whether something in it turns the direction, so that it reads otherwise than it is."""
    return not text.isascii() and _DIRECTION.search(text) is not None


def has_turning_control(text: str) -> bool:
    """Whether its direction is turned for no honest reason.

    Programs put embeddings and isolates around names in Arabic sentences; those say nothing.
    """
    if text.isascii():
        return False
    if _OVERRIDE.search(text):
        return True
    return _TURNING.search(text) is not None and not _RIGHT_TO_LEFT.search(text)


def load_tables() -> None:
    """Read what is looked up of names now: before a fork, so that workers share it.

    The first mail would wait a sixth of a second for it.
    """
    _prototypes()
    registered_domain("example.com")


@lru_cache(maxsize=1)
def _prototypes() -> dict[int, str]:
    table: dict[int, str] = {}
    text = resources.files("zajil.check.content").joinpath("confusables.txt").read_text("utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            prototype, _, members = line.partition(" ")
            table.update((ord(char), prototype) for char in members)
    # TR 39 gives the small palochka the prototype i; in the fonts of browsers it is an l.
    table[0x04CF] = "l"
    return table


@lru_cache(maxsize=4096)
def skeleton(text: str) -> str:
    """Return what it looks like: equal for names that a reader takes for each other."""
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


@lru_cache(maxsize=4096)
def is_in_false_letters(domain: str) -> bool:
    """Whether a domain has letters that are meant to be read as others.

    Letters of scripts that do not belong together; or a label all of whose foreign letters look
    like Latin ones, before an ending in Latin (TR 39 section 4, whole-script confusables).

    Args:
        domain: ASCII form.
    """
    if "xn--" not in domain:
        return False
    shown = to_unicode(domain)
    if is_mixed(shown):
        return True
    *labels, ending = shown.split(".")
    return ending.isascii() and any(_reads_as_latin(label) for label in labels)


def _reads_as_latin(label: str) -> bool:
    if label.isascii() or not skeleton(label).isascii():
        return False
    return bool({_script(char) for char in label if char.isalpha()} & _FAKING)


def _script(char: str) -> str:
    """Return the script of a letter, by the first word of its name; ``""`` for what all share."""
    if char.isascii():
        return "LATIN"
    return unicodedata.name(char, "").partition(" ")[0]


# ---- names that are protected -------------------------------------------------------------------


class Imitated:
    """Domains that strangers must not imitate, found by what a stranger's name looks like.

    Looking one up costs by the length of the stranger's name, not by how many are protected.
    """

    def __init__(self, domains: Iterable[str], brands: Iterable[str] = ()) -> None:
        """Take the domains.

        Args:
            domains: ASCII form, lower case; their own subdomains imitate nothing.
            brands: the same of widely known names: only what can be no accident counts there.
        """
        self._own = frozenset(domains) | frozenset(brands)
        self._names = frozenset([domain.partition(".")[0] for domain in self._own])
        self._whole: dict[str, str] = {}
        """By skeleton; and with hyphens for dots."""
        self._labels: dict[str, tuple[str, str]] = {}
        """By the skeleton of the first label: that label, and whose it is."""
        self._near: dict[str, dict[str, set[str]]] = {}
        """By the rest after the first label, then by that label with one letter less."""
        self._known: dict[str, str | None] = {}
        for domain in sorted(self._own):
            whole = skeleton(to_unicode(domain))
            label, _, rest = whole.partition(".")
            self._whole.setdefault(whole, domain)
            self._whole.setdefault(whole.replace(".", "-"), domain)
            raw = to_unicode(domain).partition(".")[0]
            if len(raw) >= _SHORTEST:
                self._labels.setdefault(label, (raw, domain))
                if domain not in brands:
                    near = self._near.setdefault(rest, {})
                    for form in _one_less(label):
                        near.setdefault(form, set()).add(domain)

    def find(self, domain: str) -> str | None:
        """Return the protected domain that this one is made to be taken for; ``None``: none.

        Args:
            domain: ASCII form, lower case.
        """
        if not self._own:
            return None
        known = self._known.get(domain, "")
        if known != "":
            return known
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        found = self._known[domain] = self._find(domain)
        return found

    def _find(self, domain: str) -> str | None:
        labels = domain.split(".")[-_MOST_LABELS:]
        if any(".".join(labels[at:]) in self._own for at in range(len(labels))):
            return None
        # ``example.co.uk`` beside ``example.com``: the same name, registered once more.
        if registered_domain(domain).partition(".")[0] in self._names:
            return None
        shown = to_unicode(domain[-MAX_NAME:]).split(".")[-_MOST_LABELS:]
        theirs = [skeleton(label) for label in shown]
        return self._find_whole(theirs) or self._find_label(shown) or self._find_near(theirs)

    def _find_whole(self, theirs: Sequence[str]) -> str | None:
        """Find the whole: ``n0rth.test``, ``north.test.evil.example``, ``north-test.example``."""
        for start in range(len(theirs)):
            for end in range(start + 1, len(theirs) + 1):
                if own := self._whole.get(".".join(theirs[start:end])):
                    return own
        for label in theirs:
            if "-" in label:
                pieces = label.split("-")[:_MOST_LABELS]
                for start in range(len(pieces)):
                    for end in range(start + 2, len(pieces) + 1):
                        if own := self._whole.get("-".join(pieces[start:end])):
                            return own
        return None

    def _find_label(self, shown: Sequence[str]) -> str | None:
        """Find a label, or a piece of one, that is another's in false letters: ``n0rth-mail``."""
        for label in shown:
            for piece in label.split("-")[:_MOST_LABELS]:
                # A 1 stands for an l or for an i.
                for form in {skeleton(piece), skeleton(piece.replace("1", "i"))}:
                    raw, own = self._labels.get(form, ("", ""))
                    if own and piece != raw:
                        return own
        return None

    def _find_near(self, theirs: Sequence[str]) -> str | None:
        """Find one letter more, less or other before the same ending: ``noorth.test``."""
        for at in range(len(theirs) - 1):
            near = self._near.get(".".join(theirs[at + 1 :]))
            if near is None:
                continue
            for form in _one_less(theirs[at]):
                for own in sorted(near.get(form, ())):
                    if is_one_off(theirs[at], skeleton(to_unicode(own)).partition(".")[0]):
                        return own
        return None


def _one_less(label: str) -> Iterator[str]:
    """Return a label, and every form of it that has one letter less."""
    yield label
    for at in range(min(len(label), 63)):
        yield label[:at] + label[at + 1 :]


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
