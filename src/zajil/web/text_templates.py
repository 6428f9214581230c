"""Texts that a person uses again and again: one setting of the account, as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SETTING = "templates"
MOST = 50
LONGEST_NAME = 100
LONGEST_TEXT = 4000
"""Characters."""


@dataclass(frozen=True, slots=True)
class TextTemplate:
    """A text and what its owner calls it."""

    name: str
    """One line; no two of an account have the same."""
    text: str
    """Plain text, with LF."""


def read_templates(settings: Mapping[str, str]) -> list[TextTemplate]:
    """Return the templates of an account by name; whatever else stands there is left out."""
    try:
        kept = json.loads(settings.get(SETTING, "{}"))
    except (ValueError, RecursionError):
        return []
    if not isinstance(kept, dict):
        return []
    found = [
        TextTemplate(name[:LONGEST_NAME], text[:LONGEST_TEXT])
        for name, text in kept.items()
        if isinstance(text, str)
    ]
    return sorted(found[:MOST], key=lambda one: (one.name.casefold(), one.name))


def write_templates(templates: Iterable[TextTemplate]) -> str | None:
    """Return what ``read_templates`` reads; ``None``: there are no templates."""
    kept = {one.name: one.text for one in templates}
    return json.dumps(kept, ensure_ascii=False) if kept else None
