"""Style sheets of strangers: parsed, and only what is known and harmless is written anew. Pure.

Kept are rules whose selectors are made of names, classes and ids, and of these the declarations
that ``safe_style`` keeps; ``@media`` for widths of the screen. Everything else (``@import``,
``@font-face``, other ``@`` rules, pseudo-classes that depend on the reader) is dropped. The HTML is
shown as a document of its own, so selectors need no scope.

Laws:
- Which colours an element gets is known here as well as in the browser (``colors_of``), so that
  ``read.ink`` finds text that could not be read. Where widths matter, no colour is kept.
- Linear in the sheet; matching takes ``_MAX_STEPS``, then the sheet is dropped. Never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import tinycss2

from zajil.core.value_class import value_class
from zajil.read.ink import COLORS, Declared, Element, SheetColors, SheetTooLong
from zajil.read.safe_style import MAX_STYLE, PictureAddress, is_shallow, read_declarations

_PICTURE = "background-image"
MAX_SHEET = 65_536
"""Characters of all style sheets of one document that are read."""
BODY_CLASS = "zajil-body"
"""Class of the element that stands for ``body``, which a document within a page cannot have."""
_MAX_SELECTORS = 2000
_MAX_COMPOUNDS = 6
_MAX_PRELUDE = 2000
_MAX_STEPS = 300_000
_NAME = r"-?[A-Za-z_][\w-]*"
_SIMPLE = re.compile(
    rf"([.#:]?)({_NAME})|\[\s*class\s*~?=\s*[\"']?({_NAME})[\"']?\s*\]|\*", re.ASCII
)
_COMPOUND = re.compile(rf"(?:(?:{_SIMPLE.pattern}))+", re.ASCII)
_COMBINATOR = re.compile(r"\s*(>)\s*|\s+")
_PSEUDO = frozenset({"link", "visited"})
_FEATURE = re.compile(r"\(\s*(max|min)-(?:device-)?width\s*:\s*(\d{1,4}(?:\.\d{1,3})?)(px|em)\s*\)")
_QUERY = re.compile(
    rf"(?:(?:only\s+)?(?:screen|all)(?:\s+and\s+(?=\())?)?"
    rf"(?:{_FEATURE.pattern}(?:\s+and\s+(?=\())?){{0,4}}"
)


@value_class(frozen=True, slots=True)
class _Compound:
    """What one element of a selector must have."""

    tag: str
    id: str
    classes: frozenset[str]

    def matches(self, element: Element) -> bool:
        return (
            self.tag in ("", element.tag)
            and self.id in ("", element.id)
            and self.classes <= element.classes
        )


@value_class(frozen=True, slots=True)
class _Selector:
    """A selector, read from right to left."""

    compounds: tuple[_Compound, ...]
    is_child: tuple[bool, ...]
    """Of each but the last: the next one is its parent, and not just any element around it."""
    text: str

    @property
    def specificity(self) -> tuple[int, int, int]:
        parts = self.compounds
        return (
            sum([bool(one.id) for one in parts]),
            sum([len(one.classes) for one in parts]),
            sum([bool(one.tag) for one in parts]),
        )

    @property
    def key(self) -> str:
        last = self.compounds[0]
        if last.id:
            return f"#{last.id}"
        return f".{min(last.classes)}" if last.classes else last.tag or "*"


@value_class(frozen=True, slots=True)
class _ColorRule:
    selector: _Selector
    order: tuple[tuple[int, int, int], int]
    """Specificity and place: the cascade of rules that are equally important."""
    declarations: tuple[Declared, ...]
    loses_ground: bool
    has_picture: bool


@dataclass(slots=True)
class SafeSheet:
    """The style sheets of a document, made harmless."""

    text: str = ""
    """CSS; without ``<``, so that it ends where its element does."""
    names: set[str] = field(default_factory=set)
    """Classes and ids that it uses."""
    _rules: dict[str, list[_ColorRule]] = field(default_factory=dict)
    _steps: int = 0

    def colors_of(self, stack: Sequence[Element]) -> SheetColors:
        """Return the colours that rules give to the last element.

        Args:
            stack: the elements that are open, the outermost first.

        Raises:
            SheetTooLong: matching takes too long.
        """
        element = stack[-1]
        keys = ["*", element.tag, f"#{element.id}", *[f".{name}" for name in element.classes]]
        found = [
            rule
            for key in keys
            for rule in self._rules.get(key, ())
            if self._matches(rule.selector, 0, stack, len(stack) - 1)
        ]
        found.sort(key=lambda rule: rule.order)
        return SheetColors(
            tuple([one for rule in found for one in rule.declarations]),
            any([rule.loses_ground for rule in found]),
            any([rule.has_picture for rule in found]),
        )

    def _matches(
        self, selector: _Selector, step: int, stack: Sequence[Element], place: int
    ) -> bool:
        """Whether the compounds from a step on select the element at a place of the stack."""
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise SheetTooLong
        if not selector.compounds[step].matches(stack[place]):
            return False
        if step == len(selector.compounds) - 1:
            return True
        least = place - 1 if selector.is_child[step] else 0
        around = range(place - 1, max(least, 0) - 1, -1)
        return any(self._matches(selector, step + 1, stack, one) for one in around)

    def _add(
        self, selectors: Sequence[_Selector], kept: Sequence[Declared], is_lost: bool, at: int
    ) -> None:
        colors = tuple([one for one in kept if one.name in COLORS])
        has_picture = any([one.name == _PICTURE for one in kept])
        for selector in selectors:
            for one in selector.compounds:
                self.names |= one.classes | ({one.id} if one.id else set())
            if colors or is_lost or has_picture:
                order = (selector.specificity, at)
                rule = _ColorRule(selector, order, colors, is_lost, has_picture)
                self._rules.setdefault(selector.key, []).append(rule)


def read_sheet(text: str, picture: PictureAddress = lambda url: None) -> SafeSheet:
    """Make style sheets harmless.

    Args:
        text: of all ``<style>`` elements of a document; beyond ``MAX_SHEET`` it is cut.
        picture: of backgrounds.
    """
    sheet = SafeSheet()
    written: list[str] = []
    left = _MAX_SELECTORS
    for place, (media, rule) in enumerate(_rules(text[:MAX_SHEET])):
        selectors = _selectors(rule.prelude)
        left -= len(selectors)
        if left < 0:
            break
        if not selectors or len(rule.content) > MAX_STYLE:
            continue
        if media:
            # Which of them apply depends on the window, and text must be legible in each.
            kept, _ = read_declarations(rule.content)
            kept, is_lost = [one for one in kept if one.name not in COLORS], False
        else:
            kept, is_lost = read_declarations(rule.content, picture)
        if kept or is_lost:
            sheet._add(selectors, kept, is_lost, place)
        if kept:
            names = ",".join([one.text for one in selectors])
            line = f"{names}{{{';'.join(map(str, kept))}}}"
            written.append(f"@media {media}{{{line}}}" if media else line)
    sheet.text = "\n".join(written)
    # Security: nothing that was kept may end the element; no value or selector needs the sign.
    return sheet if "<" not in sheet.text else SafeSheet()


def _rules(text: str) -> Iterator[tuple[str, Any]]:
    """Yield the rules with the condition that they stand under."""
    for rule in tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True):
        if rule.type == "qualified-rule":
            yield "", rule
        elif rule.type == "at-rule" and rule.lower_at_keyword == "media" and rule.content:
            media = _media(rule.prelude)
            if media is None:
                continue
            inside = tinycss2.parse_rule_list(
                rule.content, skip_comments=True, skip_whitespace=True
            )
            yield from [(media, inner) for inner in inside if inner.type == "qualified-rule"]


def _source_of(prelude: Sequence[Any]) -> str:
    if len(prelude) > _MAX_PRELUDE or not is_shallow(prelude):
        return ""
    return str(tinycss2.serialize(prelude))


def _media(prelude: Sequence[Any]) -> str | None:
    """Write a condition anew; ``""``: it always holds; ``None``: it is not for this page."""
    kept: list[str] = []
    for query in _source_of(prelude).lower().split(","):
        if not query.strip() or not _QUERY.fullmatch(query.strip()):
            continue
        features = _FEATURE.findall(query)
        if not features:
            return ""
        kept.append(" and ".join([f"({edge}-width:{size}{unit})" for edge, size, unit in features]))
    return ",".join(kept) or None


def _selectors(prelude: Sequence[Any]) -> list[_Selector]:
    """Return the selectors of a rule that are known."""
    found = [_selector(text.strip()) for text in _source_of(prelude).split(",")]
    return [one for one in found if one is not None]


def _selector(text: str) -> _Selector | None:
    compounds: list[_Compound] = []
    children: list[bool] = []
    pieces: list[str] = []
    at = 0
    while match := _COMPOUND.match(text, at):
        compound = _compound(match[0])
        if compound is None or len(compounds) == _MAX_COMPOUNDS:
            return None
        compounds.append(compound)
        pieces.append(_text_of(compound))
        at = match.end()
        if at == len(text):
            break
        combinator = _COMBINATOR.match(text, at)
        if combinator is None:
            return None
        children.append(combinator[1] is not None)
        pieces.append(">" if combinator[1] else " ")
        at = combinator.end()
    if at != len(text) or not compounds or len(children) != len(compounds) - 1:
        return None
    return _Selector(tuple(compounds[::-1]), tuple(children[::-1]), "".join(pieces))


def _compound(text: str) -> _Compound | None:
    tag, element_id = "", ""
    classes: set[str] = set()
    for match in _SIMPLE.finditer(text):
        sign, name, class_name = match.groups()
        if class_name or sign == ".":
            classes.add(class_name or name)
        elif sign == "#":
            element_id = name
        elif sign == ":":
            if name.lower() not in _PSEUDO:
                return None
        elif name and name.lower() in ("body", "html"):
            classes.add(BODY_CLASS)
        elif name:
            tag = name.lower()
    return _Compound(tag, element_id, frozenset(classes))


def _text_of(one: _Compound) -> str:
    names = "".join([f".{name}" for name in sorted(one.classes)])
    return f"{one.tag}{f'#{one.id}' if one.id else ''}{names}" or "*"
