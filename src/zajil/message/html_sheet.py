"""What the style sheets of an HTML document may bring back that attributes hide. Pure.

A style sheet never hides anything here: whether its rules apply depends on too much (media, support
for it, what a reader's program keeps of it).

Laws:
- What a browser shows because of a rule is never missed: selectors are read as selecting more than
  they do, and where a rule may be missed, nothing counts as hidden.
- Linear; never raises.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from zajil.message.html_style import IMPORTANT, READERS, UNKNOWN, read_declaration

MAX_SHEET = 131_072
"""Characters of all style sheets of one document; with longer ones no hiding is believed."""

Rescue = dict[str, Any]
"""Values as ``read_style`` returns them, of which none hides."""
# Strings may hold braces, and comments stand anywhere.
_NO_RULE = re.compile(
    r"/\*.*?(?:\*/|\Z)|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?|<!--|-->"
    r"|url\([^)\"']*\)?",
    re.DOTALL | re.IGNORECASE,
)
_BORDER = re.compile(r"[{};]")
_GENERATED = re.compile(r"content\s*:([^;{}]*)", re.IGNORECASE)
_STRING = re.compile(r"\"([^\"\n]*)\"|'([^'\n]*)'")
_COMPOUND = re.compile(r"[\s>+~|]+")
_SIMPLE_SELECTOR = re.compile(r"([#.]?)(-?[\w][\w-]*)")
_STEP = re.compile(r"(?:from|to|[\d.]+%)\Z")


class StyleSheet:
    """What the style sheets of a document may bring back.

    A rule counts for every element that has the name, class or id at the end of its selector: more
    elements than it selects, never fewer.
    """

    def __init__(self, text: str, *, is_known: bool = True) -> None:
        """Read the sheets.

        Args:
            text: all of them.
            is_known: no other style applies (a linked sheet, a shadow tree).
        """
        # Security: where a rule may be missed, nothing that attributes hide counts as hidden.
        self.is_known = (
            is_known and len(text) <= MAX_SHEET and "\\" not in text and "@import" not in text
        )
        self.has_paper = not self.is_known or "background" in text.lower()
        """It paints a background somewhere."""
        self._normal: dict[str, Rescue] = {}
        self._important: dict[str, Rescue] = {}
        if self.is_known:
            self._read(_NO_RULE.sub(" ", text).lower())

    def rescue(self, keys: Collection[str]) -> tuple[Rescue, Rescue]:
        """Return what rules say of an element, those with ``!important`` last.

        Args:
            keys: its name, ``.class`` of each class, ``#id``; lower case.
        """
        found: list[Rescue] = []
        for rules in (self._normal, self._important):
            values: Rescue = {}
            for key in (*keys, "*"):
                values.update(rules.get(key, ()))
            found.append(values)
        return found[0], found[1]

    def _read(self, text: str) -> None:
        preludes: list[list[str]] = []
        start = 0
        for border in _BORDER.finditer(text):
            piece = text[start : border.start()].strip()
            start = border.end()
            if border[0] == "{":
                around = preludes[-1] if preludes else []
                preludes.append(around if piece.startswith("@") else _keys_of(piece))
                continue
            if preludes and ":" in piece:
                self._declare(preludes[-1], piece)
            if border[0] == "}" and preludes:
                preludes.pop()
        if preludes:
            self._declare(preludes[-1], text[start:])

    def _declare(self, keys: list[str], declaration: str) -> None:
        name, _, value = declaration.partition(":")
        name = name.strip()
        if name not in READERS and name != "all":
            return
        bare = IMPORTANT.sub("", value)
        # A step of an animation stands above the style of the element.
        is_important = bare != value or "" in keys
        rules = self._important if is_important else self._normal
        for property_key, parsed in read_declaration(name, bare.strip()):
            if (shown := _as_shown(property_key, parsed)) is not None:
                property_key = "ink" if property_key == "glow" else property_key
                for key in keys:
                    rules.setdefault(key or "*", {})[property_key] = shown


def generated_text(sheet: str) -> str:
    """Return the strings that rules of a style sheet put before or after elements."""
    strings = [found for value in _GENERATED.findall(sheet) for found in _STRING.findall(value)]
    return "\n".join([one or other for one, other in strings])


def _keys_of(prelude: str) -> list[str]:
    """Return what an element must have to be selected: one key of each selector."""
    keys: list[str] = []
    for selector in prelude.split(","):
        selector = selector.strip()
        if _STEP.match(selector):
            keys.append("")
            continue
        last = "*" if re.search(r"[(\[&]", selector) else _COMPOUND.split(selector)[-1]
        found = _SIMPLE_SELECTOR.findall(last.partition(":")[0])
        # A class or id says more than a name.
        found.sort(key=lambda one: one[0] == "")
        keys.append("".join(found[0]) if found else "*")
    return keys


def _as_shown(key: str, value: Any) -> Any:
    """Return a value that a rule may give without hiding; ``None``: it hides, or says nothing."""
    if key == "display":
        return None if value == "none" else value
    if key in ("seen", "opaque"):
        return True if value is not False else None
    if key == "size":
        return None if isinstance(value, float) and value <= 1 else 16.0
    if key in ("ink", "paper", "glow"):
        return UNKNOWN
    if key == "cut" or key.startswith("flat"):
        return None if value else False
    return value or None
