"""Searches with a name: a setting of the account, a JSON list of pairs of name and query."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from zajil.read.search_query import MAX_QUERY

SETTING = "searches"
MOST = 40
"""Searches of one account: the setting stays well below what the store takes."""
LONGEST_NAME = 80
"""Characters."""


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A search with a name."""

    name: str
    query: str
    """As it was typed."""

    @property
    def path(self) -> str:
        """The address of its results."""
        return f"/search?{urlencode({'q': self.query})}"


def read_saved(settings: Mapping[str, str]) -> tuple[SavedSearch, ...]:
    """Return the saved searches of an account, by name; what cannot be read is left out."""
    try:
        listed = json.loads(settings.get(SETTING) or "[]")
    except ValueError:
        return ()
    found: dict[str, SavedSearch] = {}
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, list) and len(one) == 2 and all(isinstance(text, str) for text in one):
            name, query = clean_name(one[0]), one[1][:MAX_QUERY].strip()
            if name and query:
                found.setdefault(name, SavedSearch(name, query))
    return tuple(sorted(found.values(), key=lambda saved: saved.name.casefold()))[:MOST]


def clean_name(name: object) -> str:
    """Return the name of a search in one line, with nothing that cannot be seen."""
    text = "".join(one if one.isprintable() else " " for one in str(name)[: 4 * LONGEST_NAME])
    return " ".join(text.split())[:LONGEST_NAME]
