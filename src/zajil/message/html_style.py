"""What a style attribute says about whether text is shown. Pure.

CSS Syntax 3, CSS 2.2. Only what hides text in every browser counts as hiding: where browsers
differ, or something else may bring the text back, it counts as shown. ``mso-hide`` is for one
program; ``text-indent``, and a height of zero without ``overflow``, let words stand out.

Laws:
- Linear in the style. The last valid declaration of a property wins, ``!important`` before others.
- Never raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tinycss2
import tinycss2.color3

Color = tuple[int, int, int] | str
"""Red, green, blue; what is nearly white is white. ``UNKNOWN``: an image, or transparent."""
UNKNOWN = "?"
INHERIT = "inherit"
WHITE = (255, 255, 255)

MAX_STYLE = 8192
"""Characters of one attribute that are read; a longer one hides nothing."""

# Without comments, escapes, blocks and odd strings, declarations end at each semicolon.
_SIMPLE = re.compile(
    r"(?:[^\"'\\/(){}\[\]@<]|\"[\w ,.-]*+\"|'[\w ,.-]*+'|\([\d.,%\s]*+\))*\Z", re.ASCII
)
_NAME = re.compile(r"-{0,2}[a-z_][\w-]*\Z", re.ASCII)
IMPORTANT = re.compile(r"\s*!\s*important\s*\Z", re.IGNORECASE)
_NUMBER = r"([+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]?\d{1,3})?)"
_RATIO = re.compile(_NUMBER + r"(%?)\Z", re.IGNORECASE)
_LENGTH = re.compile(_NUMBER + r"(%|[a-z]*)\Z", re.IGNORECASE)
_FUNCTION = re.compile(r"[a-z-]+\(", re.IGNORECASE)
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})\Z", re.IGNORECASE)

_PIXELS = {"px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 37.8, "mm": 3.78, "q": 0.945}
_RELATIVE = frozenset(
    {"%", "em", "rem", "ex", "ch", "cap", "ic", "lh", "rlh", "vw", "vh", "vi", "vb", "vmin", "vmax"}
)
_EVERYWHERE = frozenset({"inherit", "initial", "unset", "revert", "revert-layer"})
_DISPLAYS = frozenset(
    {
        *("inline", "block", "inline-block", "list-item", "flex", "inline-flex", "grid"),
        *("inline-grid", "table", "inline-table", "table-row", "table-cell", "table-caption"),
        *("table-row-group", "table-header-group", "table-footer-group", "table-column"),
        *("table-column-group", "flow-root", "contents", "flow", "ruby", "run-in", "math"),
        *("-webkit-box", "-webkit-inline-box", "-webkit-flex", "-webkit-inline-flex"),
        *("-moz-box", "-moz-inline-box", "ruby-text", "ruby-base"),
    }
)
_BOXES = frozenset({"block", "inline-block", "list-item", "flow-root"})
_SIZES = {
    **{"xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0},
    **{"x-large": 24.0, "xx-large": 32.0, "xxx-large": 48.0},
}
_SYSTEM_FONTS = frozenset({"caption", "icon", "menu", "message-box", "small-caption", "status-bar"})


def read_style(style: str) -> dict[str, Any]:
    """Return what a style attribute says about being shown.

    Returns:
        ``display``: its value; ``seen``: visibility, or ``INHERIT``; ``opaque``; ``size``: pixels
        (float) or ``(factor,)`` of the size around, or ``INHERIT``; ``ink`` and ``paper``: a
        ``Color``, or ``INHERIT``; ``flat``: a height or width is 0; ``tall``: something gives it
        room all the same; ``cut``: overflow is not shown; ``free``: it leaves the flow; ``moved``:
        it may lie upon something else; ``scaled``: letters may be larger than their size.
    """
    if len(style) > MAX_STYLE:
        return {"ink": UNKNOWN, "paper": UNKNOWN}
    found: dict[str, tuple[bool, Any]] = {}
    for name, value, is_important in _declarations(style):
        for key, parsed in read_declaration(name, value.strip().lower()):
            if is_important or not found.get(key, (False,))[0]:
                found[key] = is_important, parsed
    values = {key: parsed for key, (_, parsed) in found.items()}
    if "glow" in values:
        # A shadow or another fill shows letters that have the colour of the background.
        del values["glow"]
        values["ink"] = UNKNOWN
    if not any([key.startswith("flat") for key in values]):
        # Room counts only where there would be none.
        values = {key: one for key, one in values.items() if key != "cut" and key[:4] != "tall"}
    return values


def is_gone(values: Mapping[str, Any]) -> bool:
    """Whether nothing inside can be seen, whatever it says itself."""
    return values.get("display") == "none" or values.get("opaque") is False


def is_clipped(values: Mapping[str, Any], *, is_block: bool) -> bool:
    """Whether it is a box without room. Only blocks have a height of their own."""
    display = values.get("display")
    if not (is_block if display is None else display in _BOXES):
        return False
    has_room = any(flag for key, flag in values.items() if key.startswith("tall"))
    is_flat = any(flag for key, flag in values.items() if key.startswith("flat"))
    return is_flat and bool(values.get("cut")) and not has_room


def read_color(text: str) -> Color | None:
    """Read a colour; ``None``: it is none."""
    text = text.strip()
    if _HEX.match(text):
        digits = text[1:] if len(text) == 7 else "".join([digit * 2 for digit in text[1:]])
        red, green, blue = (int(digits[at : at + 2], 16) for at in (0, 2, 4))
    else:
        color = tinycss2.color3.parse_color(text)
        if color is None:
            return UNKNOWN if _FUNCTION.match(text) or text.startswith("#") else None
        if isinstance(color, str) or color.alpha < 1:
            return UNKNOWN
        red, green, blue = (round(max(0.0, min(1.0, part)) * 255) for part in color[:3])
    return WHITE if min(red, green, blue) >= 253 else (red, green, blue)


def _declarations(style: str) -> Iterator[tuple[str, str, bool]]:
    if _SIMPLE.match(style):
        for piece in style.split(";"):
            name, colon, value = piece.partition(":")
            name = name.strip().lower()
            if colon and _NAME.match(name):
                bare = IMPORTANT.sub("", value)
                if "!" not in bare:
                    yield name, bare, bare != value
        return
    for item in tinycss2.parse_blocks_contents(style, skip_comments=True, skip_whitespace=True):
        if item.type == "declaration":
            tokens = [token for token in item.value if token.type != "comment"]
            yield item.lower_name, tinycss2.serialize(tokens), item.important


def read_declaration(name: str, value: str) -> Iterator[tuple[str, Any]]:
    """Return what one declaration says; nothing: it is not valid, or does not matter."""
    if name == "all" and value in _EVERYWHERE:
        yield from _ALL
        return
    reader = READERS.get(name)
    if reader is None or not value:
        return
    key, read = reader
    parsed = read(value)
    if parsed is not None:
        yield key, parsed


def _display(value: str) -> str | None:
    if value == "none":
        return value
    if value in _EVERYWHERE or _FUNCTION.search(value):
        return "inline"
    return value if all(word in _DISPLAYS for word in value.split()) else None


def _visibility(value: str) -> bool | str | None:
    if value in ("hidden", "collapse"):
        return False
    if value in ("visible", "initial") or _FUNCTION.search(value):
        return True
    return INHERIT if value in _EVERYWHERE else None


def _opacity(value: str) -> bool | None:
    if match := _RATIO.match(value):
        return float(match[1]) > 0
    return True if value in _EVERYWHERE or _FUNCTION.search(value) else None


def _size(value: str) -> float | tuple[float] | str | None:
    if value in _SIZES:
        return _SIZES[value]
    if value in ("smaller", "larger"):
        return (0.8 if value == "smaller" else 1.2,)
    if value in _EVERYWHERE:
        return 16.0 if value == "initial" else INHERIT
    if _FUNCTION.search(value):
        return 16.0
    match = _LENGTH.match(value)
    if match is None:
        return None
    number, unit = float(match[1]), match[2]
    if number < 0 or (unit and unit not in _PIXELS and unit not in _RELATIVE):
        return None
    if unit in ("%", "em"):
        return (number / 100 if unit == "%" else number,)
    # Browsers do not shrink these below a size that can be read. A number without unit is none to
    # some and pixels to others.
    return number * _PIXELS[unit] if unit in _PIXELS else 0.0 if number == 0 else 16.0


def _font(value: str) -> float | tuple[float] | str | None:
    if value in _SYSTEM_FONTS or value in _EVERYWHERE:
        return INHERIT if value in ("inherit", "unset") else 16.0
    words = value.partition("/")[0].split() if "/" in value else value.split()[:-1]
    for word in reversed(words):
        # A weight is a number without unit, as 0 is.
        if (size := _size(word)) is not None and not re.fullmatch(r"[1-9]\d*", word):
            return size
    return None


def _ink(value: str) -> Color | None:
    if value in ("inherit", "unset", "revert", "revert-layer", "currentcolor"):
        return INHERIT
    return UNKNOWN if value == "initial" else read_color(value)


def _paper(value: str) -> Color | None:
    if value in ("none", "transparent") or value in _EVERYWHERE:
        return INHERIT
    if "url(" in value or "gradient" in value:
        return UNKNOWN
    if (whole := read_color(value)) is not None:
        return whole
    colors = [read_color(word) for word in value.split()]
    return next((color for color in colors if color is not None), None)


def _is_zero(value: str) -> bool | None:
    if match := _LENGTH.match(value):
        is_known = not match[2] or match[2] in _PIXELS or match[2] in _RELATIVE
        return float(match[1]) == 0 if is_known and float(match[1]) >= 0 else None
    if value in ("auto", "none") or value in _EVERYWHERE or _FUNCTION.search(value):
        return False
    return False if value.endswith("-content") else None


def _has_room(value: str) -> bool | None:
    return not all(_is_zero(word) for word in value.split())


def _overflow(value: str) -> bool | None:
    if value in _EVERYWHERE or "visible" in value or _FUNCTION.search(value):
        return False
    known = ("hidden", "clip", "scroll", "auto")
    return True if all(word in known for word in value.split()) else None


def _position(value: str) -> bool | None:
    return value not in ("static", "relative", "sticky") and value not in _EVERYWHERE


def _glow(value: str) -> bool | None:
    return True


# What may put an element on top of another one, and what enlarges its letters.
_MOVES = (
    *("translate", "inset", "top", "left", "right", "bottom", "offset-path", "grid-area"),
    *("grid-row", "grid-column", "grid-row-start", "grid-column-start"),
)
_SCALES = ("zoom", "scale", "transform", "-webkit-transform", "animation", "animation-name")
_MARGINS = ("margin", "margin-top", "margin-left", "margin-right", "margin-bottom")

READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "display": ("display", _display),
    "visibility": ("seen", _visibility),
    "opacity": ("opaque", _opacity),
    "font-size": ("size", _size),
    "font": ("size", _font),
    "color": ("ink", _ink),
    "background": ("paper", _paper),
    "background-color": ("paper", _paper),
    "background-image": ("paper", lambda value: None if value == "none" else UNKNOWN),
    "text-shadow": ("glow", _glow),
    "-webkit-text-fill-color": ("glow", _glow),
    "-webkit-text-stroke": ("glow", _glow),
    "overflow": ("cut", _overflow),
    "overflow-x": ("cut", _overflow),
    "overflow-y": ("cut", _overflow),
    "position": ("free", _position),
    **{name: ("moved", lambda value: value not in ("none", "static")) for name in _MOVES},
    **{name: ("scaled", lambda value: value not in ("none", "1", "normal")) for name in _SCALES},
    **{name: ("moved", lambda value: "-" in value or "(" in value) for name in _MARGINS},
    **{name: (f"flat-{name}", _is_zero) for name in ("height", "max-height", "width", "max-width")},
    **{
        name: (f"tall-{name}", _has_room)
        for name in (
            *("min-height", "min-width", "padding", "padding-top", "padding-bottom"),
            *("padding-left", "padding-right", "padding-block", "padding-inline"),
        )
    },
}
_ALL: tuple[tuple[str, Any], ...] = (
    ("display", "inline"),
    ("seen", True),
    ("opaque", True),
    ("size", 16.0),
    ("ink", UNKNOWN),
    ("cut", False),
)
