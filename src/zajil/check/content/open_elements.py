"""The elements that are open at a place of an HTML text, and whether text there is seen. Pure.

Not the whole tree construction of the HTML standard: which start and end tags close which open
elements (sections 13.1.2.4 and 13.2.6.4.7 and after). Where formatting elements would be opened
again, or a scope is in doubt, what follows is judged as seen.

Laws:
- Linear: an element is put on each list once and taken off once; scopes are compared by serial
  numbers, nothing is searched.
- Never raises.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from zajil.check.content.inline_style import INHERIT, UNKNOWN, WHITE, Color, is_clipped, is_gone

_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_CLOSE_P = frozenset(
    {
        *("address", "article", "aside", "blockquote", "center", "dd", "details", "dialog", "dir"),
        *("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header"),
        *("hgroup", "hr", "li", "listing", "main", "menu", "nav", "ol", "p", "plaintext", "pre"),
        *("search", "section", "summary", "table", "ul", "xmp", *_HEADINGS),
    }
)
_FORMATTING = frozenset(
    {
        *("a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong"),
        *("tt", "u"),
    }
)
_ITEMS: dict[str, frozenset[str]] = {
    "li": frozenset({"li"}),
    "dd": frozenset({"dd", "dt"}),
    "dt": frozenset({"dd", "dt"}),
}
_ROWS = frozenset({"table", "tbody", "thead", "tfoot", "tr", "colgroup"})
"""What holds no text itself: text there is shown before the table."""
_CELLS = frozenset({"td", "th", "caption"})
_TABLE_PARTS: dict[str, frozenset[str]] = {
    # What each of them closes.
    "td": frozenset({"td", "th", "caption", "colgroup"}),
    "th": frozenset({"td", "th", "caption", "colgroup"}),
    "tr": frozenset({"td", "th", "caption", "colgroup", "tr"}),
    **dict.fromkeys(
        ("tbody", "thead", "tfoot", "caption", "colgroup", "col"),
        frozenset({"td", "th", "caption", "colgroup", "tr", "tbody", "thead", "tfoot"}),
    ),
}
_RUBY = frozenset({"rb", "rt", "rtc", "rp"})
_SCOPE = frozenset({"table", "td", "th", "caption", "applet", "marquee", "object", "template"})
_BUTTON_SCOPE = _SCOPE | {"button"}
_LIST_SCOPE = _SCOPE | {"ol", "ul"}
_TABLE_SCOPE = frozenset({"table", "template"})
_SPECIAL = (
    _CLOSE_P
    | _ROWS
    | _CELLS
    | {"applet", "button", "marquee", "noscript", "object", "select", "template"}
)
_NO_WALL = frozenset({"address", "div", "p"})
_BREAKOUT = frozenset(
    {
        *("b", "big", "blockquote", "body", "br", "center", "code", "dd", "div", "dl", "dt", "em"),
        *("embed", "font", "hr", "i", "img", "li", "listing", "menu", "nobr", "ol", "p", "pre"),
        *("ruby", "s", "small", "span", "strong", "strike", "sub", "sup", "table", "tt", "u"),
        *("ul", "var", *_HEADINGS),
    }
)
_FOREIGN = frozenset({"svg", "math"})
_CLOSE_SELECT = frozenset({"input", "keygen", "select", "textarea", "table", *_TABLE_PARTS})
_ROOTS = frozenset({"html", "head", "body", "frameset"})
_HAVE_RULES = frozenset(
    {*_CLOSE_P, *_TABLE_PARTS, *_RUBY, *_CLOSE_SELECT}
    | {"a", "nobr", "button", "option", "optgroup"}
)
_BLOCKS = _CLOSE_P - {"table", "hr"}
_SMALLEST = 1.0
"""Pixels of letters that nobody sees."""

Values = Mapping[str, Any]


class Element:
    """An open element, and what it says of being seen."""

    __slots__ = ("hides", "is_applied", "is_open", "name", "serial", "values")

    def __init__(self, name: str, serial: int, values: Values | None) -> None:
        self.name = name
        self.serial = serial
        self.values = values
        self.is_open = True
        self.hides = False
        """Nothing in it can be seen."""
        self.is_applied = False


class OpenElements:
    """The state of one pass."""

    def __init__(self) -> None:
        self.is_hidden = False
        """What stands here is not seen."""
        self.is_watchful = False
        """An element may bring back what those around it hide."""
        self.has_paper = False
        """Some element said a colour for its background; white ink may be meant for it."""
        self._stack: list[Element] = []
        self._by_name: defaultdict[str, list[Element]] = defaultdict(list)
        self._special: list[Element] = []
        self._walls: list[Element] = []
        """Special elements that an item of a list does not reach across."""
        self._table_parts: list[Element] = []
        self._serial = 0
        self._hiding = 0
        self._waiting = 0
        """Open parts of tables whose style counts in their cells only."""
        self._values: dict[str, list[tuple[Element, Any]]] = {
            key: [] for key in ("size", "seen", "ink", "paper", "clipped")
        }
        self._has_form = False
        self._has_root = False

    # ---- tags -------------------------------------------------------------------------------

    def start(self, name: str, values: Values | None, *, is_void: bool = False) -> None:
        """Take a start tag.

        Args:
            name: lower case.
            values: of ``read_style``; ``None``: nothing that counts.
            is_void: it has no end tag, and nothing in it.
        """
        if values and values.get("paper", WHITE) not in (WHITE, INHERIT):
            self.has_paper = True
        if name in _BREAKOUT:
            self._leave_foreign()
        if name in _HAVE_RULES and not self._close_for(name):
            return
        if name in _ROOTS:
            self._open_root(name, values)
            return
        if name == "form":
            if self._has_form:
                return
            self._has_form = True
        if is_void:
            return
        self._serial += 1
        element = Element(name, self._serial, values)
        self._stack.append(element)
        self._by_name[name].append(element)
        if name in _SPECIAL:
            self._special.append(element)
            if name not in _NO_WALL:
                self._walls.append(element)
            if name in _ROWS or name in _CELLS:
                self._table_parts.append(element)
                self._open_table_part(element)
                return
        if values:
            self._apply(element, values)

    def end(self, name: str) -> None:
        """Take an end tag."""
        current = self._stack[-1] if self._stack else None
        if current is not None and current.name == name and current.is_open and name != "form":
            self._pop()
        elif name in _FORMATTING:
            self._end_formatting(name)
        elif name in _HEADINGS:
            found = [one for one in map(self._in_scope, _HEADINGS) if one is not None]
            if found:
                self._close(max(found, key=lambda one: one.serial))
        elif name == "form":
            self._has_form = False
            if element := self._in_scope(name):
                self._forget(element)
        elif name in _ROOTS:
            return
        elif name in _TABLE_PARTS or name == "table":
            if element := self._in_scope(name, _TABLE_SCOPE):
                self._close(element)
        elif name in _SPECIAL:
            scope = _BUTTON_SCOPE if name == "p" else _LIST_SCOPE if name == "li" else _SCOPE
            if element := self._in_scope(name, scope):
                self._close(element)
        elif element := _last(self._by_name.get(name)):
            wall = _last(self._special)
            if wall is None or wall.serial < element.serial:
                self._close(element)

    def _close_for(self, name: str) -> bool:
        """Close what a start tag closes; gives whether it opens an element at all."""
        if name in _CLOSE_SELECT and (select := self._in_scope("select")):
            self._close(select)
            if name == "select":
                return False
        if name in _TABLE_PARTS:
            return self._close_for_table_part(name)
        if name == "table":
            part = _last(self._table_parts)
            if part is not None and part.name in _ROWS and (table := _last(self._by_name[name])):
                self._close(table)
        if name in _ITEMS:
            wall = _last(self._walls)
            if wall is not None and wall.name in _ITEMS[name]:
                self._close(wall)
        if name in _CLOSE_P and (paragraph := self._in_scope("p", _BUTTON_SCOPE)):
            self._close(paragraph)
        if name in _HEADINGS:
            self._close_current(_HEADINGS)
        elif name in _RUBY:
            self._close_current(_RUBY)
        elif name in ("option", "optgroup"):
            for one in ("option", "optgroup")[: 1 + (name == "optgroup")]:
                if element := self._in_scope(one, _SCOPE | {"select"}):
                    self._close(element)
        elif name in ("a", "nobr"):
            self._end_formatting(name)
        elif name == "button" and (element := self._in_scope(name)):
            self._close(element)
        return True

    def _close_for_table_part(self, name: str) -> bool:
        if self._in_scope("table", _TABLE_SCOPE) is None:
            return False  # where no table is open, the tag does not count
        closes = _TABLE_PARTS[name]
        while (part := _last(self._table_parts)) is not None and part.name in closes:
            self._close(part)
        # What is neither cell nor caption has its place before the table.
        while self._stack and self._stack[-1] is not part:
            self._pop()
        return True

    def _close_current(self, names: Collection[str]) -> None:
        current = _last(self._stack)
        if current is not None and current.name in names:
            self._close(current)

    def _end_formatting(self, name: str) -> None:
        """End a formatting element; blocks that were opened in it stay open."""
        element = self._in_scope(name)
        if element is None:
            return
        block = _last(self._special)
        if block is not None and block.serial > element.serial:
            self._forget(element)
        else:
            self._close(element)

    def _leave_foreign(self) -> None:
        for name in _FOREIGN:
            while element := _last(self._by_name.get(name)):
                self._close(element)

    # ---- lists ------------------------------------------------------------------------------

    def _in_scope(self, name: str, walls: Collection[str] = _SCOPE) -> Element | None:
        element = _last(self._by_name.get(name))
        if element is None:
            return None
        for wall in walls:
            other = _last(self._by_name.get(wall))
            if other is not None and other.serial > element.serial:
                return None
        return element

    def _close(self, element: Element) -> None:
        """Close an element and all that were opened in it."""
        while self._stack and self._pop() is not element:
            pass

    def _pop(self) -> Element:
        element = self._stack.pop()
        if element.is_open:
            self._forget(element)
        return element

    def _forget(self, element: Element) -> None:
        element.is_open = False
        if element.hides:
            self._hiding -= 1
        if element.values and element.name in _ROWS:
            self._waiting -= 1
        if element.is_applied or (element.values and element.name in _ROWS):
            self._refresh()

    # ---- what is seen -----------------------------------------------------------------------

    def _open_root(self, name: str, values: Values | None) -> None:
        # Only before all others, and only once: its style cannot be closed.
        if name == "body" and values and not self._stack and not self._has_root:
            self._has_root = True
            self._apply(Element(name, 0, values), values)

    def _open_table_part(self, element: Element) -> None:
        """Let a cell have what its row, section and table say: text stands in cells only."""
        if element.name in _ROWS:
            self._waiting += bool(element.values)
            if element.name == "table" and (self._values["size"] or self._values["ink"]):
                # In the mode for old pages, a table inherits neither size nor ink.
                self._apply(element, {"size": 16.0, "ink": UNKNOWN})
            self.is_watchful = self.is_hidden or self._waiting > 0
            return
        parts: list[Values] = []
        for part in reversed(self._table_parts):
            if part.values and (part is element or part.name in _ROWS):
                parts.append(part.values)
            if part.name == "table":
                break
        values: dict[str, Any] = {}
        for one in reversed(parts):
            gone = {"display": "none"} if is_gone(values) else {}
            values = {**values, **one, **gone}
        if values:
            self._apply(element, values)

    def _apply(self, element: Element, values: Values) -> None:
        element.is_applied = True
        element.hides = is_gone(values)
        self._hiding += element.hides
        for key in ("size", "seen", "ink", "paper"):
            value = values.get(key)
            if value is None or value == INHERIT:
                continue
            if key == "size" and isinstance(value, tuple):
                around = self._around("size", 16.0)
                value = around * value[0]
                # Browsers do not shrink letters by steps below what can be read.
                value = max(value, 6.0) if value > 0 and around > _SMALLEST else value
            self._values[key].append((element, value))
        if is_clipped(values, is_block=element.name in _BLOCKS):
            self._values["clipped"].append((element, True))
        elif values.get("free"):
            self._values["clipped"].append((element, False))
        self._refresh()

    def _around(self, key: str, default: Any) -> Any:
        values = self._values[key]
        while values and not values[-1][0].is_open:
            values.pop()
        return values[-1][1] if values else default

    def _refresh(self) -> None:
        self.is_hidden = (
            self._hiding > 0
            or self._around("size", 16.0) <= _SMALLEST
            or not self._around("seen", True)
            or self._around("clipped", False)
            or self._has_ink_of_paper()
        )
        self.is_watchful = self.is_hidden or self._waiting > 0

    def _has_ink_of_paper(self) -> bool:
        ink: Color | None = self._around("ink", None)
        if not isinstance(ink, tuple):
            return False
        paper: Color | None = self._around("paper", None)
        if paper is None:
            return ink == WHITE and not self.has_paper
        return ink == paper


def _last(elements: list[Element] | None) -> Element | None:
    """Give the innermost that is still open."""
    while elements and not elements[-1].is_open:
        elements.pop()
    return elements[-1] if elements else None
