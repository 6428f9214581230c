"""Letters that can be read: no text of a message in the colour of its ground. Pure.

Backgrounds may be lost when a message is made safe: pictures, ``<style>``, ``<body>``. White text
that was meant for such a ground would be white on white. So the contrast of each text is worked out
as the browser will (WCAG 2.2, contrast ratio); text that has next to none becomes dark or light. On
a picture that is shown, without a colour beside it, text stays as it is: nobody here saw it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape, unescape
from typing import Protocol

from tinycss2.color4 import parse_color

from zajil.core.errors import InternalError
from zajil.core.value_class import value_class

Rgba = tuple[float, float, float, float]

LOST_GROUND = "ground:lost"
"""A declaration that stands for a background that was dropped; ``mend_ink`` takes it out."""

LOST_PICTURE = "lost"
"""The value of ``background=`` that stands for a picture that was dropped."""
_PICTURE = "background-image:url("

_LEAST_CONTRAST = 2.0
"""Under it nobody reads without effort; the palest grey of small print has a little more."""
_LEAST_WITHOUT_GROUND = 4.5
"""Where a ground was dropped, the colour was not chosen for what is left (WCAG 1.4.3)."""

_DARK, _LIGHT = "#1b252d", "#ffffff"
"""Ink and paper of the page that shows a message (``letter_frame.html``)."""
_INKS: dict[str, Rgba] = {
    _DARK: (0x1B / 255, 0x25 / 255, 0x2D / 255, 1.0),
    _LIGHT: (1.0, 1.0, 1.0, 1.0),
}
_TAG = re.compile(r'<(/?)([a-z][a-z0-9]*)((?: [a-z-]+="[^"]*")*)>')
_ATTRIBUTE = re.compile(r' (style|bgcolor|color|background|href|class|id)="([^"]*)"')
COLORS = ("color", "background-color")
_VOID = frozenset({"br", "col", "hr", "img", "wbr"})
_IMPORTANT = "!important"
_LEGACY = re.compile(r"#?(?:[0-9a-f]{6}|[0-9a-f]{3})\Z|[a-z]+\Z", re.IGNORECASE)


def read_color(text: str) -> Rgba | None:
    """Read a CSS colour: red, green, blue, opacity from 0 to 1; ``None`` for words like inherit."""
    color = parse_color(text)
    if color is None or isinstance(color, str):
        return None
    red, green, blue = color.to("srgb").coordinates
    return (_clip(red), _clip(green), _clip(blue), _clip(color.alpha))


def read_legacy_color(text: str) -> str | None:
    """Return the CSS colour of ``bgcolor=`` and ``<font color=>``; ``None`` for what is odd."""
    if not _LEGACY.match(text) or text.lower() == "transparent":
        return None
    bare = f"#{text}" if re.fullmatch("[0-9a-fA-F]{3}|[0-9a-fA-F]{6}", text) else text
    return bare if read_color(bare) is not None else None


@value_class(frozen=True, slots=True)
class Declared:
    """One property with its value, as CSS writes it."""

    name: str
    value: str
    important: bool = False

    def __str__(self) -> str:
        return f"{self.name}:{self.value}{_IMPORTANT if self.important else ''}"


@value_class(frozen=True, slots=True)
class Element:
    """What selectors of a style sheet ask of an element."""

    tag: str
    id: str
    classes: frozenset[str]


@value_class(frozen=True, slots=True)
class SheetColors:
    """What the rules of a style sheet say of one element."""

    declared: tuple[Declared, ...] = ()
    """``color`` and ``background-color``; of two that are equally important the later counts."""
    loses_ground: bool = False
    """A background was dropped."""
    has_picture: bool = False
    """A background is a picture that is shown."""


class SheetTooLong(InternalError):
    """To find out what a style sheet says takes too long; the message is shown without it."""


class Sheet(Protocol):
    """Style sheets of the document."""

    @property
    def text(self) -> str:
        """Return them as CSS."""

    def colors_of(self, stack: Sequence[Element]) -> SheetColors:
        """Return the colours that rules give to the last element.

        Raises:
            SheetTooLong: that takes too long.
        """


def mend_ink(html: str, sheet: Sheet | None = None) -> str:
    """Make the text of HTML that ``safe_html`` wrote readable on its ground; linear.

    Raises:
        SheetTooLong: see ``Sheet``.
    """
    return _Mender(sheet if sheet is not None and sheet.text else None).mend(html)


@value_class(frozen=True, slots=True)
class _State:
    """What holds inside an open element."""

    ink: Rgba
    paper: Rgba
    is_lost: bool
    """A ground was dropped that the colour was chosen for."""
    is_painted: bool = False
    """The ground is a picture."""


class _Mender:
    """One pass over the tags, with the colours of the elements that are open."""

    def __init__(self, sheet: Sheet | None) -> None:
        self._sheet = sheet
        self._open = [_State(_INKS[_DARK], _INKS[_LIGHT], False)]
        self._elements: list[Element] = []
        self._colors: dict[str, Rgba | None] = {}
        """Letters say the same few colours again and again."""

    def mend(self, html: str) -> str:
        return _TAG.sub(self._mend_tag, html)

    def _mend_tag(self, match: re.Match[str]) -> str:
        slash, tag, written = match.groups()
        if slash:
            if len(self._open) > 1:
                self._open.pop()
                self._elements.pop()
            return match[0]
        values = dict(_ATTRIBUTE.findall(written))
        # The last sign of ``&quot;`` would look like the end of a declaration.
        style = unescape(values.get("style", "")).split(";")
        around = self._open[-1]
        classes = frozenset(values.get("class", "").split())
        self._elements.append(Element(tag, values.get("id", ""), classes))
        rules = self._sheet.colors_of(self._elements) if self._sheet else SheetColors()
        own_ink, own_paper = self._own(tag, values, _said(rules, style))
        paper, is_lost, is_painted = around.paper, around.is_lost, around.is_painted
        if own_paper is not None:
            paper = _over(own_paper, paper)
            is_lost, is_painted = is_lost and own_paper[3] < 1, is_painted and own_paper[3] < 1
        background = values.get("background")
        is_lost = is_lost or background == LOST_PICTURE or LOST_GROUND in style
        is_lost = is_lost or (rules.loses_ground and own_paper is None)
        has_picture = background not in (None, LOST_PICTURE) or rules.has_picture
        has_picture = has_picture or any([one.startswith(_PICTURE) for one in style])
        is_painted = is_painted or (has_picture and own_paper is None)
        ink = own_ink or around.ink
        least = _LEAST_WITHOUT_GROUND if is_lost else _LEAST_CONTRAST
        mended, is_said = "", bool(own_ink or own_paper or is_lost) and not is_painted
        if is_said and _contrast(_over(ink, paper), paper) < least:
            mended = max(_INKS, key=lambda one: _contrast(_INKS[one], paper))
            ink = _INKS[mended]
        if tag in _VOID:
            self._elements.pop()
        else:
            self._open.append(_State(ink, paper, is_lost, is_painted))
        if not mended and LOST_GROUND not in style and background is None:
            return match[0]
        if mended and self._sheet is not None:
            mended += _IMPORTANT
        if background not in (None, LOST_PICTURE) and not any(_PICTURE in one for one in style):
            style = [f"{_PICTURE}{unescape(background or '')})", *style]
        return f"<{tag}{_rewrite(written, style, mended)}>"

    def _own(
        self, tag: str, values: dict[str, str], said: dict[str, str]
    ) -> tuple[Rgba | None, Rgba | None]:
        """Return the ink and the paper that an element has of its own."""
        paper = self._color(said.get("background-color")) or self._color(values.get("bgcolor"))
        ink = self._color(said.get("color"))
        if "color" not in said:
            if tag == "font":
                ink = self._color(values.get("color"))
            elif tag == "a" and "href" in values:
                ink = self._color("#0000ee")
        if tag == "mark":
            ink, paper = ink or self._color("black"), paper or self._color("yellow")
        return ink, paper

    def _color(self, text: str | None) -> Rgba | None:
        if text is None:
            return None
        if text not in self._colors:
            self._colors[text] = read_color(text)
        return self._colors[text]


def _said(rules: SheetColors, style: list[str]) -> dict[str, str]:
    """Return the colours of sheets and a style attribute."""
    own = [_declared(one) for one in style if one.partition(":")[0] in COLORS]
    said: dict[str, str] = {}
    for is_important in (False, True):
        for one in (*rules.declared, *own):
            if one.important is is_important:
                said[one.name] = one.value
    return said


def _declared(text: str) -> Declared:
    name, _, value = text.partition(":")
    return Declared(name, value.removesuffix(_IMPORTANT), value.endswith(_IMPORTANT))


def _rewrite(written: str, style: list[str], ink: str) -> str:
    kept = [one for one in style if one and one != LOST_GROUND]
    if ink:
        kept = [one for one in kept if not one.startswith("color:")] + [f"color:{ink}"]
    others = re.sub(r' (?:style|background)="[^"]*"', "", written)
    return f'{others} style="{escape(";".join(kept))}"' if kept else others


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _over(top: Rgba, ground: Rgba) -> Rgba:
    """Lay a colour that lets something through upon an opaque one."""
    alpha = top[3]
    red, green, blue = (
        alpha * above + (1 - alpha) * below
        for above, below in zip(top[:3], ground[:3], strict=True)
    )
    return (red, green, blue, 1.0)


def _contrast(one: Rgba, other: Rgba) -> float:
    """Return the contrast ratio of two opaque colours, from 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: Rgba) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color[:3]
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
