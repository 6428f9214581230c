"""URLs in plain text: where they begin and end. One rule for pages and checks. Pure."""

from __future__ import annotations

import re
from itertools import islice

# What ends a URL (RFC 3986 appendix C): spaces, delimiters, quotation marks and full stops of other
# scripts, and what nobody sees. Other characters beyond ASCII are part of it.
_NO_URL = (
    r"\s<>\"\\^`{|}\x00-\x1f\x7f-\xa0«»‹›“”„‘‚「」『』《》【】。、，！？；：）（"
    r"\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufdd0-\ufdef\ufeff"
)
URL = re.compile(rf"(?<![A-Za-z0-9+.-])(?:https?://|mailto:)[^{_NO_URL}]+", re.IGNORECASE)
"""Of one that becomes a link; the punctuation behind it included."""
# What some program makes a link of, wherever its words begin.
_ANY = re.compile(rf"(?:https?://|mailto:|(?<![\w@/.])www\.)[^{_NO_URL}]+", re.IGNORECASE)
_PUNCTUATION = ".,:;!?'*…’،؛؟۔"
_PAIRS = {")": "(", "]": "["}


def find_urls(text: str, limit: int) -> list[str]:
    """Return what some program makes a link of, without the punctuation of its sentence.

    Args:
        limit: of them.
    """
    if "://" not in text:
        lower = text.lower()
        if "www." not in lower and "mailto:" not in lower:
            return []
    return [without_punctuation(match[0]) for match in islice(_ANY.finditer(text), limit)]


def without_punctuation(url: str) -> str:
    """Return a URL without the punctuation of the sentence that it ends."""
    surplus = {closing: url.count(closing) - url.count(_PAIRS[closing]) for closing in _PAIRS}
    end = len(url)
    while end and (url[end - 1] in _PUNCTUATION or surplus.get(url[end - 1], 0) > 0):
        if url[end - 1] in surplus:
            surplus[url[end - 1]] -= 1
        end -= 1
    return url[:end]
