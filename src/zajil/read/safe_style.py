"""Declarations of CSS by strangers: known properties with harmless values, written anew. Pure.

Nothing that loads, covers, moves or measures is kept: no ``url()`` but that of a background, for
which the caller has an address of ours; no position, no generated content, no custom properties, no
units of the window (a frame is as high as its content).

Laws:
- What is written without pictures reads the same when it is read again.
- Never raises; nesting deeper than ``_DEEPEST`` is dropped before anything recursive sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import tinycss2

from zajil.read.ink import LOST_GROUND, Declared, read_color

PictureAddress = Callable[[str], str | None]
"""Returns our own address of the picture that a URL names; ``None``: it is not shown."""

_SIDES = ("top", "right", "bottom", "left")
_LOGICAL = ("block", "inline", "block-start", "block-end", "inline-start", "inline-end")
_PROPERTIES = frozenset(
    {
        *("align-items", "align-self", "background-position", "background-repeat"),
        *("background-size", "border", "border-collapse", "border-color"),
        *("border-radius", "border-spacing", "border-style", "border-width", "box-shadow"),
        *("box-sizing", "caption-side", "clear", "color", "column-gap", "direction", "display"),
        *("empty-cells", "flex", "flex-basis", "flex-direction", "flex-flow", "flex-grow"),
        *("flex-shrink", "flex-wrap", "float", "font", "font-family", "font-size", "font-stretch"),
        *("font-style", "font-variant", "font-weight", "gap", "height", "hyphens"),
        *("justify-content", "letter-spacing", "line-height", "list-style", "list-style-position"),
        *("list-style-type", "margin", "max-height", "max-width", "min-height", "min-width"),
        *("object-fit", "order", "outline", "overflow", "overflow-wrap", "overflow-x"),
        *("overflow-y", "padding", "row-gap", "table-layout", "text-align", "text-align-last"),
        *("text-decoration", "text-decoration-color", "text-decoration-line"),
        *("text-decoration-style", "text-indent", "text-overflow", "text-transform"),
        *("unicode-bidi", "vertical-align", "visibility", "white-space", "width", "word-break"),
        *("word-spacing", "word-wrap"),
        *[f"{name}-{side}" for name in ("margin", "padding") for side in (*_SIDES, *_LOGICAL)],
        *[f"border-{side}" for side in (*_SIDES, *_LOGICAL)],
        *[f"border-{side}-{what}" for side in _SIDES for what in ("color", "style", "width")],
        *[f"border-{y}-{x}-radius" for y in ("top", "bottom") for x in ("left", "right")],
    }
)
_GROUNDS = ("background", "background-color", "background-image")
_FUNCTIONS = {"rgb", "rgba", "hsl", "hsla"}
_VALUE_TOKENS = {"whitespace", "ident", "number", "percentage", "dimension", "hash", "literal"}
_COLOR_TOKENS = {"ident", "hash", "function"}
_WINDOW_UNIT = re.compile(r"[sld]?v(?:h|w|i|b|min|max)\Z")
_FONT_NAME = re.compile(r"[\w ,.-]*\Z")
_REPEATS = frozenset({"repeat", "no-repeat", "repeat-x", "repeat-y", "round", "space"})
_PLACES = frozenset({*_SIDES, "center", "auto", "cover", "contain"})
_LENGTHS = frozenset({"number", "percentage", "dimension"})
_ADDRESS = re.compile(r"[A-Za-z0-9/?=&%;:,+._~*-]+\Z")
MAX_STYLE = 4096
"""Characters of one style attribute, and of the block of one rule; a longer one is dropped."""
_DEEPEST = 4
"""Brackets within brackets in one value."""


def read_declarations(
    content: str | Sequence[Any], picture: PictureAddress = lambda url: None
) -> tuple[list[Declared], bool]:
    """Return the harmless declarations, and whether a background was dropped without a colour.

    Args:
        content: of a style attribute, or the tokens of a block (``tinycss2``).
        picture: of backgrounds.
    """
    kept: list[Declared] = []
    is_dropped = has_ground = False
    for item in tinycss2.parse_blocks_contents(content, skip_comments=True, skip_whitespace=True):
        if item.type != "declaration" or not is_shallow(item.value):
            continue
        name = item.lower_name
        if name in _GROUNDS:
            ground, is_picture = _ground(item.value)
            painted = _paint(item, picture) if is_picture else []
            kept += painted
            has_ground = has_ground or bool(painted)
            is_dropped = is_dropped or is_picture
            if ground is not None and (name != "background-image" or not has_ground):
                kept.append(Declared("background-color", ground, item.important))
                has_ground = True
        elif name == "color":
            ink = _written(item.value)
            if ink.lower() == "inherit" or read_color(ink) is not None:
                kept.append(Declared("color", ink, item.important))
        elif name in _PROPERTIES and _is_harmless(item.value, has_names=name.startswith("font")):
            value = _written(item.value) or "initial"
            # Security: an escape could reach beyond the value, into what is written behind it.
            kept += [Declared(name, value, item.important)] if "\\" not in value else []
    return kept, is_dropped and not has_ground


def safe_style(style: str) -> str | None:
    """Return the harmless declarations of a style attribute; ``None`` when there are none."""
    if len(style) > MAX_STYLE:
        return None
    return ";".join(map(str, read_declarations(style)[0])) or None


def style_with_losses(style: str, picture: PictureAddress) -> str | None:
    """Return the same with ``LOST_GROUND`` where a background was dropped, for ``mend_ink``."""
    if len(style) > MAX_STYLE:
        return LOST_GROUND
    kept, is_lost = read_declarations(style, picture)
    return ";".join([*map(str, kept), LOST_GROUND] if is_lost else map(str, kept)) or None


def _written(tokens: Sequence[Any]) -> str:
    return str(tinycss2.serialize(tokens)).strip()


def is_shallow(tokens: Sequence[Any], most: int = _DEEPEST) -> bool:
    """Check whether brackets within brackets are few enough for what is recursive."""
    for token in tokens:
        inner = getattr(token, "content", None) or getattr(token, "arguments", None)
        if inner and (most == 0 or not is_shallow(inner, most - 1)):
            return False
    return True


def _ground(tokens: Sequence[Any]) -> tuple[str | None, bool]:
    """Return the colour of a background, and whether something else was to be painted.

    A gradient is painted as its first colour: the ink on it was chosen for that as well.
    """
    found: str | None = None
    is_picture = False
    for token in tokens:
        if token.type == "url" or (token.type == "function" and _color_of(token) is None):
            is_picture = True
            if token.type == "function" and "gradient" in token.lower_name and found is None:
                found = _ground(token.arguments)[0]
        elif found is None and _color_of(token) is not None:
            found = tinycss2.serialize([token])
    return found, is_picture


def _paint(item: Any, picture: PictureAddress) -> list[Declared]:
    """Return the picture of a background, and how it lies; empty: it is not shown.

    Of several layers only the first picture is shown, as its own size and place are.
    """
    if item.lower_name == "background-color":
        return []
    url = next((found for token in item.value if (found := _url_of(token)) is not None), None)
    address = picture(url) if url is not None else None
    # Security: it stands without quotes, and nothing in it may end the function or the value.
    if address is None or not _ADDRESS.match(address):
        return []
    lies: dict[str, list[str]] = {"repeat": [], "position": [], "size": []}
    is_size = False
    for token in item.value if item.lower_name == "background" else ():
        if token.type == "literal" and token.value == ",":
            lies.clear()
            break
        is_size = is_size or (token.type == "literal" and token.value == "/")
        if token.type == "ident" and token.lower_value in _REPEATS:
            lies["repeat"].append(token.lower_value)
        elif (token.type == "ident" and token.lower_value in _PLACES) or (
            token.type in _LENGTHS and _is_harmless([token])
        ):
            lies["size" if is_size else "position"].append(_written([token]))
    values = {"image": f"url({address})"} | {name: " ".join(some) for name, some in lies.items()}
    # Security: as above, the unit of a length may contain an escape.
    return [
        Declared(f"background-{name}", value, item.important)
        for name, value in values.items()
        if value and "\\" not in value
    ]


def _url_of(token: Any) -> str | None:
    if token.type == "url":
        return str(token.value)
    if token.type == "function" and token.lower_name == "url" and len(token.arguments) == 1:
        return str(token.arguments[0].value) if token.arguments[0].type == "string" else None
    return None


def _color_of(token: Any) -> Any:
    return read_color(tinycss2.serialize([token])) if token.type in _COLOR_TOKENS else None


def _is_harmless(tokens: Sequence[Any], *, has_names: bool = False) -> bool:
    for token in tokens:
        if token.type == "function":
            if token.lower_name not in _FUNCTIONS or not _is_harmless(token.arguments):
                return False
        elif token.type == "string":
            # Security: a string elsewhere is text that is shown, as in ``list-style-type``.
            if not has_names or not _FONT_NAME.match(token.value):
                return False
        elif (
            token.type == "dimension" and _WINDOW_UNIT.match(token.lower_unit)
        ) or token.type not in _VALUE_TOKENS:
            return False
    return True
