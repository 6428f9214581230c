"""A header field as text that a row of the store or a page can hold. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from zajil.message.encoded_word import decode_words
from zajil.message.fields import Field, find_value

_MAX_TEXT = 500
"""Characters of a header field that a row of the store holds."""


def header_text(fields: Sequence[Field], name: bytes) -> str:
    """Return a field as text for people, cut to what a row should hold; ``""`` when absent."""
    value = find_value(fields, name)
    if value is None:
        return ""
    text = decode_words(value)[:_MAX_TEXT]
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
