"""The forms in which words are compared: by SEARCH, and by the classifier of junk.

Case folded; digits of all scripts as ASCII ones; nothing that cannot be seen; Arabic without
tatweel and vowel marks, with one alef, one yeh, one heh, and no hamza on a carrier. The classifier
composes letters and marks (NFKC), SEARCH takes them apart (NFKD).

Law: what the collation i;unicode-casemap (RFC 5051) finds in a text is found in its
``search_form`` too: RFC 5255 section 4.2 demands that.

Deviation: SEARCH finds more than the collation does: Arabic words whatever their vowel marks, and
whichever form of alef, yeh, teh marbuta and hamza a writer chose; digits of any script.
"""

from __future__ import annotations

import re
import unicodedata

# Tatweel, the vowel marks (tashkeel), the dagger alef, Quranic signs; then what has no width: soft
# hyphen, zero-width characters, the controls of direction, variation selectors.
_UNSEEN = re.compile(
    "[\u0640\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"
    "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+"
)
# One class each, and one replacement: quicker than a table over every character.
_LETTERS = (
    ("\u0622", "\u0627"),  # alef with madda
    ("\u0623", "\u0627"),  # alef with hamza above
    ("\u0625", "\u0627"),  # alef with hamza below
    ("\u0671", "\u0627"),  # alef wasla
    ("\u0624", "\u0648"),  # waw with hamza
    ("\u0626", "\u064a"),  # yeh with hamza
    ("\u0649", "\u064a"),  # alef maksura
    ("\u06cc", "\u064a"),  # Farsi yeh
    ("\u0629", "\u0647"),  # teh marbuta
    ("\u06a9", "\u0643"),  # keheh
)
_FOREIGN_DIGIT = re.compile(r"(?![0-9])\d")
# Not where it is one space already: most are, and each match costs time and memory.
_SPACE = re.compile(r"[^\S ]\s*| \s+")


def normal_form(text: str) -> str:
    """Return the form in which the classifier compares words."""
    if text.isascii():
        return _SPACE.sub(" ", text.lower())
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    return _fold(text)


def search_form(text: str) -> str:
    """Return the form in which SEARCH compares terms and texts."""
    if text.isascii():
        return _SPACE.sub(" ", text.lower())
    if not unicodedata.is_normalized("NFKD", text):
        text = unicodedata.normalize("NFKD", text)
    return _fold(text.replace("\u0131", "i"))  # its titlecase is I


def _fold(text: str) -> str:
    for letter, plain in _LETTERS:
        text = text.replace(letter, plain)
    text = _UNSEEN.sub("", text).casefold()
    text = _FOREIGN_DIGIT.sub(_as_ascii, text)
    return _SPACE.sub(" ", text)


def _as_ascii(digit: re.Match[str]) -> str:
    return str(unicodedata.decimal(digit[0]))
