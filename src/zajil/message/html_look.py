"""How text looks at each place of an HTML tree, as far as that says whether it is seen. Pure.

What some browser may show counts as shown: only what hides text in every browser hides it here.

Law: constant work for each element; equal styles are read once.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from zajil.message.html_sheet import StyleSheet
from zajil.message.html_style import (
    INHERIT,
    UNKNOWN,
    WHITE,
    Color,
    is_clipped,
    is_gone,
    read_color,
    read_style,
)

Attributes = dict[str, str | None]
"""Of an element, as the parser gives them: lower case, ``None`` for no value."""

SMALLEST = 1.0
"""Pixels of letters that nobody sees."""

BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "br", "button", "caption", "center", "dd"),
        *("details", "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure"),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "input"),
        *("legend", "li", "listing", "main", "menu", "nav", "ol", "optgroup", "option", "p", "pre"),
        *("search", "section", "select", "summary", "table", "tbody", "td", "textarea", "tfoot"),
        *("th", "thead", "tr", "ul", "xmp"),
    }
)
"""Elements whose words do not join those of their neighbours."""

_BOXES = BLOCKS - {
    *("br", "button", "caption", "hr", "input", "select", "table", "tbody", "td", "textarea"),
    *("tfoot", "th", "thead", "tr"),
}
"""Elements whose height a style can set."""

NEVER_SHOWN = frozenset(
    {
        *("script", "style", "title", "noembed", "noframes", "datalist", "param"),
        *("area", "base", "link", "meta"),
    }
)
"""Without a style that says otherwise (HTML standard section 15.3.1)."""

_HINTS = frozenset({"hidden", "background", "color", "text", "bgcolor"})
"""Attributes beside ``style`` that say whether something is seen."""

_NOTHING: dict[str, Any] = {}

OWN_LETTERS = frozenset({"button", "input", "select", "table", "textarea"})
"""Elements that inherit neither size nor colour of letters; tables only without a doctype."""
_BARE_HEX = re.compile(r"[0-9a-fA-F]{6}\Z")

SHOWN, HIDDEN, WHITE_INK = 0, 1, 2
"""Of a piece of text; the last is hidden unless something paints a background."""

FOREIGN: dict[str, Any] = {"size": 16.0, "seen": True, "ink": UNKNOWN, "free": True}
"""SVG and MathML have attributes of their own for this: only ``display`` around them counts."""


class Look:
    """How text looks at a place of the tree, as far as it says whether it is seen."""

    __slots__ = (
        "clipped",
        "gone",
        "ink",
        "is_pre",
        "known",
        "paper",
        "scaled",
        "seen",
        "size",
        "state",
    )

    def __init__(self) -> None:
        self.gone = False
        self.size = 16.0
        self.seen = True
        self.ink: Color | None = None
        self.paper: Color | None = None
        self.clipped = False
        self.scaled = False
        self.is_pre = False
        self.state = SHOWN
        self.known: dict[tuple[int, bool], Look] = {}
        """Looks inside elements of which only the style attribute says something."""

    def inside(self, values: dict[str, Any], *, is_box: bool) -> Look:
        """Return the look inside an element with these values."""
        look = Look()
        look.gone = self.gone or is_gone(values)
        look.is_pre = self.is_pre
        look.scaled = self.scaled or bool(values.get("scaled"))
        size = values.get("size", INHERIT)
        if isinstance(size, tuple):
            # Browsers do not shrink letters by steps below what can be read.
            factor = self.size * size[0]
            size = max(factor, 6.0) if factor > 0 and self.size > SMALLEST else factor
        look.size = self.size if size == INHERIT else size
        look.seen = self.seen if values.get("seen", INHERIT) == INHERIT else values["seen"]
        look.ink = self.ink if values.get("ink", INHERIT) == INHERIT else values["ink"]
        look.paper = self.paper if values.get("paper", INHERIT) == INHERIT else values["paper"]
        is_free = bool(values.get("free"))
        if is_free or values.get("moved"):
            look.paper = UNKNOWN
        look.clipped = is_clipped(values, is_block=is_box) or (self.clipped and not is_free)
        look.state = look.find_state()
        return look

    def find_state(self) -> int:
        """Return whether text here is shown."""
        is_tiny = self.size <= (0.0 if self.scaled else SMALLEST)
        if self.gone or is_tiny or not self.seen or self.clipped:
            return HIDDEN
        if not isinstance(self.ink, tuple):
            return SHOWN
        if self.paper is None:
            return WHITE_INK if self.ink == WHITE else SHOWN
        return HIDDEN if self.ink == self.paper else SHOWN


class Styles:
    """All that one document says about how text looks."""

    def __init__(self, sheet_text: str, *, is_known: bool) -> None:
        """Take the style sheets of a document.

        Args:
            sheet_text: all of them.
            is_known: no other style sheet applies.
        """
        self.has_paper = False
        """Some element has a background; white letters may stand on it."""
        self._sheet_text = sheet_text
        self._is_known = is_known
        self._styles: dict[str, dict[str, Any]] = {}
        """What style attributes of this document say: most occur many times."""

    @cached_property
    def sheet(self) -> StyleSheet:
        """The style sheets, read when something would be hidden."""
        return StyleSheet(self._sheet_text, is_known=self._is_known)

    @property
    def has_sheets(self) -> bool:
        """Style sheets may change what attributes say."""
        return bool(self._sheet_text) or not self._is_known

    @property
    def is_white_shown(self) -> bool:
        """White letters on no background may be seen."""
        return self.has_paper or (self.has_sheets and self.sheet.has_paper)

    def look_of(
        self, tag: str, attributes: Attributes, look: Look, *, is_foreign: bool
    ) -> tuple[Look, str]:
        """Return how text looks in an element, and its ``display`` if it has a style for that.

        Args:
            look: around it.
            is_foreign: it is SVG or MathML.
        """
        values = FOREIGN if is_foreign else self._values(tag, attributes)
        inner = self._look_inside(tag, attributes, values, look)
        return inner, values.get("display", "")

    def look_with_own_letters(self, tag: str, attributes: Attributes, look: Look) -> Look:
        """Return how text looks in one of ``OWN_LETTERS`` among small or coloured letters."""
        own = self._values(tag, attributes)
        return look.inside({"size": 16.0, "ink": UNKNOWN, **own}, is_box=False)

    def _values(self, tag: str, attributes: Attributes) -> dict[str, Any]:
        """Return what attributes say of being shown; the style attribute wins."""
        style = attributes.get("style") if attributes else None
        if not style and _HINTS.isdisjoint(attributes) and tag not in NEVER_SHOWN:
            return _NOTHING
        read = _NOTHING
        if style:
            found = self._styles.get(style)
            read = found if found is not None else self._read_style(style)
            if _HINTS.isdisjoint(attributes) and tag not in NEVER_SHOWN:
                return read
        values: dict[str, Any] = {"display": "none"} if tag in NEVER_SHOWN else {}
        if "hidden" in attributes and tag != "marquee":
            values["display"] = "none"
        if "background" in attributes:
            values["paper"] = UNKNOWN
        for attribute, key in (("color", "ink"), ("text", "ink"), ("bgcolor", "paper")):
            if text := (attributes.get(attribute) or "").strip():
                color = read_color(f"#{text}" if _BARE_HEX.match(text) else text)
                # Browsers make a colour of any word.
                values[key] = UNKNOWN if color is None else color
        if values.get("paper", WHITE) not in (WHITE, INHERIT):
            self.has_paper = True
        return {**values, **read}

    def _read_style(self, style: str) -> dict[str, Any]:
        values = self._styles[style] = read_style(style)
        if values.get("paper", WHITE) not in (WHITE, INHERIT):
            self.has_paper = True
        return values

    def _look_inside(
        self, tag: str, attributes: Attributes, values: dict[str, Any], look: Look
    ) -> Look:
        is_box = tag in _BOXES
        if not values:
            inner = look
        elif (known := look.known.get((id(values), is_box))) is not None:
            inner = known  # the values are kept as long as this object
        else:
            inner = look.inside(values, is_box=is_box)
            if self._styles.get(attributes.get("style") or "") is values:
                look.known[id(values), is_box] = inner
        if not inner.state or not self.has_sheets:
            return inner
        if not self.sheet.is_known:
            return look if tag in NEVER_SHOWN and inner.gone else Look()
        keys = [tag, f"#{attributes.get('id') or ''}".lower()]
        keys += [f".{one}" for one in (attributes.get("class") or "").lower().split()]
        normal, important = self.sheet.rescue(keys)
        if not normal and not important:
            return inner
        own = read_style(attributes.get("style") or "")
        return look.inside({**values, **normal, **own, **important}, is_box=is_box)
