"""Marks the words that somebody searched for where a page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from markupsafe import Markup, escape

from zajil.message.normal_form import search_form
from zajil.read.links import find_links

_MOST = 2000
"""Characters of a text in which words are looked for."""


@lru_cache(maxsize=4096)
def _form(character: str) -> str:
    return search_form(character)


def find_marks(text: str, terms: Sequence[str]) -> list[tuple[int, int]]:
    """Return where terms stand in a text: places that do not overlap, ascending.

    Args:
        text: as it is shown.
        terms: in search form.
    """
    if not terms:
        return []
    text = text[:_MOST]
    if text.isascii():
        form, starts = text.lower(), range(len(text) + 1)
    else:
        pieces, places = list[str](), list[int]()
        for place, character in enumerate(text):
            piece = _form(character)
            pieces.append(piece)
            places += [place] * len(piece)
        form, starts = "".join(pieces), [*places, len(text)]  # type: ignore[assignment]
    found: list[tuple[int, int]] = []
    for term in terms:
        at = form.find(term) if term else -1
        while at >= 0:
            # Up to the next letter: its vowel marks have no form of their own.
            stop = at + len(term)
            found.append((starts[at], max(starts[stop], starts[stop - 1] + 1)))
            at = form.find(term, stop)
    return _joined(found)


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif start < end:
            joined.append((start, end))
    return joined


def marked(text: str, terms: Sequence[str]) -> Markup:
    """Return a text with its terms in ``<mark>``."""
    spans = find_marks(text, terms)
    if not spans:
        return escape(text)
    pieces, end = [Markup()], 0
    for start, stop in spans:
        pieces.append(escape(text[end:start]))
        pieces.append(Markup("<mark>{}</mark>").format(text[start:stop]))
        end = stop
    pieces.append(escape(text[end:]))
    return Markup().join(pieces)


def urls_marked(text: str, terms: Sequence[str]) -> Markup:
    """Return the same, and URLs read from left to right, whatever stands around them."""
    links = find_links(text)
    if not links:
        return marked(text, terms)
    pieces, end = [Markup()], 0
    for link in links:
        pieces.append(marked(text[end : link.start], terms))
        url = marked(text[link.start : link.end], terms)
        pieces.append(Markup('<bdi dir="ltr">{}</bdi>').format(url))
        end = link.end
    pieces.append(marked(text[end:], terms))
    return Markup().join(pieces)
