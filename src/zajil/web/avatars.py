"""The circle with the first letter of a correspondent: its letter and its colour."""

from __future__ import annotations

import unicodedata
import zlib

HUES = 12
"""``hue-0`` to ``hue-11`` in ``base.css``."""


def hue(address: object) -> int:
    """Return the number of the colour of an address: always the same, in whatever case."""
    return zlib.crc32(str(address).casefold().encode("utf-8", "replace")) % HUES


def initial(label: object) -> str:
    """Return the first letter or digit of a name or an address; ``?`` if it has none."""
    for character in str(label)[:100]:
        if unicodedata.category(character)[0] in "LN":
            return character.upper()[0]
    return "?"
