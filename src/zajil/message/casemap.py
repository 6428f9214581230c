"""The collation i;unicode-casemap: how SORT and THREAD compare text. (RFC 5051, RFC 5255)"""

from __future__ import annotations

import unicodedata
from functools import lru_cache


def casemap(text: str) -> str:
    """Return the form in which two texts are compared, code point by code point.

    Each character in its simple titlecase form, then decomposed. (RFC 5051 section 2)
    """
    if text.isascii():
        return text.upper()
    return unicodedata.normalize("NFKD", "".join(map(_titlecase, text)))


@lru_cache(4096)
def _titlecase(character: str) -> str:
    title = character.title()
    return title if len(title) == 1 else character
