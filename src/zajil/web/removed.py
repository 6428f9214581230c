"""What was deleted of the settings of an account lately, so that "Undo" can bring it back. Pure.

A notice holds only a key, because templates and searches may be longer than what fits into a
cookie. They stand in one more setting: a JSON list of kind, name and value, the newest first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from zajil.store.people.settings import LONGEST_VALUE

SETTING = "removed"
MOST = 10
"""Deletions of one account that can be undone."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Something with a name that was deleted."""

    kind: str
    """``template`` or ``search``."""
    name: str
    value: str

    @property
    def key(self) -> str:
        """Return by what a notice names it."""
        text = json.dumps([self.kind, self.name, self.value])
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def find_removed(settings: Mapping[str, str], kind: str, key: str) -> Removed | None:
    """Return what was deleted; ``None``: it was brought back, or too much was deleted since."""
    return next((one for one in _read(settings) if one.kind == kind and one.key == key), None)


def with_removed(settings: Mapping[str, str], one: Removed) -> str:
    """Return the setting with one deletion more; the oldest make room for it."""
    kept = [one, *[other for other in _read(settings) if other != one]][:MOST]
    while len(written := _write(kept) or "") > LONGEST_VALUE:
        kept.pop()
    return written


def without_removed(settings: Mapping[str, str], one: Removed) -> str | None:
    """Return the setting without what was brought back; ``None``: nothing is left."""
    return _write([other for other in _read(settings) if other != one])


def _write(kept: list[Removed]) -> str | None:
    listed = [[one.kind, one.name, one.value] for one in kept]
    return json.dumps(listed, ensure_ascii=False) if listed else None


def _read(settings: Mapping[str, str]) -> list[Removed]:
    try:
        listed = json.loads(settings.get(SETTING, "[]"))
    except (ValueError, RecursionError):
        return []
    return [
        Removed(*one)
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, list) and len(one) == 3 and all(isinstance(text, str) for text in one)
    ][:MOST]
